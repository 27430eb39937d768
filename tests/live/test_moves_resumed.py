"""A run that dies while something moves: what status says, and how the next run goes on with it, ends it or undoes it."""

from __future__ import annotations

import json

import nats.aio.client
import nats.errors
import pytest

from builders import desired
from cli import Natsmith
from contract import found
from moving import (
    CARRIER,
    applied,
    bucket,
    configurations,
    contents,
    halted,
    killed,
    names,
    planned,
    put,
    values,
    where_moves_are_possible,
)
from natsmith.actions.apply import apply
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import JetStream
from natsmith.log import Log

pytestmark = where_moves_are_possible

STEPS = [
    *[("try", 1), ("copy", 1), ("park", 1), ("promote", 1), ("delete", 1), ("return", 1)],
    *[("park", 2), ("promote", 2), ("delete", 2), ("finish", 1)],
]
"""Every step of a move, before which a run may die."""

BEFORE, AFTER = bucket(storage="memory", history=2), bucket(storage="file", history=2)
TOLD = {
    ("park", 1): ("it is being copied, and works as before", "writes flow", "KV_b"),
    ("promote", 1): ("writes are refused for a moment", "nothing can be written", "KV_b"),
    ("delete", 1): (
        "the copy takes the writes; the old stream is about to be deleted",
        "writes flow",
        CARRIER + "KV_b",
    ),
    ("return", 1): ("the copy takes the writes; the stream is about to be made anew", "writes flow", CARRIER + "KV_b"),
    ("park", 2): ("the copy takes the writes, and is being copied back", "writes flow", CARRIER + "KV_b"),
    ("promote", 2): ("writes are refused for a moment", "nothing can be written", CARRIER + "KV_b"),
    ("delete", 2): ("the new stream takes the writes; the copy is about to be deleted", "writes flow", "KV_b"),
    ("finish", 1): ("the new stream takes the writes; its last settings are about to be made", "writes flow", "KV_b"),
}
"""What status says after a run died before a step: how far it is, whether writes flow, and who has the messages."""


async def filled(server: JetStream, client: nats.aio.client.Client) -> None:
    await applied(server, BEFORE)
    for number in range(300):
        await put(client, f"$KV.b.{number % 100}", str(number).encode())


@pytest.mark.parametrize(("step", "nth"), STEPS)
async def test_the_next_run_goes_on_where_one_died(
    server: JetStream, connection: Connection, nats_connection: nats.aio.client.Client, step: str, nth: int
) -> None:
    """Everything is there in the end, and nothing temporary."""
    await filled(server, nats_connection)
    entries = await contents(nats_connection, "KV_b")
    await killed(connection, AFTER, step, nth)

    await applied(server, AFTER)

    assert entries == await contents(nats_connection, "KV_b")
    assert "file" == (await found(server, "KV_b")).config["storage"]
    assert ["KV_b"] == await names(server)
    assert not (await planned(server, AFTER)).changes


@pytest.mark.parametrize("switch", [1, 2])
async def test_a_copy_that_lacks_something_takes_no_writes(
    server: JetStream, connection: Connection, nats_connection: nats.aio.client.Client, switch: int
) -> None:
    """Out of the stream the move is undone and can be begun again; back into it, it is copied anew."""
    # What is copied from memory is copied anew by each run.
    before, after = (BEFORE, AFTER) if switch == 2 else (AFTER, BEFORE)
    await applied(server, before)
    for number in range(300):
        await put(nats_connection, f"$KV.b.{number % 100}", str(number).encode())
    entries = await contents(nats_connection, "KV_b")
    await killed(connection, after, "park", switch)
    # A mirror is told once what there is; what it loses then it never gets.
    await server.delete_message(CARRIER + "KV_b" if switch == 1 else "KV_b", entries[-50].sequence)

    if switch == 1:
        outcome = await apply(server, desired(after), account="app", owner="local", log=Log(), timeout=10)
        assert "lacks 1 messages that KV_b has" in outcome.failed[0][1]
        assert "everything is as it was" in outcome.failed[0][1]
    await applied(server, after)

    assert entries == await contents(nats_connection, "KV_b")
    assert after["buckets"]["b"]["storage"] == (await found(server, "KV_b")).config["storage"]
    assert ["KV_b"] == await names(server)


@pytest.mark.parametrize(("step", "nth"), STEPS[:-2])
async def test_values_that_went_back_undo_it_or_end_it_as_it_was(
    server: JetStream, connection: Connection, nats_connection: nats.aio.client.Client, step: str, nth: int
) -> None:
    """Whatever the run had done when it died, the bucket is in the end as before it."""
    await filled(server, nats_connection)
    entries = await contents(nats_connection, "KV_b")
    config = (await found(server, "KV_b")).config
    await killed(connection, AFTER, step, nth)

    await applied(server, BEFORE)

    assert entries == await contents(nats_connection, "KV_b")
    assert config == (await found(server, "KV_b")).config
    assert ["KV_b"] == await names(server)
    assert not (await planned(server, BEFORE)).changes


