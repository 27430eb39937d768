"""A move keeps what a stream holds: every message with its sequence, its time and its headers, on each server."""

from __future__ import annotations

import io
from typing import Any

import nats.aio.client
import pytest

from contract import found
from moving import (
    api,
    applied,
    bucket,
    contents,
    names,
    planned,
    put,
    stream,
    values,
    where_moves_are_possible,
)
from natsmith.adapters.jetstream import JetStream
from waiting import Eventually

pytestmark = where_moves_are_possible

THERE_AND_BACK = [("memory", "file"), ("file", "memory")]


async def filled(client: nats.aio.client.Client, subject: str, count: int = 300) -> None:
    """Publish so many messages on 100 subjects, so that some have several."""
    for number in range(count):
        await put(client, f"{subject}.{number % 100}", f"v{number}".encode(), Trace=str(number))


@pytest.mark.parametrize(("before", "after"), THERE_AND_BACK)
async def test_a_bucket_keeps_its_entries_word_for_word(
    server: JetStream, nats_connection: nats.aio.client.Client, before: str, after: str
) -> None:
    """Values, revisions, times and headers are as they were, in the other storage."""
    await applied(server, bucket(storage=before, history=2))
    await filled(nats_connection, "$KV.b")
    entries = await contents(nats_connection, "KV_b")

    await applied(server, bucket(storage=after, history=2))

    assert 200 == len(entries)
    assert entries == await contents(nats_connection, "KV_b")
    assert after == (await found(server, "KV_b")).config["storage"]


@pytest.mark.parametrize(("before", "after"), THERE_AND_BACK)
async def test_a_stream_keeps_its_messages_word_for_word(
    server: JetStream, nats_connection: nats.aio.client.Client, before: str, after: str
) -> None:
    await applied(server, stream(storage=before))
    await filled(nats_connection, "S")
    messages = await contents(nats_connection, "S")

    await applied(server, stream(storage=after))

    assert 300 == len(messages)
    assert messages == await contents(nats_connection, "S")
    assert after == (await found(server)).config["storage"]


@pytest.mark.parametrize(("before", "after"), THERE_AND_BACK)
async def test_an_object_store_keeps_its_objects(
    server: JetStream, nats_connection: nats.aio.client.Client, before: str, after: str
) -> None:
    """Chunks and what describes them are read by a client that checks their digests."""
    await applied(server, values({"objectStores": {"o": {"storage": before}}}))
    store = await nats_connection.jetstream().object_store("o")
    await store.put("big", io.BytesIO(bytes(range(256)) * 2000))
    await store.put("gone", b"x")
    await store.delete("gone")
    messages = await contents(nats_connection, "OBJ_o")

    await applied(server, values({"objectStores": {"o": {"storage": after}}}, loss="allow"))

    assert messages == await contents(nats_connection, "OBJ_o")
    assert bytes(range(256)) * 2000 == (await store.get("big")).data
    assert ["big"] == [each.name for each in await store.list(ignore_deletes=True)]


async def test_an_empty_bucket_moves_too(server: JetStream) -> None:
    await applied(server, bucket(storage="memory"))

    await applied(server, bucket(storage="file"))

    assert "file" == (await found(server, "KV_b")).config["storage"]


async def test_nothing_temporary_is_left(server: JetStream, nats_connection: nats.aio.client.Client) -> None:
    """No stream, no consumer, no memory of the move; and a plan finds nothing to do."""
    document = stream(storage="file", consumers={"c": {}})
    await applied(server, stream(storage="memory", consumers={"c": {}}))
    await filled(nats_connection, "S", 10)

    await applied(server, document)

    assert ["S"] == await names(server)
    assert ["c"] == [each.name for each in await server.consumers("S")]
    assert "natsmith.move" not in (await found(server)).config["metadata"]
    assert not (await planned(server, document)).changes


async def test_the_configuration_is_what_a_new_one_would_have(server: JetStream) -> None:
    """A bucket that was moved has every setting that one has which begins so."""
    settings: dict[str, Any] = {
        "history": 3,
        "ttlSeconds": 600,
        "maxBytes": 2**20,
        "maxValue": 1000,
        "description": "d",
    }
    await applied(server, values({"buckets": {"b": {"storage": "memory", **settings}}}))

    await applied(server, values({"buckets": {each: {"storage": "file", **settings} for each in ("b", "new")}}))

    moved, new = [(await found(server, name)).config for name in ("KV_b", "KV_new")]
    assert {**new, "name": "KV_b", "subjects": ["$KV.b.>"], "metadata": {}} == {**moved, "metadata": {}}
    assert new["metadata"] == moved["metadata"]


