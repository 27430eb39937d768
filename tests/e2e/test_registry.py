"""Row A: a service registry whose entries must expire, from a bucket that somebody made by hand."""

from __future__ import annotations

import json

from nats.aio.client import Client
from nats.js.errors import KeyNotFoundError

from e2e.cluster import Manifest, Ran
from e2e.release import MakeRelease, Release
from waiting import eventually

SECOND = 1_000_000_000
SERVICES = ("orders.1", "orders.2", "payments.1")


def ttl(registry: Release, seconds: int) -> Ran:
    """Upgrade to another time to live, as NOTES tell it."""
    sets = ["toolbox.enabled=true", f"buckets.service_registry.ttlSeconds={seconds}"]
    return registry.installed("registry.yaml", sets=sets)


async def stream(client: Client) -> Manifest:
    """Return the bucket's stream as the server tells it."""
    answer: Manifest = json.loads((await client.request("$JS.API.STREAM.INFO.KV_service_registry", timeout=10)).data)
    return answer


async def beat(client: Client) -> dict[str, int]:
    """Write each service's entry, as its heartbeat does; return their revisions."""
    bucket = await client.jetstream().key_value("service_registry")
    return {name: await bucket.put(name, b"up") for name in SERVICES}


async def seen(client: Client) -> dict[str, int | None]:
    """Return the revision of each service's entry, None for one that is gone."""
    bucket = await client.jetstream().key_value("service_registry")
    found: dict[str, int | None] = {}
    for name in SERVICES:
        try:
            found[name] = (await bucket.get(name)).revision
        except KeyNotFoundError:
            found[name] = None
    return found


async def test_a_bucket_made_by_hand_expires_from_the_upgrade_on(release: MakeRelease) -> None:
    """max_age 0 becomes 30, 60 and 20 seconds in the very same stream, under one connection; no entry is lost."""
    registry = release("registry")
    registry.installed()
    registry.namespace.kubectl("rollout", "status", f"statefulset/{registry.fullname}", "--timeout=60s")
    async with registry.client() as client:
        await client.jetstream().create_key_value(bucket="service_registry", history=10)
        before = await stream(client)
        assert 0 == before["config"]["max_age"]

        for older, seconds in ((0, 30), (30, 60), (60, 20)):
            beats = await beat(client)
            ran = ttl(registry, seconds)

            after = await stream(client)
            assert (before["created"], seconds * SECOND) == (after["created"], after["config"]["max_age"])
            assert beats == await seen(client)
            assert f"ttlSeconds {older} -> {seconds}" in ran.text
            assert "update bucket service_registry:" in ran.text
            # The first upgrade makes the bucket `elections` too.
            assert ("1 change applied" if older else "2 changes applied") in ran.text

    assert 10 == before["config"]["max_msgs_per_subject"]
    registry.namespace.wait(f"deployment/{registry.fullname}-toolbox", "condition=Available")
    assert "bucket service_registry: owner" in registry.natsmith("status").out


async def test_a_rollback_brings_the_older_ttl_back(release: MakeRelease) -> None:
    """The rollback's own Job does it, in place, and its log is shown; what had too short a life is gone."""
    registry = release("registry")
    ttl(registry, 600)
    async with registry.client() as client:
        created = (await stream(client))["created"]
        await beat(client)
        ran = ttl(registry, 5)
        assert "ttlSeconds 600 -> 5" in ran.text
        await beat(client)

        async def gone() -> bool:
            return set((await seen(client)).values()) == {None}

        # Five seconds to live, the server's own slack, and a busy machine.
        await eventually(gone, within=15)

        beats = await beat(client)
        back = registry.run("rollback", registry.name, "1")

        assert 0 == back.code, back.text
        assert "ttlSeconds 5 -> 600" in back.text
        assert "1 change applied" in back.text
        after = await stream(client)
        assert (created, 600 * SECOND) == (after["created"], after["config"]["max_age"])
        assert beats == await seen(client)
