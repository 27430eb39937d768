"""A server that is killed while it changes a stream may start without it: a move finds it again, whichever it was.

The server writes a stream's configuration and then its checksum; killed in between, it logs that they do not match,
does not load the stream, and leaves its files. These tests spoil the checksum, as such a kill does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import nats
import nats.aio.client
import nats.errors
import pytest

from builders import desired
from contract import found
from embedded import Embedded
from moving import CARRIER, MOVABLE, STATE, Stored, applied, contents, killed, names, planned, put, values
from natsmith.actions.apply import apply
from natsmith.adapters import copies
from natsmith.adapters.closing import closed
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import JetStream, connect
from natsmith.log import Log
from waiting import Eventually
from working import published, the, worked

pytestmark = pytest.mark.parametrize("release", [MOVABLE[0], MOVABLE[-1]], indirect=True)

CONSUMERS: dict[str, Any] = {"c": {"filterSubjects": ["S.>"]}}
SETTINGS: dict[str, Any] = {"allowDirect": True, "storage": "file", "maxMessagesPerSubject": 10}


def stream(**settings: Any) -> dict[str, Any]:
    return values({"streams": {"S": {"subjects": ["S.>"], **SETTINGS, **settings}}})


LIMITS, QUEUE = stream(), stream(retention="workqueue")
RENAMED = values({"buckets": {"new": {"renamedFrom": "old"}}})


@asynccontextmanager
async def met(running: Embedded) -> AsyncIterator[tuple[JetStream, nats.aio.client.Client]]:
    """Connect natsmith and an application."""
    client = await nats.connect(running.url)
    try:
        async with await connect(Connection(server=running.url), timeout=10, log=Log()) as server:
            yield server, client
    finally:
        await closed(client)


def crashed(running: Embedded, stream: str, *, later: bool = False) -> None:
    """Kill the server as if it had been about to write a stream's checksum, and start it again.

    Some time *later* than anything else it did: the last acknowledgements of consumers are on its disk then.
    """
    if later:
        running.stop()
    running.kill()
    checksum = running.home / "data" / "jetstream" / "$G" / "streams" / stream / "meta.sum"
    checksum.write_text("".join("1" if digit == "0" else "0" for digit in checksum.read_text()))
    running.start()
    assert f"{stream}/meta.inf" in running.log


async def moved_half(running: Embedded, document: Mapping[str, Any], step: str, nth: int, subject: str) -> list[int]:
    """Have a run die at a step, write what can be written then, and return the sequences that were acknowledged."""
    await killed(Connection(server=running.url), document, step, nth)
    async with met(running) as (server, client):
        await server.purge_stream(STATE, subject="$KV.natsmith_state.lock")
        try:
            return [(await put(client, f"{subject}.{key}", b"late"))["seq"] for key in range(3)]
        except nats.errors.NoRespondersError:
            return []


def told(messages: list[Stored]) -> list[tuple[int, str, str]]:
    return [(each.sequence, each.time, each.data) for each in messages]


MOVE = [
    *[("copy", 1, "S"), ("park", 1, "S"), ("park", 1, CARRIER + "S"), ("promote", 1, "S")],
    *[("promote", 1, CARRIER + "S"), ("delete", 1, CARRIER + "S"), ("park", 2, "S"), ("park", 2, CARRIER + "S")],
    *[("promote", 2, "S"), ("promote", 2, CARRIER + "S"), ("delete", 2, "S"), ("finish", 1, "S")],
]
"""The steps of a move, and a stream that was or is about to be changed then."""


@pytest.mark.parametrize(("step", "nth", "unloaded"), MOVE)
async def test_a_move_finds_a_stream_again_that_its_server_did_not_load(
    private_server: Callable[..., Embedded], step: str, nth: int, unloaded: str
) -> None:
    """Every acknowledged message is there, and the stream is what a new one would be."""
    running = private_server()
    async with met(running) as (server, client):
        await applied(server, LIMITS)
        for number in range(60):
            await put(client, f"S.{number % 7}", str(number).encode())
        await server.delete_message("S", 60)
        messages = await contents(client, "S")
    late = await moved_half(running, QUEUE, step, nth, "S")

    crashed(running, unloaded)

    async with met(running) as (server, client):
        await applied(server, QUEUE)
        after = await contents(client, "S")
        assert told(messages) == told(after)[: len(messages)]
        assert late == [each.sequence for each in after[len(messages) :]]
        assert ["S"] == await names(server)
        assert not (await planned(server, QUEUE)).changes
        fresh = {"subjects": ["N.>"], **SETTINGS, "retention": "workqueue"}
        await applied(server, values({"streams": {**QUEUE["streams"], "N": fresh}}))
        moved, new = (await found(server)).config, (await found(server, "N")).config
        assert {**new, "name": "S", "subjects": ["S.>"], "metadata": {}} == {**moved, "metadata": {}}
        assert new["metadata"].keys() == moved["metadata"].keys()


@pytest.mark.parametrize(
    ("before", "after", "step", "nth"),
    [("memory", "file", "delete", 1), ("file", "memory", "park", 2), ("file", "memory", "promote", 2)],
)
async def test_a_copy_is_found_again_though_the_other_stream_was_in_memory(
    private_server: Callable[..., Embedded], before: str, after: str, step: str, nth: int
) -> None:
    """That one is gone with its server, and the only one that has the messages was not loaded."""
    running = private_server()
    async with met(running) as (server, client):
        await applied(server, stream(storage=before))
        for number in range(60):
            await put(client, f"S.{number % 7}", str(number).encode())
        messages = await contents(client, "S")
    late = await moved_half(running, stream(storage=after), step, nth, "S")

    crashed(running, CARRIER + "S")

    async with met(running) as (server, client):
        await applied(server, stream(storage=after))
        stored = await contents(client, "S")
        assert told(messages) == told(stored)[:60]
        assert late == [each.sequence for each in stored[60:]]
        assert ["S"] == await names(server)
        assert not (await planned(server, stream(storage=after))).changes


RENAME = [
    *[("copy", 1, "KV_old"), ("park", 1, "KV_old"), ("park", 1, "KV_new"), ("promote", 1, "KV_old")],
    *[("promote", 1, "KV_new"), ("delete", 1, "KV_new"), ("finish", 1, "KV_new")],
]


@pytest.mark.parametrize(("step", "nth", "unloaded"), RENAME)
async def test_a_rename_finds_a_stream_again_that_its_server_did_not_load(
    private_server: Callable[..., Embedded], step: str, nth: int, unloaded: str
) -> None:
    running = private_server()
    async with met(running) as (server, client):
        await applied(server, values({"buckets": {"old": {}}}))
        for number in range(60):
            await put(client, f"$KV.old.{number}", str(number).encode())
        entries = await contents(client, "KV_old")
    late = await moved_half(running, RENAMED, step, nth, "$KV.old" if step in ("copy", "park") else "$KV.new")

    crashed(running, unloaded)

    async with met(running) as (server, client):
        await applied(server, RENAMED)
        after = await contents(client, "KV_new")
        survivors = [each for each in entries if int(each.subject.rpartition(".")[2]) > 2 or not late]
        assert told(survivors) == told(after)[: len(survivors)]
        assert late == [each.sequence for each in after[len(survivors) :]]
        assert ["KV_new"] == await names(server)
        assert not (await planned(server, RENAMED)).changes


@pytest.mark.parametrize(
    ("step", "nth", "unloaded"),
    [("promote", 1, "S"), ("promote", 1, CARRIER + "S"), ("promote", 2, "S"), ("delete", 2, "S")],
)
async def test_a_consumer_of_it_goes_on_where_it_was(
    private_server: Callable[..., Embedded], step: str, nth: int, unloaded: str
) -> None:
    before, after = stream(storage="file", consumers=CONSUMERS), stream(storage="memory", consumers=CONSUMERS)
    if unloaded == "S" and nth == 2:
        before, after = stream(consumers=CONSUMERS, retention="workqueue"), stream(consumers=CONSUMERS)
    running = private_server()
    async with met(running) as (server, client):
        await applied(server, before)
        await published(client, 1, 20)
        assert [1, 2, 3, 4, 5] == await worked(client, 5)
    await moved_half(running, after, step, nth, "none")

    crashed(running, unloaded, later=True)

    async with met(running) as (server, client):
        await applied(server, after)
        assert [*range(6, 21)] == await worked(client, 15)
        assert 0 == (await the(server)).pending


async def test_a_stream_that_somebody_deleted_meanwhile_is_taken_from_its_copy(
    private_server: Callable[..., Embedded], eventually: Eventually
) -> None:
    """It comes back empty, so the copy has all there is; nothing is lost by that."""
    running = private_server()
    async with met(running) as (server, client):
        await applied(server, LIMITS)
        await published(client, 1, 20)
        messages = await contents(client, "S")
        await moved_half(running, QUEUE, "park", 1, "none")

        async def copied() -> bool:
            return 20 == (await found(server, CARRIER + "S")).messages

        await eventually(copied, within=20)
        await server.delete_stream("S")

        await applied(server, QUEUE)

        assert messages == await contents(client, "S")
        assert ["S"] == await names(server)


async def test_a_copy_that_is_gone_for_good_is_told_before_it_is_missed(
    private_server: Callable[..., Embedded],
) -> None:
    """Deleted on the way back, it takes along what nobody else has: people look at that."""
    running = private_server()
    async with met(running) as (server, client):
        await applied(server, LIMITS)
        await published(client, 1, 20)
        await moved_half(running, QUEUE, "promote", 2, "none")
        await server.delete_stream(CARRIER + "S")
        await server.purge_stream("S")  # so that it cannot have had everything

        outcome = await apply(server, desired(QUEUE), account="app", owner="local", log=Log(), timeout=20)

        assert "natsmith_move_S is gone, and what S had not got from it" in outcome.failed[0][1]


@pytest.mark.parametrize("retention", ["limits", "interest", "workqueue"])
async def test_a_stream_that_was_changed_in_place_comes_back_when_it_is_applied_again(
    private_server: Callable[..., Embedded], retention: str
) -> None:
    """With its messages, and its consumers where they were; nothing moves."""
    document = stream(retention=retention, consumers=CONSUMERS)
    running = private_server()
    async with met(running) as (server, client):
        await applied(server, document)
        await published(client, 1, 20)
        assert [1, 2, 3, 4, 5] == await worked(client, 5)
        messages = await contents(client, "S")

    crashed(running, "S", later=True)

    async with met(running) as (server, client):
        assert [] == await names(server)
        await applied(server, document)
        assert messages == await contents(client, "S")
        assert [*range(6, 21)] == await worked(client, 15)


async def test_what_is_found_parked_and_nobody_remembers_becomes_what_the_values_say(
    private_server: Callable[..., Embedded],
) -> None:
    """Also if the move is undone: nobody could write otherwise."""
    running = private_server()
    async with met(running) as (server, client):
        await applied(server, LIMITS)
        await published(client, 1, 20)
        config = (await found(server)).config
        await server.update_stream(copies.as_request(copies.parked(config)))
        await moved_half(running, QUEUE, "copy", 1, "none")

        await applied(server, LIMITS)

        assert config == (await found(server)).config
        await applied(server, QUEUE)
        assert 20 == len(await contents(client, "S"))
        assert ["S.>"] == (await found(server)).config["subjects"]
