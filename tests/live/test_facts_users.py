"""What natsmith was built on: which rights a user needs, and how a lock is held, on each server version."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from contract import changed, found, stream
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import JetStream, connect
from natsmith.adapters.server import WRONG_LAST_SEQUENCE, Refused
from natsmith.errors import DecisionNeeded
from natsmith.log import Log
from natsmith.model.units import NANOS
from waiting import Eventually

RIGHTS = [
    "INFO",
    "STREAM.LIST",
    *(f"STREAM.{verb}.*" for verb in ("INFO", "CREATE", "UPDATE", "DELETE", "PURGE", "MSG.GET")),
    "DIRECT.GET.*.>",
    "CONSUMER.LIST.*",
    *(f"CONSUMER.{verb}.*.*" for verb in ("INFO", "DELETE", "PAUSE")),
    "CONSUMER.CREATE.*.>",
]
"""What a provisioner publishes under ``$JS.API.``."""


def restricted(*, publish: list[str], subscribe: list[str]) -> dict[str, Any]:
    """Return the part of a server's configuration with one user of few rights."""
    user = {"user": "u", "password": "p", "permissions": {"publish": publish, "subscribe": subscribe}}
    return {"accounts": {"A": {"jetstream": "enabled", "users": [user]}}}


@pytest.fixture
def provisioner() -> dict[str, Any]:
    api = [f"$JS.API.{right}" for right in RIGHTS]
    return restricted(publish=[*api, "$KV.natsmith_state.>"], subscribe=["_INBOX_p.>", "$JS.EVENT.ADVISORY.>"])


async def test_a_provisioner_needs_no_more_than_its_rights(
    private_server: Any, provisioner: Any, eventually: Any
) -> None:
    embedded = private_server(**provisioner)
    mine = Connection(server=embedded.url, user="u", password="p", inbox_prefix="_INBOX_p")
    async with await connect(mine, timeout=10, log=Log()) as server:
        state = stream("KV_natsmith_state", subjects=["$KV.natsmith_state.>"])
        config = (await server.create_stream(state)).config
        await server.publish("$KV.natsmith_state.a", b"", expect=0)
        await changed(server, config, description="d")
        assert await server.last("KV_natsmith_state", "$KV.natsmith_state.a") is not None
        assert await server.count_since("KV_natsmith_state", "2020-01-01T00:00:00Z") == 1
        assert await server.subject_counts("KV_natsmith_state") == {"$KV.natsmith_state.a": 1}
        await server.put_consumer("KV_natsmith_state", {"durable_name": "c"}, verb="create")
        assert len(await server.consumers("KV_natsmith_state")) == 1
        await server.delete_consumer("KV_natsmith_state", "c")
        await server.create_stream({"name": "M", "mirror": {"name": "KV_natsmith_state"}})

        async def copied() -> bool:
            return (await found(server, "M")).messages == 1

        await eventually(copied, within=10)
        assert await server.purge_stream("KV_natsmith_state") == 1
        await server.delete_stream("M")


async def test_what_a_user_may_not_ask_fails_at_once(private_server: Any) -> None:
    embedded = private_server(**restricted(publish=["$JS.API.INFO"], subscribe=["_INBOX.>"]))
    async with await connect(Connection(server=embedded.url, user="u", password="p"), timeout=10, log=Log()) as server:
        # Who waited until a time-out would say NotReady.
        with pytest.raises(DecisionNeeded) as denied:
            await server.create_stream(stream("Orders"))
        await asyncio.gather(*(_denied(server, f"S{number}") for number in range(50)))

        assert "user u" in str(denied.value)
        assert "$JS.API.STREAM.CREATE.Orders" in str(denied.value)
        assert "grant that user publish on $JS.API.STREAM.CREATE.*" in str(denied.value)


async def _denied(server: JetStream, name: str) -> None:
    with pytest.raises(DecisionNeeded, match=rf"STREAM\.INFO\.{name} "):
        await server.stream(name)


async def lock_stream(server: JetStream, **more: Any) -> None:
    await server.create_stream(stream(max_msgs_per_subject=1, allow_msg_ttl=True, **more))


async def take(server: JetStream, *, expect: int = 0, ttl: int = 1) -> int | None:
    """Return the sequence of the lock that was taken or refreshed, or None if somebody else holds it."""
    try:
        return await server.publish("S.lock", b"", expect=expect, ttl=ttl)
    except Refused as refused:
        if refused.code != WRONG_LAST_SEQUENCE:
            raise
        return None


async def test_a_lock_is_free_soon_after_its_last_refresh(server: JetStream) -> None:
    await lock_stream(server)
    held = await take(server)
    assert held is not None
    refreshed = await take(server, expect=held)
    began = time.monotonic()

    while await take(server) is None:
        assert time.monotonic() - began < 2
        # Nothing announces that a message without a marker expired; the line above bounds the wait.
        await asyncio.sleep(0.02)
    assert time.monotonic() - began > 0.9
    assert await take(server, expect=refreshed or 0) is None


async def test_with_markers_a_lock_is_free_only_after_the_marker(server: JetStream, eventually: Eventually) -> None:
    await lock_stream(server, subject_delete_marker_ttl=60 * NANOS)
    held = await take(server)

    async def marked() -> bool:
        last = await server.last("S", "S.lock")
        return last is not None and last.sequence != held

    await eventually(marked, within=3)
    assert await take(server) is None


async def test_a_tombstone_blocks_a_lock_and_a_purge_frees_it(server: JetStream) -> None:
    await lock_stream(server)
    held = await take(server, ttl=60)
    assert held is not None
    tombstone = await server.publish("S.lock", b"", expect=held)

    assert await take(server) is None
    assert await server.purge_stream("S", subject="S.lock", before=tombstone + 1) == 1
    newer = await take(server, ttl=60)
    assert newer is not None
    assert await server.purge_stream("S", subject="S.lock", before=tombstone + 1) == 0
    assert (await found(server)).last_sequence == newer
