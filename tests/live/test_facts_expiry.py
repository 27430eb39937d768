"""What natsmith was built on: how values expire on each server version, as applications see it."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import nats.aio.client
import pytest
from nats.js.api import KeyValueConfig
from nats.js.errors import APIError, KeyNotFoundError
from nats.js.kv import KeyValue

from contract import changed, filled, found, stream
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import JetStream, connect
from natsmith.log import Log
from natsmith.model.units import NANOS
from waiting import Eventually


def bucket(**more: Any) -> dict[str, Any]:
    """Return the bucket b, with history 1 unless *more* says otherwise."""
    fixed = {"discard": "new", "deny_delete": True, "allow_rollup_hdrs": True, "allow_direct": True}
    return {**stream("KV_b", subjects=["$KV.b.>"], max_msgs_per_subject=1), **fixed, **more}


async def put(client: nats.aio.client.Client, subject: str, value: bytes, **headers: str) -> dict[str, Any]:
    """Publish *value* with headers such as ``Nats_TTL`` and return the server's answer."""
    named = {key.replace("_", "-"): text for key, text in headers.items()}
    answer: dict[str, Any] = json.loads((await client.request(subject, value, headers=named, timeout=5)).data)
    return answer


async def value(server: JetStream, key: str = "a") -> bytes | None:
    last = await server.last("KV_b", f"$KV.b.{key}")
    return last.payload if last else None


