"""A fault is made on a real server, a real monitor is scraped before and after, and Prometheus's judge is told both.

Not here: a time to live that is not at work, which takes more than a minute to be one, and a server that fills up,
which nats.exporter measures: tests/alerts/cases has both.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import nats.aio.client
import pytest
from prometheus_client.parser import text_string_to_metric_families

from alerts.promtool import Promtool
from embedded import Embedded, nats_server
from natsmith.adapters.connections import Connection
from registering import api, connected, put
from seeing import Monitor, monitoring
from waiting import eventually

USER, PASSWORD = "u", "password"
ROOM = 4 * 2**20
VALUES: dict[str, Any] = {
    "accounts": {"A": {}},
    "buckets": {"sessions": {"ttlSeconds": 300}, "service_registry": {"profile": "serviceRegistry", "ttlSeconds": 60}},
    "streams": {"S": {"subjects": ["s.>"], "consumers": {"w": {"maxDeliver": 3, "deadLetter": {}}}}},
}
BEFORE, AFTER = 5, 35
"""Minutes that a scrape stays as it is: longer than any rule waits."""

Scrape: TypeAlias = Mapping[str, float]


@dataclass
class Watched:
    """A server, its account as the values say, and a monitor in front of it."""

    server: Embedded
    home: Path
    client: nats.aio.client.Client
    monitor: Monitor

    async def scrape(self) -> Scrape:
        """Return what Prometheus would store, by series; nothing where nobody answers."""
        try:
            text = await self.monitor.metrics()
        except OSError:
            return {}
        samples = [each for family in text_string_to_metric_families(text) for each in family.samples]
        return {_series(each.name, each.labels): each.value for each in samples}

    async def apply(self, values: Mapping[str, Any]) -> int:
        """Apply values as a person does, and return the exit code."""
        return await asyncio.to_thread(applied, self.server.url, self.home, values)

    async def changed(self, **settings: Any) -> None:
        """Change the stream of the bucket `sessions` by hand."""
        config = (await api(self.client, "STREAM.INFO.KV_sessions"))["config"]
        await api(self.client, "STREAM.UPDATE.KV_sessions", {**config, **settings})


def _series(name: str, labels: Mapping[str, str]) -> str:
    return f"{name}{{{', '.join(f'{key}={json.dumps(value)}' for key, value in sorted(labels.items()))}}}"


def applied(url: str, home: Path, values: Mapping[str, Any]) -> int:
    """Run natsmith apply with values."""
    file = home / "applied.json"
    file.write_text(json.dumps(values))
    command = [str(Path(sys.executable).parent / "natsmith"), "apply", "-f", str(file)]
    environment = {"NATS_URL": url, "NATS_USER": USER, "NATS_PASSWORD": PASSWORD, "HOME": str(home)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    """Have everything as it should be."""
    user = {"user": USER, "password": PASSWORD}
    limits = {"max_file": ROOM, "max_memory": ROOM, "max_streams": 20, "max_consumers": 20}
    with nats_server(None, {"accounts": {"A": {"jetstream": limits, "users": [user]}}}) as server:
        assert 0 == await asyncio.to_thread(applied, server.url, tmp_path, VALUES)
        values = tmp_path / "values.json"
        values.write_text(json.dumps(VALUES))
        client = await connected(Connection(server=server.url, user=USER, password=PASSWORD))
        environment = {"NATS_URL": server.url, "NATS_USER": USER, "NATS_PASSWORD": PASSWORD}
        try:
            async with monitoring(tmp_path, "-f", str(values), **environment) as monitor:
                here = Watched(server, tmp_path, client, monitor)

                async def whole() -> bool:
                    found = await here.scrape()
                    return {
                        found.get(f'natsmith_{each}{{account="A"}}')
                        for each in ("account_readable", "registry_readable")
                    } == {1}

                await eventually(whole, within=15)
                yield here
        finally:
            await client.close()


async def no_ttl(watched: Watched) -> None:
    await watched.changed(max_age=0)


async def drift(watched: Watched) -> None:
    await watched.changed(max_msgs_per_subject=5)


async def failed_run(watched: Watched) -> None:
    """Only the server tells that a stream which publishes to itself would never end; the other one is there by then."""
    endless = {"subjects": ["n"], "config": {"republish": {"src": "n", "dest": "n"}}}
    more = {"FINE": {"subjects": ["fine"]}, "ENDLESS": endless}
    assert 1 == await watched.apply({**VALUES, "streams": {**VALUES["streams"], **more}})


async def silent_service(watched: Watched) -> None:
    await put(watched.client, "payments.a", b'{"v":1,"status":"healthy","ttl":2,"metadata":{}}')


async def little_room(watched: Watched) -> None:
    for _ in range(5):
        await watched.client.jetstream().publish("s.large", bytes(700_000))


async def lag(watched: Watched) -> None:
    stream = watched.client.jetstream()
    for _ in range(1001):
        await stream.publish_async("s.x", b"")
    await stream.publish_async_completed()


async def dead_letter(watched: Watched) -> None:
    stream = watched.client.jetstream()
    await stream.publish("s.bad", b"")
    [message] = await (await stream.pull_subscribe_bind("w", "S")).fetch(1, timeout=5)
    await message.term()


async def no_server(watched: Watched) -> None:
    watched.server.stop()


FAULTS: list[tuple[Callable[[Watched], Awaitable[None]], str, set[str]]] = [
    (no_ttl, 'natsmith_ttl_seconds{account="A", kind="bucket", name="sessions"} 0', {"NatsmithTTLMissing", "NatsmithDrift"}),
    (drift, 'natsmith_differs{account="A", kind="bucket", name="sessions"} 1', {"NatsmithDrift"}),
    (failed_run, 'natsmith_last_run_timestamp_seconds{account="A", result="stopped halfway"}', {"NatsmithRunFailed"}),
    (silent_service, 'natsmith_registry_gone_total{account="A", why="expired"} 1', {"NatsmithServicesStale"}),
    (little_room, 'natsmith_account_bytes{account="A", storage="storage"} >3000000', {"NatsmithStorageFull"}),
    (lag, 'natsmith_consumer_pending{account="A", consumer="w", stream="S"} 1001', {"NatsmithConsumerLag"}),
    (dead_letter, 'natsmith_dead_letters{account="A", stream="S_w_dead"} 1', {"NatsmithDeadLetters"}),
    (no_server, 'natsmith_account_readable{account="A"} 0', {"NatsmithAccountUnreadable"}),
]  # fmt: skip


def is_so(scrape: Scrape, expected: str) -> bool:
    """Whether a scrape has a series, with a value where one is said."""
    series, _, value = expected.rpartition("} ") if "} " in expected else (expected.removesuffix("}"), "", "")
    found = scrape.get(series + "}")
    if found is None or not value:
        return found is not None
    return found > float(value[1:]) if value[0] == ">" else found == float(value)


def story(before: Scrape, after: Scrape, expected: set[str]) -> dict[str, Any]:
    """Return a test for promtool: all was as before for a while, and then as after; these alerts fired meanwhile."""

    def values(series: str) -> str:
        first = f"{before[series]}x{BEFORE - 1}" if series in before else f"_x{BEFORE}"
        return f"{first} {after[series]}x{AFTER}" if series in after else f"{first} stale"

    fired = f'group by (alertname) (count_over_time(ALERTS{{alertstate="firing"}}[{BEFORE + AFTER}m]))'
    samples = [{"labels": f'{{alertname="{each}"}}', "value": 1} for each in sorted(expected)]
    return {
        "rule_files": ["rules.yaml"],
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": each, "values": values(each)} for each in sorted({*before, *after})],
                "promql_expr_test": [{"expr": fired, "eval_time": f"{BEFORE + AFTER - 1}m", "exp_samples": samples}],
            }
        ],
    }


@pytest.mark.parametrize(("fault", "seen", "expected"), FAULTS, ids=lambda each: getattr(each, "__name__", ""))
async def test_a_fault_fires_its_alert_and_no_other(
    promtool: Promtool, watched: Watched, fault: Callable[[Watched], Awaitable[None]], seen: str, expected: set[str]
) -> None:
    """Whatever the monitor measures then, the rules of the chart make of it the alert that is named after the fault."""
    before = await watched.scrape()
    assert "" == promtool.test(story(before, before, set()))

    await fault(watched)

    async def visible() -> bool:
        return is_so(await watched.scrape(), seen)

    await eventually(visible, within=30)
    assert "" == promtool.test(story(before, await watched.scrape(), expected))


async def test_a_monitor_that_is_gone_is_missed(promtool: Promtool, watched: Watched) -> None:
    """Where nothing is scraped any more, no other alert would tell."""
    assert "" == promtool.test(story(await watched.scrape(), {}, {"NatsmithMonitorMissing"}))
