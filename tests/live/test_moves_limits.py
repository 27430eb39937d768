"""What gives way while it is copied: to time, to limits, to a purge; none of it comes back, and no revision is reused."""

from __future__ import annotations

from datetime import datetime, timedelta

import nats.aio.client
import pytest

from contract import found
from moving import (
    CARRIER,
    api,
    applied,
    bucket,
    contents,
    halted,
    put,
    stream,
    where_markers_move,
    where_moves_are_possible,
)
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import JetStream
from natsmith.adapters.server import Refused
from natsmith.model.units import parse_time
from waiting import Eventually

LATE = timedelta(seconds=1.5)
"""Servers remove what is too old at most so late, on a machine that has other work too."""

TWICE = [1, 2]
"""On the way out, and on the way back."""


async def gone_at(server: JetStream, name: str, subject: str, eventually: Eventually) -> datetime:
    """Return when a subject has no message any more, by the server's clock."""

    async def gone() -> bool:
        return await server.last(name, subject) is None

    await eventually(gone, within=8)
    return parse_time((await found(server, name)).now)


@where_moves_are_possible
async def test_the_age_of_an_entry_is_counted_from_its_write(
    server: JetStream, nats_connection: nats.aio.client.Client, eventually: Eventually
) -> None:
    """What was put before the move goes when it would have gone without."""
    await applied(server, bucket(storage="memory", ttlSeconds=4))
    await put(nats_connection, "$KV.b.a")
    (entry,) = await contents(nats_connection, "KV_b")

    await applied(server, bucket(storage="file", ttlSeconds=4))

    assert [entry] == await contents(nats_connection, "KV_b")
    lived = await gone_at(server, "KV_b", "$KV.b.a", eventually) - parse_time(entry.time)
    assert timedelta(seconds=4) <= lived < timedelta(seconds=4) + LATE


@where_moves_are_possible
async def test_an_entry_with_a_time_to_live_of_its_own_goes_at_its_own_time(
    server: JetStream, nats_connection: nats.aio.client.Client, eventually: Eventually
) -> None:
    """Its neighbours, with a longer one and with none, stay."""
    await applied(server, bucket(storage="memory", perKeyTTL=True))
    await put(nats_connection, "$KV.b.a", Nats_TTL="4s")
    await put(nats_connection, "$KV.b.b", Nats_TTL="60s")
    await put(nats_connection, "$KV.b.c")
    entries = await contents(nats_connection, "KV_b")

    await applied(server, bucket(storage="file", perKeyTTL=True))

    assert entries == await contents(nats_connection, "KV_b")
    lived = await gone_at(server, "KV_b", "$KV.b.a", eventually) - parse_time(entries[0].time)
    assert timedelta(seconds=4) <= lived < timedelta(seconds=4) + LATE
    assert entries[1:] == await contents(nats_connection, "KV_b")


@where_moves_are_possible
@pytest.mark.parametrize("nth", TWICE)
async def test_a_tail_that_expires_while_it_is_copied_leaves_no_revision_to_reuse(
    server: JetStream,
    connection: Connection,
    nats_connection: nats.aio.client.Client,
    eventually: Eventually,
    nth: int,
) -> None:
    await applied(server, bucket(storage="memory", perKeyTTL=True))
    await put(nats_connection, "$KV.b.a")
    async with halted(connection, bucket(storage="file", perKeyTTL=True), "park", nth) as go_on:
        last = max([(await put(nats_connection, "$KV.b.t", Nats_TTL="1s"))["seq"] for _ in range(3)])
        await gone_at(server, "KV_b" if nth == 1 else CARRIER + "KV_b", "$KV.b.t", eventually)
        await go_on()

    assert last < (await put(nats_connection, "$KV.b.a"))["seq"]