async def test_a_bucket_of_nats_py_is_a_stream_with_message_ttls_and_without_direct_get(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    await nats_connection.jetstream().create_key_value(KeyValueConfig(bucket="b", history=10, ttl=60))

    config = (await found(server, "KV_b")).config
    assert {
        "subjects": ["$KV.b.>"],
        "discard": "new",
        "deny_delete": True,
        "allow_rollup_hdrs": True,
        "max_msgs_per_subject": 10,
        "max_age": 60 * NANOS,
        "allow_direct": False,
        "allow_msg_ttl": True,
    }.items() <= config.items()


async def test_an_application_that_creates_its_bucket_with_the_old_ttl_fails_after_a_change(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    jetstream = nats_connection.jetstream()
    await jetstream.create_key_value(KeyValueConfig(bucket="b", ttl=60))
    await jetstream.create_key_value(KeyValueConfig(bucket="b", ttl=60))
    await changed(server, (await found(server, "KV_b")).config, max_age=90 * NANOS)

    with pytest.raises(APIError) as refused:
        await jetstream.create_key_value(KeyValueConfig(bucket="b", ttl=60))
    assert refused.value.err_code == 10058


async def test_the_age_of_a_bucket_changes_in_place_both_ways(server: JetStream) -> None:
    config = (await server.create_stream(bucket(max_age=300 * NANOS))).config
    await server.publish("$KV.b.a", b"v")

    for age, window in ((600, 120), (60, 60), (90, 90)):
        after = await changed(server, config, max_age=age * NANOS, duplicate_window=0)
        assert (age * NANOS, window * NANOS) == (after.config["max_age"], after.config["duplicate_window"])
    assert await value(server) == b"v"


@pytest.mark.parametrize("ttl", ["500ms", "0.5s", "nonsense", "-1s"])
async def test_a_message_ttl_is_at_least_one_second(
    server: JetStream, nats_connection: nats.aio.client.Client, ttl: str
) -> None:
    await server.create_stream(bucket(allow_msg_ttl=True))

    assert (await put(nats_connection, "$KV.b.a", b"", Nats_TTL=ttl))["error"]["err_code"] == 10165


async def test_a_message_ttl_is_late_by_less_than_a_second(server: JetStream) -> None:
    await server.create_stream(bucket(allow_msg_ttl=True))
    await server.publish("$KV.b.a", b"v", ttl=1)
    began = time.monotonic()

    while await value(server) is not None:
        assert time.monotonic() - began < 2
        # Nothing announces an expiry without a marker; the line above bounds the wait.
        await asyncio.sleep(0.02)
    assert time.monotonic() - began > 0.9


async def test_the_age_of_a_bucket_caps_a_longer_message_ttl(server: JetStream, eventually: Eventually) -> None:
    await server.create_stream(bucket(allow_msg_ttl=True, max_age=NANOS))
    await server.publish("$KV.b.a", b"v", ttl=60)

    async def gone() -> bool:
        return await value(server) is None

    await eventually(gone, within=3)


async def test_a_message_ttl_survives_a_crash(private_server: Any, eventually: Eventually) -> None:
    embedded = private_server()
    here = Connection(server=embedded.url)
    async with await connect(here, timeout=10, log=Log()) as server:
        await server.create_stream(bucket(allow_msg_ttl=True, storage="file"))
        await server.publish("$KV.b.a", b"v", ttl=2)
        await server.publish("$KV.b.b", b"v")
    embedded.kill()
    embedded.start()
    async with await connect(here, timeout=10, log=Log()) as server:

        async def gone() -> bool:
            return await value(server) is None

        await eventually(gone, within=4)
        assert await value(server, "b") == b"v"


async def test_an_expired_value_uncovers_an_older_one(server: JetStream, eventually: Eventually) -> None:
    await server.create_stream(bucket(max_msgs_per_subject=5, allow_msg_ttl=True))
    await server.publish("$KV.b.a", b"old")
    await server.publish("$KV.b.a", b"new", ttl=1)
    assert await value(server) == b"new"

    async def back() -> bool:
        return await value(server) == b"old"

    await eventually(back, within=3)


async def test_a_rollup_with_each_ttl_leaves_nothing_to_uncover(
    server: JetStream, nats_connection: nats.aio.client.Client, eventually: Eventually
) -> None:
    await server.create_stream(bucket(max_msgs_per_subject=5, allow_msg_ttl=True))
    await server.publish("$KV.b.a", b"old")
    await put(nats_connection, "$KV.b.a", b"new", Nats_TTL="1s", Nats_Rollup="sub")

    async def gone() -> bool:
        return await value(server) is None

    await eventually(gone, within=3)


async def test_a_watcher_sees_an_expiry_with_markers_as_a_purge(
    server: JetStream, nats_connection: nats.aio.client.Client, eventually: Eventually
) -> None:
    await server.create_stream(bucket(subject_delete_marker_ttl=60 * NANOS))
    store = await nats_connection.jetstream().key_value("b")
    watcher = await store.watchall()
    await server.publish("$KV.b.a", b"v", ttl=1)

    seen: list[KeyValue.Entry] = []
    while len(seen) < 2:
        update = await watcher.updates(timeout=5)  # type: ignore[no-untyped-call]  # nats-py's
        if update:
            seen.append(update)
    await watcher.stop()  # type: ignore[no-untyped-call]  # nats-py's
    assert [(each.operation, each.value or b"") for each in seen] == [(None, b"v"), ("PURGE", b"")]
    assert (await store.get("a")).value in (None, b"")


async def test_without_markers_an_expired_key_is_not_found(
    server: JetStream, nats_connection: nats.aio.client.Client, eventually: Eventually
) -> None:
    await server.create_stream(bucket(max_age=NANOS))
    store = await nats_connection.jetstream().key_value("b")
    await store.put("a", b"v")

    async def gone() -> bool:
        return await value(server) is None

    await eventually(gone, within=3)
    with pytest.raises(KeyNotFoundError):
        await store.get("a")


async def test_a_smaller_age_destroys_old_values_before_the_update_answers(server: JetStream) -> None:
    config = await filled(server, *["S.a"] * 500)
    # Time itself is what is waited for: the messages must be older than the new age.
    await asyncio.sleep(0.3)

    after = await changed(server, config, max_age=NANOS // 5, duplicate_window=0)
    assert after.messages == 0
