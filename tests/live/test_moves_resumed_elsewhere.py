"""A run that dies while a stream with consumers moves, or while something is renamed: the next one brings it to its end."""

from __future__ import annotations

from typing import Any

import nats.aio.client
import pytest

from contract import found
from moving import applied, contents, killed, names, planned, put, values, where_moves_are_possible
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import JetStream
from working import file, handed, memory, published, the, worked

pytestmark = where_moves_are_possible

STEPS = [
    *[("copy", 1), ("park", 1), ("promote", 1), ("delete", 1), ("return", 1)],
    *[("park", 2), ("promote", 2), ("delete", 2), ("finish", 1)],
]
RENAME_STEPS = [("copy", 1), ("park", 1), ("promote", 1), ("delete", 1), ("finish", 1)]


@pytest.mark.parametrize(("step", "nth"), STEPS)
@pytest.mark.parametrize("retention", ["limits", "interest", "workqueue"])
async def test_consumers_go_on_though_a_run_died(
    server: JetStream,
    connection: Connection,
    nats_connection: nats.aio.client.Client,
    retention: str,
    step: str,
    nth: int,
) -> None:
    """Nothing is missed, nothing that was acknowledged comes again, and nobody stays paused."""
    settings: dict[str, Any] = {"retention": retention, "consumers": {"c": {}}}
    await applied(server, memory(**settings))
    await published(nats_connection, 1, 20)
    await worked(nats_connection, 5)
    await killed(connection, file(**settings), step, nth)

    await applied(server, file(**settings))

    info = await the(server)
    assert (None, 15, 0) == (info.config.get("pause_until"), info.pending, info.ack_pending)
    assert [*range(6, 21)] == await worked(nats_connection, 15)
    assert not await handed(nats_connection, 1, within=0.3)
    assert ["S"] == await names(server)
    assert not (await planned(server, file(**settings))).changes


@pytest.mark.parametrize(("step", "nth"), [("copy", 1), ("park", 1), ("promote", 1)])
async def test_consumers_of_what_is_undone_go_on_as_before(
    server: JetStream, connection: Connection, nats_connection: nats.aio.client.Client, step: str, nth: int
) -> None:
    """A consumer that was paused for the switch does not wait for its pause to run out."""
    await applied(server, memory(consumers={"c": {}}))
    await published(nats_connection, 1, 10)
    await worked(nats_connection, 5)
    before = (await the(server)).config
    await killed(connection, file(consumers={"c": {}}), step, nth)

    await applied(server, memory(consumers={"c": {}}))

    assert before == (await the(server)).config
    assert [6, 7, 8, 9, 10] == await worked(nats_connection, 5)


@pytest.mark.parametrize(("step", "nth"), RENAME_STEPS)
async def test_a_rename_that_was_interrupted_is_ended(
    server: JetStream, connection: Connection, nats_connection: nats.aio.client.Client, step: str, nth: int
) -> None:
    """Also by values that no longer say from what it was renamed, once it is begun."""
    await applied(server, values({"buckets": {"old": {"storage": "memory"}}}))
    for number in range(300):
        await put(nats_connection, f"$KV.old.{number % 100}", str(number).encode())
    before = await contents(nats_connection, "KV_old")
    document = values({"buckets": {"new": {"renamedFrom": "old"}}})
    await killed(connection, document, step, nth)

    await applied(server, document if step == "copy" else values({"buckets": {"new": {}}}))

    after = await contents(nats_connection, "KV_new")
    assert [(each.sequence, each.time, each.data) for each in before] == [
        (each.sequence, each.time, each.data) for each in after
    ]
    assert ["KV_new"] == await names(server)
    assert 301 <= (await put(nats_connection, "$KV.new.a"))["seq"]


@pytest.mark.parametrize(("step", "nth"), RENAME_STEPS[:3])
async def test_a_rename_that_is_not_wanted_any_more_leaves_the_old_name_as_it_was(
    server: JetStream, connection: Connection, nats_connection: nats.aio.client.Client, step: str, nth: int
) -> None:
    """As long as the old one has everything."""
    await applied(server, values({"buckets": {"old": {}}}))
    for number in range(300):
        await put(nats_connection, f"$KV.old.{number % 100}", str(number).encode())
    before, config = await contents(nats_connection, "KV_old"), (await found(server, "KV_old")).config
    await killed(connection, values({"buckets": {"new": {"renamedFrom": "old"}}}), step, nth)

    await applied(server, values({"buckets": {"old": {}}}))

    assert before == await contents(nats_connection, "KV_old")
    assert config == (await found(server, "KV_old")).config
    assert ["KV_old"] == await names(server)
