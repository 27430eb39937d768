"""Refusals: nothing is changed, the terminal says what and where, and the next correct upgrade heals the release."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

from nats.aio.client import Client
from nats.js.errors import NoKeysError

from e2e.cluster import Ran
from e2e.release import CHART, MakeRelease, Release

KINDS = "statefulset,deployment,service,configmap,secret,job,networkpolicy,serviceaccount"


def upgraded(dev: Release, *sets: str) -> Ran:
    """Upgrade with the values of dev.yaml and *sets*; it may fail."""
    return dev.upgrade("dev.yaml", sets=sets)


def installed(dev: Release, *sets: str) -> None:
    """Install or upgrade with the values of dev.yaml and *sets*, and wait for the toolbox."""
    dev.installed("dev.yaml", sets=sets)
    dev.namespace.wait(f"deployment/{dev.fullname}-toolbox", "condition=Available")


def touched(dev: Release) -> dict[str, Any]:
    """Return all that an upgrade would touch: the revision, the objects in Kubernetes, and the buckets."""
    objects = {
        f"{each['kind']} {each['metadata']['name']}": (
            each["metadata"]["uid"],
            each["metadata"].get("generation"),
            each.get("data"),
        )
        for each in dev.namespace.all(KINDS)
        if not each["metadata"]["name"].startswith("sh.helm.release")
    }
    return {"revision": dev.revision, "objects": objects, "account": dev.exported()}


def consent_in(text: str) -> str:
    """Return the consent that a refusal offers, as Helm's --set takes it."""
    found = re.findall(r"--set (provisioner\.consent\.\S+=c-[0-9a-f]+)", text)
    assert len(set(found)) == 1, text
    return str(found[0])


async def filled(client: Client, bucket: str, values: Sequence[bytes] = (b"one", b"two", b"three")) -> None:
    """Put one value after the other under one key."""
    store = await client.jetstream().key_value(bucket)
    for value in values:
        await store.put("alice", value)


async def kept(client: Client, bucket: str) -> list[bytes | None]:
    """Return every value that a bucket has under the key, oldest first."""
    store = await client.jetstream().key_value(bucket)
    try:
        return [each.value for each in await store.history("alice")]
    except NoKeysError:
        return []


async def test_a_mistake_in_the_values_touches_nothing(release: MakeRelease) -> None:
    """The schema names the key; neither the release nor Kubernetes nor the server has seen the upgrade."""
    dev = release()
    installed(dev)
    before = touched(dev)

    for mistake, where, what in (
        ("ttlSeconds=30s", "/buckets/sessions/ttlSeconds", "got string, want null or integer"),
        ("ttlSecond=30", "/buckets/sessions", "additional properties 'ttlSecond' not allowed"),
        ("replicas=3", "buckets.sessions.replicas is 3, but there is one server", "or lower buckets.sessions.replicas"),
    ):
        ran = upgraded(dev, f"buckets.sessions.{mistake}")

        assert 0 != ran.code
        assert where in ran.text
        assert what in ran.text
        assert before == touched(dev)
    assert "deployed" == dev.status
    installed(dev, "buckets.sessions.ttlSeconds=60")
    assert 60 == dev.exported()["buckets"]["sessions"]["ttlSeconds"]


async def test_a_loss_is_refused_until_exactly_it_is_agreed_to(release: MakeRelease) -> None:
    """No change of the refused plan is made and clients notice nothing; the same upgrade passes with what it printed."""
    dev = release()
    installed(dev, "buckets.sessions.history=5")
    wish = ["buckets.sessions.history=1", "buckets.service_registry.ttlSeconds=60"]
    async with dev.client() as client:
        await filled(client, "sessions")
        before = dev.exported()

        ran = await asyncio.to_thread(upgraded, dev, *wish)

        assert 0 != ran.code
        assert "update bucket sessions: history 5 -> 1; values changed; drops 2 entries; blocked" in ran.text
        assert f"Job/{dev.namespace.name}/{dev.fullname}" in ran.text or "PodFailurePolicy" in ran.text
        assert "failed" == dev.status
        assert (3, "refused", 0) == tuple(dev.outcome()[key] for key in ("exitCode", "result", "changes"))
        assert before == dev.exported()
        # The very connection from before the upgrade: it may not reconnect.
        assert [b"one", b"two", b"three"] == await kept(client, "sessions")

        ran = await asyncio.to_thread(upgraded, dev, *wish, consent_in(ran.text))

        assert 0 == ran.code, ran.text
        assert "drops 2 entries" in ran.text
        assert "deployed" == dev.status
        assert [b"three"] == await kept(client, "sessions")
    buckets = dev.exported()["buckets"]
    assert (1, 60) == (buckets["sessions"].get("history", 1), buckets["service_registry"]["ttlSeconds"])


