"""The monitor in the cluster: one value, the command of the notes, and what it answers there."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from e2e.cluster import Ran, run
from e2e.release import Release
from waiting import eventually

MakeRelease = Callable[..., Release]


@contextmanager
def reached(told: str) -> Iterator[str]:
    """Give the address to which the command in the notes leads, for a block."""
    found = re.search(r"kubectl port-forward -n \S+ svc/\S+-monitor 8280:\d+", told)
    assert found, told
    # Any local port in place of 8280: tests run side by side.
    command = found[0].replace(" 8280:", " :").split()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            port = re.search(r"127\.0\.0\.1:(\d+)", line)
            assert port, f"{' '.join(command)} said {line!r}"
            yield f"http://127.0.0.1:{port[1]}"
        finally:
            process.terminate()


def curl(*words: str) -> str:
    """Return what curl prints; while a pod starts it is asked again."""
    ran = run(["curl", "-sS", "--fail", "--retry", "20", "--retry-delay", "1", "--retry-all-errors", *words])
    assert ran.code == 0, ran.err
    return ran.out


def api(url: str, name: str) -> dict[str, Any]:
    """Return a document's only account."""
    [account] = json.loads(curl(f"{url}/api/{name}"))["accounts"]
    return dict(account)


async def settled(url: str) -> None:
    """Return when the monitor has read everything: it may have started before the Job, and looks for a bucket again."""

    async def whole() -> bool:
        return not api(url, "accounts")["trouble"] and not api(url, "services")["trouble"]

    await eventually(whole, within=30)


def rolled_out(release: Release) -> None:
    """Wait for the pod that the last upgrade asks for."""
    deployment = f"deploy/{release.fullname}-monitor"
    release.namespace.kubectl("rollout", "status", deployment, "--timeout=120s")


async def test_one_value_makes_a_page_that_the_notes_lead_to(release: MakeRelease) -> None:
    """The page, what Prometheus scrapes and what programs ask for are there, and say what was provisioned."""
    dev = release()
    told = dev.installed("dev.yaml", sets=["monitor.enabled=true"]).text
    rolled_out(dev)

    with reached(told) as url:
        await settled(url)
        assert json.loads(curl(f"{url}/readyz"))["ready"]
        assert "<title>" in curl(f"{url}/")
        assert "default-src 'none'" in curl("-D", "-", "-o", "/dev/null", f"{url}/")
        scraped = curl(f"{url}/metrics").splitlines()
        objects = {f"{each['kind']} {each['name']}": each for each in api(url, "buckets")["objects"]}
        consumers = [each["name"] for each in api(url, "consumers")["consumers"]]
        plan = api(url, "plan")["plan"]
        account = api(url, "accounts")
        services = api(url, "services")

    assert 'natsmith_ttl_seconds{account="app",kind="bucket",name="sessions"} 300.0' in scraped
    assert 'natsmith_account_readable{account="app"} 1.0' in scraped
    assert (300, []) == (objects["bucket sessions"]["ttl"], objects["bucket sessions"]["differs"])
    assert "workers" in consumers
    assert [] == plan["changes"]
    assert ("", [], "done") == (account["trouble"], account["lacking"], account["last"]["result"])
    assert ("service_registry", "") == (services["bucket"], services["lacking"])


def with_password(release: Release, password: str) -> Ran:
    """Install or upgrade with that password of the monitor's user."""
    accounts = {"app": {"users": {"app": {}}, "monitor": {"password": password}}}
    return release.installed(
        "dev.yaml", sets=["monitor.enabled=true"], more=["--set-json", f"accounts={json.dumps(accounts)}"]
    )


async def test_another_password_makes_another_pod(release: MakeRelease) -> None:
    """An upgrade is enough: server and monitor agree on the new one; the same once more changes no pod."""
    dev = release()
    with_password(dev, "the first one")
    rolled_out(dev)
    [first] = dev.pods("monitor")
    with_password(dev, "the first one")
    assert [first["metadata"]["name"]] == [each["metadata"]["name"] for each in dev.pods("monitor")]

    told = with_password(dev, "another one").text
    rolled_out(dev)

    assert first["metadata"]["name"] != dev.pods("monitor")[-1]["metadata"]["name"]
    with reached(told) as url:
        await settled(url)
        assert json.loads(curl(f"{url}/readyz"))["ready"]
        assert ("", []) == tuple(api(url, "accounts")[key] for key in ("trouble", "lacking"))