@pytest.mark.parametrize(("step", "nth"), STEPS)
async def test_values_that_ask_for_something_else_meanwhile_are_what_it_becomes(
    server: JetStream, connection: Connection, nats_connection: nats.aio.client.Client, step: str, nth: int
) -> None:
    other = bucket(storage="file", history=2, description="another one", compression="s2")
    await filled(server, nats_connection)
    entries = await contents(nats_connection, "KV_b")
    await killed(connection, AFTER, step, nth)

    await applied(server, other)

    assert entries == await contents(nats_connection, "KV_b")
    config = (await found(server, "KV_b")).config
    assert ("file", "another one", "s2") == (config["storage"], config["description"], config["compression"])
    assert not (await planned(server, other)).changes


@pytest.mark.parametrize(("step", "nth"), [("park", 1), ("promote", 1), ("return", 1), ("promote", 2), ("delete", 2)])
async def test_what_the_values_no_longer_name_is_left_whole(
    server: JetStream, connection: Connection, nats_connection: nats.aio.client.Client, step: str, nth: int
) -> None:
    """A run that does not want it any more brings what it finds halfway to one end or the other."""
    await filled(server, nats_connection)
    entries = await contents(nats_connection, "KV_b")
    await killed(connection, AFTER, step, nth)

    await applied(server, values({"buckets": {"other": {}}}))

    assert entries == await contents(nats_connection, "KV_b")
    assert ["KV_b", "KV_other"] == await names(server)
    assert 301 <= (await put(nats_connection, "$KV.b.a"))["seq"]


@pytest.mark.parametrize(("step", "nth"), TOLD)
async def test_status_says_where_the_messages_are_and_whether_writes_flow(
    server: JetStream,
    connection: Connection,
    nats_connection: nats.aio.client.Client,
    natsmith: Natsmith,
    step: str,
    nth: int,
) -> None:
    """And it says so about the server as it is: a write goes as told, and who has the messages has them all."""
    stage, flow, at = TOLD[step, nth]
    await filled(server, nats_connection)
    await killed(connection, AFTER, step, nth)

    result = await natsmith("status")

    (row,) = [line for line in result.stdout.splitlines() if "is being moved" in line]
    held = 200 if flow == "writes flow" else 201  # the mark that ends a copy is one of them
    for each in (stage, flow, f"its {held} messages are in {at}", "natsmith apply of local goes on with it"):
        assert each in row
    if flow == "writes flow":
        assert "seq" in await put(nats_connection, "$KV.b.1")
    else:
        with pytest.raises(nats.errors.NoRespondersError):
            await put(nats_connection, "$KV.b.1")


async def test_a_plan_says_what_becomes_of_a_move_that_was_interrupted(
    server: JetStream, connection: Connection, nats_connection: nats.aio.client.Client
) -> None:
    """It goes on, it is undone, or it is ended: by what the values want, and how far it is."""
    await filled(server, nats_connection)
    await killed(connection, AFTER, "park")

    notes = [(await planned(server, each)).changes[0].note for each in (AFTER, BEFORE)]
    assert [
        "a move was interrupted and goes on: it is being copied, and works as before",
        "a move was interrupted and is undone: it is being copied, and works as before",
    ] == notes

    await killed(connection, AFTER, "return")
    (change,) = (await planned(server, BEFORE)).changes
    assert change.note.startswith("a move was interrupted and is ended: the copy takes the writes")


async def test_json_says_the_same_of_a_move_that_was_interrupted(
    server: JetStream, connection: Connection, nats_connection: nats.aio.client.Client, natsmith: Natsmith
) -> None:
    await filled(server, nats_connection)
    await killed(connection, AFTER, "promote")

    told = json.loads((await natsmith("status", "--output", "json")).stdout)

    (moving,) = [each["moving"] for each in told["accounts"][0]["objects"] if each.get("moving")]
    assert ("parked", "KV_b", False, "local") == tuple(
        moving[key] for key in ("stage", "messagesIn", "writesFlow", "owner")
    )


async def test_a_copy_that_somebody_deleted_is_not_missed_before_it_takes_the_writes(
    server: JetStream, connection: Connection, nats_connection: nats.aio.client.Client
) -> None:
    """Until then the bucket has everything; the next run begins anew."""
    await filled(server, nats_connection)
    entries = await contents(nats_connection, "KV_b")
    await killed(connection, AFTER, "park")
    await server.delete_stream(CARRIER + "KV_b")

    await applied(server, AFTER)

    assert entries == await contents(nats_connection, "KV_b")
    assert "file" == (await found(server, "KV_b")).config["storage"]


async def test_a_second_run_waits_for_the_first(
    server: JetStream, connection: Connection, nats_connection: nats.aio.client.Client, natsmith: Natsmith
) -> None:
    """While one moves the bucket nobody else touches it."""
    await filled(server, nats_connection)
    natsmith.write("after.json", json.dumps(AFTER))
    async with halted(connection, AFTER, "park") as go_on:
        before = await configurations(server)

        result = await natsmith("apply", "-f", "after.json", "--timeout", "1")

        assert 75 == result.code, result.text
        assert before == await configurations(server)
        await go_on()