@where_moves_are_possible
@pytest.mark.parametrize("nth", TWICE)
async def test_a_tail_that_is_purged_while_it_is_copied_leaves_no_revision_to_reuse(
    server: JetStream, connection: Connection, nats_connection: nats.aio.client.Client, nth: int
) -> None:
    await applied(server, bucket(storage="memory"))
    await put(nats_connection, "$KV.b.a")
    async with halted(connection, bucket(storage="file"), "park", nth) as go_on:
        last = max([(await put(nats_connection, f"$KV.b.t{number}"))["seq"] for number in range(3)])
        at = "KV_b" if nth == 1 else CARRIER + "KV_b"
        await server.purge_stream(at, subject="$KV.b.t1")
        await server.purge_stream(at, subject="$KV.b.t2")
        await go_on()

    assert last < (await put(nats_connection, "$KV.b.a"))["seq"]
    assert ["$KV.b.t0", "$KV.b.a"] == [each.subject for each in await contents(nats_connection, "KV_b")]


@where_moves_are_possible
@pytest.mark.parametrize("nth", TWICE)
async def test_a_stream_whose_tail_is_purged_before_the_move_goes_on_counting(
    server: JetStream, nats_connection: nats.aio.client.Client, nth: int
) -> None:
    """Empty or not, what comes next has a sequence that nobody has seen."""
    await applied(server, stream(storage="memory"))
    for number in range(nth * 5):
        await put(nats_connection, f"S.{number}")
    await server.purge_stream("S", before=0 if nth == 1 else 4)
    if nth == 2:
        await api(nats_connection, "STREAM.MSG.DELETE.S", {"seq": 10})
    messages = await contents(nats_connection, "S")

    await applied(server, stream(storage="file"))

    assert messages == await contents(nats_connection, "S")
    assert nth * 5 < (await put(nats_connection, "S.a"))["seq"]


@where_moves_are_possible
@pytest.mark.parametrize("step", ["park", "promote"])
@pytest.mark.parametrize("purge", ["all of a subject", "below a sequence"])
async def test_what_is_purged_after_it_was_copied_does_not_come_back(
    server: JetStream, connection: Connection, nats_connection: nats.aio.client.Client, step: str, purge: str
) -> None:
    """A mirror takes no notice of a purge, whenever it comes."""
    await applied(server, stream(storage="memory"))
    for number in range(300):
        await put(nats_connection, f"S.{number % 3}")
    async with halted(connection, stream(storage="file"), step) as go_on:
        if purge == "all of a subject":
            await server.purge_stream("S", subject="S.1")
        else:
            await server.purge_stream("S", before=200)
        await go_on()

    left = await contents(nats_connection, "S")
    if purge == "all of a subject":
        assert [seq for seq in range(1, 301) if seq % 3 != 2] == [each.sequence for each in left]
    else:
        assert [*range(200, 301)] == [each.sequence for each in left]


@where_moves_are_possible
@pytest.mark.parametrize("nth", TWICE)
async def test_a_key_that_is_purged_while_it_is_copied_stays_purged(
    server: JetStream, connection: Connection, nats_connection: nats.aio.client.Client, nth: int
) -> None:
    """A client's purge of a key leaves its tombstone and nothing of what was before."""
    await applied(server, bucket(storage="memory", history=5))
    for number in range(300):
        await put(nats_connection, f"$KV.b.{number % 100}", str(number).encode())
    async with halted(connection, bucket(storage="file", history=5), "park", nth) as go_on:
        await put(nats_connection, "$KV.b.7", b"", KV_Operation="PURGE", Nats_Rollup="sub")
        await go_on()

    entries = [each for each in await contents(nats_connection, "KV_b") if each.subject == "$KV.b.7"]
    assert [""] == [each.data for each in entries]
    assert 298 == (await found(server, "KV_b")).messages


@where_moves_are_possible
@pytest.mark.parametrize("nth", TWICE)
async def test_what_is_written_while_it_is_copied_is_there(
    server: JetStream, connection: Connection, nats_connection: nats.aio.client.Client, nth: int
) -> None:
    await applied(server, bucket(storage="memory", history=2))
    for number in range(300):
        await put(nats_connection, f"$KV.b.{number % 100}", str(number).encode())
    async with halted(connection, bucket(storage="file", history=2), "park", nth) as go_on:
        answer = await put(nats_connection, "$KV.b.7", b"late")
        await go_on()

    last = await server.last("KV_b", "$KV.b.7")
    assert last is not None
    assert (answer["seq"], b"late") == (last.sequence, last.payload)
    assert 200 == (await found(server, "KV_b")).messages


