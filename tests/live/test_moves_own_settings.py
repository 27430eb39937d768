"""A consumer whose own settings cannot change in place is made anew, and goes on where the old one was."""

from __future__ import annotations

from typing import Any

import nats.aio.client
import pytest

from moving import applied, planned, where_moves_are_possible
from natsmith.adapters.jetstream import JetStream
from working import file, memory, published, the, worked

pytestmark = where_moves_are_possible


@pytest.mark.parametrize(
    "change",
    [{"ackPolicy": "all"}, {"deliverPolicy": "new"}, {"replayPolicy": "original"}, {"maxWaiting": 10}],
    ids=str,
)
async def test_a_consumer_of_another_make_goes_on_where_the_old_one_was(
    server: JetStream, nats_connection: nats.aio.client.Client, change: dict[str, Any]
) -> None:
    await applied(server, file(consumers={"c": {}}))
    await published(nats_connection, 1, 10)
    await worked(nats_connection, 4)

    await applied(server, file(consumers={"c": change}))

    assert not (await planned(server, file(consumers={"c": change}))).changes
    assert ["c"] == [each.name for each in await server.consumers("S")]
    assert [*range(5, 11)] == await worked(nats_connection, 6)


async def test_a_consumer_of_a_queue_is_made_anew_with_what_is_left_in_it(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    await applied(server, file(retention="workqueue", consumers={"c": {}}))
    await published(nats_connection, 1, 10)
    await worked(nats_connection, 4)

    await applied(server, file(retention="workqueue", consumers={"c": {"maxWaiting": 10}}))

    assert [*range(5, 11)] == await worked(nats_connection, 6)


async def test_what_a_stream_keeps_for_a_consumer_is_kept_while_it_is_made_anew(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    await applied(server, file(retention="interest", consumers={"c": {}}))
    await published(nats_connection, 1, 10)
    await worked(nats_connection, 4)

    await applied(server, file(retention="interest", consumers={"c": {"maxWaiting": 10}}))

    assert [*range(5, 11)] == await worked(nats_connection, 6)


async def test_stream_and_consumer_may_change_at_once(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    await applied(server, memory(consumers={"c": {}, "d": {}}))
    await published(nats_connection, 1, 10)
    await worked(nats_connection, 4)

    await applied(server, file(consumers={"c": {"ackPolicy": "all"}, "d": {}}))

    assert "all" == (await the(server)).config["ack_policy"]
    assert [*range(5, 11)] == await worked(nats_connection, 6)
    assert [*range(1, 11)] == await worked(nats_connection, 10, name="d")