async def test_without_consent_the_former_values_heal_the_release(release: MakeRelease) -> None:
    """What cannot change in place is refused, first because it was not asked to be replaced, then because it loses data."""
    dev = release()
    installed(dev)
    memory = "buckets.sessions.storage=memory"
    async with dev.client() as client:
        await filled(client, "sessions", [b"token"])

        ran = await asyncio.to_thread(upgraded, dev, memory)

        assert 0 != ran.code
        assert "storage file -> memory; a store cannot be converted in place" in ran.text
        assert "set buckets.sessions.onImmutable: replace to lose entries" in ran.text

        ran = await asyncio.to_thread(upgraded, dev, memory, "buckets.sessions.onImmutable=replace")

        assert 0 != ran.code
        assert "replace bucket sessions" in ran.text
        assert "drops 1 entry" in ran.text
        consent = consent_in(ran.text)
        await asyncio.to_thread(installed, dev)
        assert "deployed" == dev.status
        assert [b"token"] == await kept(client, "sessions")

        # The word was for that change, and that change is still the same.
        await asyncio.to_thread(installed, dev, memory, "buckets.sessions.onImmutable=replace", consent)
        assert [] == await kept(client, "sessions")
    assert "memory" == dev.exported()["buckets"]["sessions"]["storage"]


async def test_where_a_loss_is_refused_so_is_a_smaller_ttl(release: MakeRelease) -> None:
    """With provisioner.loss refuse, as in production, entries do not expire by a change of values that nobody agreed to."""
    dev = release()
    installed(dev, "provisioner.loss=refuse")
    wish = ["provisioner.loss=refuse", "buckets.sessions.ttlSeconds=1"]
    async with dev.client() as client:
        await filled(client, "sessions", [b"token"])

        ran = await asyncio.to_thread(upgraded, dev, *wish)

        assert 0 != ran.code
        assert "update bucket sessions: ttlSeconds 300 -> 1; values changed; expires 1 entry; blocked" in ran.text
        assert [b"token"] == await kept(client, "sessions")

        await asyncio.to_thread(installed, dev, *wish, consent_in(ran.text))

        assert [] == await kept(client, "sessions")
    assert 1 == dev.exported()["buckets"]["sessions"]["ttlSeconds"]


async def test_a_lossy_rollback_prints_its_way_out(release: MakeRelease) -> None:
    """It is refused and changes nothing; Helm then waits for a rollback without the Job, and the line that was printed does it."""
    dev = release()
    installed(dev, "buckets.sessions.history=1")
    installed(dev, "buckets.sessions.history=5")
    async with dev.client() as client:
        await filled(client, "sessions")

        ran = await asyncio.to_thread(dev.run, "rollback", dev.name, "1")

        assert 0 != ran.code
        assert "update bucket sessions: history 5 -> 1; values changed; drops 2 entries; blocked" in ran.text
        assert [b"one", b"two", b"three"] == await kept(client, "sessions")
        # Helm leaves a rollback whose hook failed like this, and lets nothing but another rollback in.
        assert "pending-rollback" == dev.status
        assert "another operation (install/upgrade/rollback) is in progress" in upgraded(dev).text

        assert "after a rollback repeat that with --no-hooks, then: helm upgrade" in ran.text
        assert 0 == dev.run("rollback", dev.name, "1", "--no-hooks").code
        line = re.search(rf"helm (upgrade {dev.name}) CHART (--namespace \S+ --reuse-values --set \S+=c-\w+)", ran.text)
        assert line, ran.text
        followed = await asyncio.to_thread(dev.run, "upgrade", dev.name, str(CHART), *line[2].split())

        assert 0 == followed.code, followed.text
        assert "deployed" == dev.status
        assert [b"three"] == await kept(client, "sessions")
    assert 1 == dev.exported()["buckets"]["sessions"].get("history", 1)


async def test_after_a_refused_rollback_one_may_stay(release: MakeRelease) -> None:
    """A rollback to where one came from loses nothing and heals the release."""
    dev = release()
    installed(dev, "buckets.sessions.history=1")
    installed(dev, "buckets.sessions.history=5")
    async with dev.client() as client:
        await filled(client, "sessions")
        assert 0 != dev.run("rollback", dev.name, "1").code

        ran = await asyncio.to_thread(dev.run, "rollback", dev.name, "2")

        assert 0 == ran.code, ran.text
        assert "Nothing to do: 6 unchanged." in ran.text
        assert "deployed" == dev.status
        assert [b"one", b"two", b"three"] == await kept(client, "sessions")
    installed(dev, "buckets.sessions.history=5", "buckets.sessions.ttlSeconds=60")
    assert 60 == dev.exported()["buckets"]["sessions"]["ttlSeconds"]
