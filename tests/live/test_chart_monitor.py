"""The chart's monitor, started as its pod starts it: its own files, arguments and users, on the release's own server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import yaml

import chart
from installed import Installed, arguments, credentials
from seeing import Monitor, monitoring
from waiting import Eventually

VALUES = Path(__file__).parents[2] / "charts/natsmith/ci/monitor-values.yaml"


def pod_of(release: Installed) -> tuple[list[str], dict[str, str]]:
    """Lay out what the monitor's pod sees, and return its arguments and environment on this machine."""
    pod = release.rendered.one("Deployment", "-monitor")["spec"]["template"]["spec"]
    home = release.home / "monitor"
    chart.lay_out(release.rendered, pod, home, release.others)
    directory = home / "etc/natsmith"
    said = yaml.safe_load((directory / "monitor.yaml").read_text())
    (directory / "monitor.yaml").write_text(yaml.safe_dump({**said, "server": release.url}))
    [verb, *words] = arguments(pod, directory)
    place = words.index("--listen")
    assert ("monitor", "0.0.0.0:8280") == (verb, words[place + 1])
    environment = {each["name"]: each["value"] for each in pod["containers"][0]["env"]}
    found = {key: value.replace("/etc/natsmith", str(directory)) for key, value in environment.items()}
    return [*words[:place], *words[place + 2 :]], found


@pytest.fixture(params=["generated passwords", "natsmith credentials"])
def running(request: pytest.FixtureRequest, install: Callable[..., Installed], tmp_path: Path) -> Installed:
    """Run the release's server, with passwords from either place."""
    if request.param == "generated passwords":
        return install(VALUES)
    overlay = tmp_path / "overlay.yaml"
    given = yaml.safe_load(VALUES.read_text())
    overlay.write_text(yaml.safe_dump({**given, "credentials": {"existingSecret": "users"}}))
    return install(overlay, others=[credentials(overlay, name="users", release="dev")])


@pytest.fixture
async def seen(running: Installed, tmp_path: Path, eventually: Eventually) -> AsyncIterator[Monitor]:
    """Run the Job, and then the monitor until it has read everything."""
    assert 0 == (await running.job()).code
    words, environment = pod_of(running)
    async with monitoring(tmp_path, *words, **environment) as monitor:

        async def ready() -> bool:
            documents = [*(await monitor.api("accounts")).values(), *(await monitor.api("services")).values()]
            return len(documents) == 2 and not any(each["trouble"] for each in documents)

        await eventually(ready, within=15)
        yield monitor


async def test_what_the_chart_gives_it_is_enough(running: Installed, seen: Monitor, eventually: Eventually) -> None:
    """Everything that was provisioned is shown, dead letters and services too, nothing is missing, and nothing differs."""
    client = await running.connect("app")
    letter = {"type": "max_deliver", "stream": "MESSAGES", "consumer": "workers", "stream_seq": 1, "timestamp": "now"}
    beat = b'{"v":1,"status":"healthy","ttl":30,"metadata":{"token":"a secret"}}'
    await client.jetstream().publish(
        "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.MESSAGES.workers", json.dumps(letter).encode()
    )
    await client.jetstream().publish("$KV.service_registry.payments.a", beat)
    await client.close()

    async def shown() -> bool:
        letters = (await seen.api("consumers"))["app"]["letters"]
        instances = (await seen.api("services"))["app"]["instances"]
        return (1, ["payments.a"]) == (len(letters), [each["key"] for each in instances])

    await eventually(shown, within=15)
    account, plan = (await seen.api("accounts"))["app"], (await seen.api("plan"))["app"]["plan"]
    objects = {each["name"]: each for each in (await seen.api("buckets"))["app"]["objects"]}

    assert ([], []) == (account["lacking"], plan["changes"])
    assert {"service_registry", "sessions", "elections", "MESSAGES", "MESSAGES_workers_dead"} <= objects.keys()
    assert "a secret" not in await seen.text("/api/services")