@where_markers_move
async def test_markers_are_left_for_what_expires_before_during_and_after(
    server: JetStream, nats_connection: nats.aio.client.Client, eventually: Eventually
) -> None:
    """A marker that is there goes along, and what was written before the move leaves one after it."""
    settings = {"markerSeconds": 60, "ttlSeconds": 600}
    await applied(server, bucket(storage="memory", **settings))
    await put(nats_connection, "$KV.b.before", Nats_TTL="1s")

    async def marked(key: str) -> bool:
        last = await server.last("KV_b", f"$KV.b.{key}")
        return last is not None and "Nats-Marker-Reason" in last.headers

    await eventually(lambda: marked("before"), within=5)
    await put(nats_connection, "$KV.b.after", Nats_TTL="3s")
    entries = await contents(nats_connection, "KV_b")

    await applied(server, bucket(storage="file", **settings))

    assert entries == await contents(nats_connection, "KV_b")
    await eventually(lambda: marked("after"), within=8)


@where_markers_move
async def test_a_bucket_gets_markers_with_its_move(
    server: JetStream, nats_connection: nats.aio.client.Client, eventually: Eventually
) -> None:
    await applied(server, bucket(storage="memory"))
    await put(nats_connection, "$KV.b.a")

    await applied(server, bucket(storage="file", markerSeconds=60))

    await put(nats_connection, "$KV.b.a", Nats_TTL="1s")

    async def marked() -> bool:
        last = await server.last("KV_b", "$KV.b.a")
        return last is not None and "Nats-Marker-Reason" in last.headers

    await eventually(marked, within=5)


@where_moves_are_possible
async def test_a_full_bucket_moves_and_is_full_afterwards(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    """Nothing gives way to what marks the end of a copy."""
    await applied(server, bucket(storage="memory", maxBytes=20_000))
    number = 0
    while "error" not in await put(nats_connection, f"$KV.b.{number}", b"x" * 100):
        number += 1
    entries = await contents(nats_connection, "KV_b")

    await applied(server, bucket(storage="file", maxBytes=20_000))

    assert number == len(entries)
    assert entries == await contents(nats_connection, "KV_b")
    assert 10077 == (await put(nats_connection, "$KV.b.more", b"x" * 100))["error"]["err_code"]


@where_moves_are_possible
async def test_a_full_stream_loses_not_one_message(server: JetStream, nats_connection: nats.aio.client.Client) -> None:
    """Where the oldest gives way to the newest, it does not give way to what marks the end of a copy."""
    await applied(server, stream(storage="memory", maxMessages=200, discard="old"))
    for number in range(300):
        await put(nats_connection, f"S.{number}")
    messages = await contents(nats_connection, "S")

    await applied(server, stream(storage="file", maxMessages=200, discard="old"))

    assert 200 == len(messages)
    assert messages == await contents(nats_connection, "S")


@where_moves_are_possible
async def test_a_stream_that_takes_one_message_of_a_subject_goes_on_to(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    """With discardNewPerSubject and small messages only, which neither copy may hold against the marks."""
    settings = {
        "discard": "new",
        "discardNewPerSubject": True,
        "maxMessagesPerSubject": 1,
        "maxMessages": 3,
        "maxMessageSize": 40,
    }
    await applied(server, stream(storage="memory", **settings))
    for number in range(3):
        await put(nats_connection, f"S.{number}")
    messages = await contents(nats_connection, "S")

    await applied(server, stream(storage="file", **settings))

    assert messages == await contents(nats_connection, "S")
    assert {10077} == {(await put(nats_connection, f"S.{number}"))["error"]["err_code"] for number in (0, 3)}
    with pytest.raises(Refused):
        await server.publish("S.0", b"x" * 50)