async def test_history_that_is_lowered_with_the_move_keeps_the_newest_values(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    await applied(server, bucket(storage="memory", history=5))
    await filled(nats_connection, "$KV.b")
    newest = (await contents(nats_connection, "KV_b"))[-100:]

    await applied(server, values({"buckets": {"b": {"storage": "file", "history": 1}}}, loss="allow"))

    assert newest == await contents(nats_connection, "KV_b")


async def test_a_bucket_goes_on_counting(server: JetStream, nats_connection: nats.aio.client.Client) -> None:
    """The next revision is higher than any before, and a write that expects the last one succeeds."""
    await applied(server, bucket(storage="memory"))
    await filled(nats_connection, "$KV.b", 10)
    await applied(server, bucket(storage="file"))

    answer = await put(nats_connection, "$KV.b.9", b"y", Nats_Expected_Last_Subject_Sequence="10")

    assert 10 < answer["seq"]


async def test_a_repeated_message_is_still_one(server: JetStream, nats_connection: nats.aio.client.Client) -> None:
    """What a publisher sends again after the move is known from before it."""
    await applied(server, stream(storage="memory", duplicateWindowSeconds=120))
    first = await put(nats_connection, "S.a", Nats_Msg_Id="one")

    await applied(server, stream(storage="file", duplicateWindowSeconds=120))

    again = await put(nats_connection, "S.a", Nats_Msg_Id="one")
    assert (True, first["seq"]) == (again.get("duplicate"), again["seq"])


async def test_what_was_republished_is_not_republished_again(
    server: JetStream, nats_connection: nats.aio.client.Client, eventually: Eventually
) -> None:
    """A listener hears each message once, and those after the move as well."""
    republish = {"source": "S.>", "destination": "out.>"}
    await applied(server, stream(storage="memory", republish=republish))
    await filled(nats_connection, "S", 20)
    heard: list[bytes] = []

    async def hear(msg: Any) -> None:
        heard.append(msg.data)

    await nats_connection.subscribe("out.>", cb=hear)
    await nats_connection.flush()
    await applied(server, stream(storage="file", republish=republish))
    await put(nats_connection, "S.new", b"last")

    async def last() -> bool:
        return b"last" in heard

    await eventually(last, within=5)
    assert [b"last"] == heard


async def test_a_subject_is_transformed_once(server: JetStream, nats_connection: nats.aio.client.Client) -> None:
    transform = {"source": "S.>", "destination": "S.in.>"}
    await applied(server, stream(storage="memory", subjectTransform=transform))
    await put(nats_connection, "S.a")

    await applied(server, stream(storage="file", subjectTransform=transform))

    await put(nats_connection, "S.b")
    assert ["S.in.a", "S.in.b"] == [each.subject for each in await contents(nats_connection, "S")]


async def test_what_is_compressed_stays_readable_and_compressed(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    await applied(server, stream(storage="file", compression="s2"))
    await filled(nats_connection, "S")
    messages = await contents(nats_connection, "S")

    await applied(server, stream(storage="memory", compression="s2"))
    await applied(server, stream(storage="file", compression="s2"))

    assert messages == await contents(nats_connection, "S")
    assert "s2" == (await found(server)).config["compression"]


async def test_gaps_stay_gaps(server: JetStream, nats_connection: nats.aio.client.Client) -> None:
    """What was deleted in the middle, at the beginning and at the end is not there afterwards, and is no sequence again."""
    await applied(server, stream(storage="memory"))
    await filled(nats_connection, "S", 10)
    for sequence in (1, 2, 5, 9, 10):
        await api(nats_connection, "STREAM.MSG.DELETE.S", {"seq": sequence})
    messages = await contents(nats_connection, "S")

    await applied(server, stream(storage="file"))

    assert messages == await contents(nats_connection, "S")
    assert 10 < (await put(nats_connection, "S.a"))["seq"]


async def test_a_stream_that_lets_nobody_delete_moves_and_lets_nobody_delete(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    settings = {"denyDelete": True, "denyPurge": True}
    await applied(server, stream(storage="memory", **settings))
    await filled(nats_connection, "S", 10)
    messages = await contents(nats_connection, "S")

    await applied(server, stream(storage="file", **settings))

    assert messages == await contents(nats_connection, "S")
    refused = [await api(nats_connection, call, {"seq": 1}) for call in ("STREAM.MSG.DELETE.S", "STREAM.PURGE.S")]
    assert [10057, 10110] == [each["error"]["err_code"] for each in refused]


async def test_a_stream_that_answers_no_publisher_moves_too(
    server: JetStream, nats_connection: nats.aio.client.Client, eventually: Eventually
) -> None:
    """What marks the end of a copy is answered all the same."""
    await applied(server, stream(storage="memory", noAck=True))
    for number in range(10):
        await nats_connection.publish(f"S.{number}", b"x")

    async def stored() -> bool:
        return (await found(server)).messages == 10

    await eventually(stored, within=5)
    messages = await contents(nats_connection, "S")

    await applied(server, stream(storage="file", noAck=True))

    assert messages == await contents(nats_connection, "S")
    assert (await found(server)).config["no_ack"]
