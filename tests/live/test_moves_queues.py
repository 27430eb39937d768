"""Streams that keep messages only for their consumers move with what is still waited for, and with nothing else."""

from __future__ import annotations

import nats.aio.client
import pytest

from contract import found
from moving import applied, contents, values, where_moves_are_possible
from natsmith.adapters.jetstream import JetStream
from waiting import Eventually
from working import file, handed, memory, published, worked

pytestmark = where_moves_are_possible


async def test_a_queue_keeps_what_is_not_done_and_nothing_else(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    """What was acknowledged, in order or not, was removed and does not come back."""
    settings = {"retention": "workqueue", "consumers": {"c": {}}}
    await applied(server, memory(**settings))
    await published(nats_connection, 1, 20)
    messages = await handed(nats_connection, 10)
    for each in [*messages[:4], *messages[6:8]]:
        await each.ack_sync()
    left = await contents(nats_connection, "S")

    await applied(server, file(**settings))

    assert left == await contents(nats_connection, "S")
    assert [5, 6, 9, 10, *range(11, 21)] == await worked(nats_connection, 14)
    assert 0 == (await found(server)).messages


async def test_a_stream_by_interest_keeps_what_somebody_waits_for(
    server: JetStream, nats_connection: nats.aio.client.Client, eventually: Eventually
) -> None:
    """And drops it when the last one has acknowledged it, as before."""
    settings = {"retention": "interest", "consumers": {"c": {}, "d": {}}}
    await applied(server, memory(**settings))
    await published(nats_connection, 1, 20)
    await worked(nats_connection, 8)
    await worked(nats_connection, 5, name="d")
    left = await contents(nats_connection, "S")

    await applied(server, file(**settings))

    assert [*range(6, 21)] == [each.sequence for each in left]
    assert left == await contents(nats_connection, "S")
    assert [*range(9, 21)] == await worked(nats_connection, 12)
    assert [*range(6, 21)] == await worked(nats_connection, 15, name="d")

    async def empty() -> bool:
        return (await found(server)).messages == 0

    await eventually(empty, within=5)


@pytest.mark.parametrize("storage", ["memory", "file"])
async def test_a_stream_becomes_a_queue_with_what_is_not_done(
    server: JetStream, nats_connection: nats.aio.client.Client, storage: str
) -> None:
    """Below a consumer's ack floor nothing becomes work again."""
    consumers = {"c": {"filterSubjects": ["S.0", "S.1"]}, "d": {"filterSubjects": ["S.2"]}}
    await applied(server, memory(consumers=consumers))
    await published(nats_connection, 1, 12)
    assert [1, 3, 4, 6] == await worked(nats_connection, 4)

    settings = {"subjects": ["S.>"], "storage": storage, "retention": "workqueue", "consumers": consumers}
    await applied(server, values({"streams": {"S": settings}}, loss="allow"))

    assert "workqueue" == (await found(server)).config["retention"]
    assert [7, 9, 10, 12] == await worked(nats_connection, 4)
    assert [2, 5, 8, 11] == await worked(nats_connection, 4, name="d")
    assert not await handed(nats_connection, 1, within=0.3)


async def test_a_queue_becomes_a_stream_that_everybody_reads(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    await applied(server, memory(retention="workqueue", consumers={"c": {}}))
    await published(nats_connection, 1, 10)
    await worked(nats_connection, 4)

    await applied(server, memory(retention="limits", consumers={"c": {}, "d": {}}))

    assert [*range(5, 11)] == await worked(nats_connection, 6)
    assert [*range(5, 11)] == await worked(nats_connection, 6, name="d")
