"""What the doctor of a service registry finds and measures, on real servers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import nats
import nats.aio.client
import pytest

from cli import Natsmith
from natsmith.registry import Registry
from registering import keys, make, put
from versions import VERSIONS

newest = pytest.mark.parametrize("release", VERSIONS[-1:])
oldest_and_newest = pytest.mark.parametrize("release", [VERSIONS[0], VERSIONS[-1]])


@oldest_and_newest
async def test_a_doctor_measures_that_entries_expire(
    natsmith: Natsmith, nats_connection: nats.aio.client.Client
) -> None:
    """While services live, so that their heartbeats are seen too; nobody takes the canary for one."""
    await make(nats_connection, ttl=4, max_msgs_per_subject=10)
    await make(nats_connection, name="elections", allow_msg_ttl=True, ttl=0)
    heard: set[str] = set()

    async def watch(registry: Registry) -> None:
        async for change in registry.watch():
            heard.add(change.instance.service)

    async with Registry(nats_connection) as registry, registry.instance("payments", id="a"):
        watching = asyncio.create_task(watch(registry))
        seen = await natsmith("registry", "doctor", "--output", "json")
        watching.cancel()
    document = json.loads(seen.stdout)

    results = {each["about"]: each["result"] for each in document["findings"]}
    assert {"good"} == {results[each] for each in ("ttl", "history", "storage", "expiry", "elections")}, seen.text
    assert (4 if "bad" in results.values() else 0) == seen.code  # on a busy machine heartbeats may be late
    assert 4 == document["promisedSeconds"]
    assert 3 < document["measuredSeconds"]
    assert {"payments"} == heard
    assert set() == {each for each in await keys(nats_connection) if each.startswith("natsmith")}


@oldest_and_newest
async def test_a_doctor_measures_a_ttl_of_a_single_key_where_the_bucket_has_none(
    natsmith: Natsmith, nats_connection: nats.aio.client.Client
) -> None:
    await make(nats_connection, allow_msg_ttl=True, ttl=0)

    seen = await natsmith("registry", "doctor")

    assert 0 == seen.code, seen.text
    assert "promised are 2 s by a TTL of its own" in seen.row("good expiry")
    assert "there is no bucket elections" in seen.row("good elections")


@newest
async def test_a_doctor_names_what_never_expires(natsmith: Natsmith, nats_connection: nats.aio.client.Client) -> None:
    await make(nats_connection, storage="memory", ttl=0)
    await make(nats_connection, name="elections", max_msgs_per_subject=5, allow_msg_ttl=True, ttl=0)
    await put(nats_connection, "older", {"service": "stock", "id": "7"})

    seen = await natsmith("registry", "doctor")

    assert 4 == seen.code
    assert "set buckets.service_registry.ttlSeconds to 30" in seen.row("bad ttl")
    assert "in memory" in seen.row("careful storage")
    assert "nothing expires in this bucket" in seen.row("careful expiry")
    assert "it keeps 5 values of a key" in seen.row("bad elections")
    assert "older has the shape of before natsmith" in seen.row("careful entries")
    assert seen.last.startswith("Not as it should be: 2 findings")


@newest
async def test_a_doctor_asks_before_it_waits_long(natsmith: Natsmith, nats_connection: nats.aio.client.Client) -> None:
    await make(nats_connection, ttl=3600)

    seen = await natsmith("registry", "doctor")

    assert 0 == seen.code
    assert "--prove-seconds 3600 waits for it" in seen.row("careful expiry")


@newest
async def test_a_doctor_of_a_bucket_that_is_missing(natsmith: Natsmith) -> None:
    seen = await natsmith("registry", "doctor", "--output", "json")
    [finding] = [each for each in json.loads(seen.stdout)["findings"] if each["about"] == "bucket"]

    assert 3 == seen.code
    assert "there is no bucket service_registry" == finding["text"]
    assert "provision it (values: buckets.service_registry, profile serviceRegistry)" == finding["cure"]


@newest
async def test_a_clock_that_is_wrong_changes_nothing_but_is_told(
    natsmith: Natsmith, nats_connection: nats.aio.client.Client, tmp_path: Path
) -> None:
    """Here it is an hour ahead; ages are by the server's."""
    ahead = tmp_path / "ahead"
    ahead.mkdir()
    shift = "import time\nright = time.time\ntime.time = lambda: right() + 3600\n"
    (ahead / "sitecustomize.py").write_text(shift)
    await make(nats_connection, ttl=30)
    async with Registry(nats_connection) as registry, registry.instance("payments", id="a"):
        listed = await natsmith("registry", "list", PYTHONPATH=str(ahead))
        cleaned = await natsmith("registry", "clean", PYTHONPATH=str(ahead))
        seen = await natsmith("registry", "doctor", "--prove-seconds", "1", PYTHONPATH=str(ahead))

    assert listed.row("payments a").endswith("fresh")
    assert "Nothing to clean: 1 entry." == cleaned.last
    assert "3600 s ahead of the server's" in seen.row("careful clock")
