"""Consumers of a stream that moves go on where they were: nothing is missed, and nothing acknowledged comes again."""

from __future__ import annotations

import asyncio
from typing import Any

import nats.aio.client
import pytest
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig

from contract import found
from moving import api, applied, planned, put, where_moves_are_possible
from natsmith.adapters.jetstream import JetStream
from natsmith.adapters.server import ConsumerInfo
from natsmith.model.units import NANOS
from waiting import Eventually
from working import file, handed, memory, numbers, published, the, worked

pytestmark = where_moves_are_possible

V2_14 = 4
"""The API level from which on a consumer can be told where to go on."""

STARTS: list[tuple[dict[str, Any], int]] = [
    ({"deliver_policy": "all"}, 1),
    ({"deliver_policy": "by_start_sequence", "opt_start_seq": 5}, 5),
    ({"deliver_policy": "by_start_time", "opt_start_time": "2026-01-01T00:00:00Z"}, 1),
    ({"deliver_policy": "new"}, 11),
    ({"deliver_policy": "last"}, 10),
]
"""How a consumer may begin in a stream of ten messages, and at which of them it does."""


async def test_a_consumer_goes_on_after_what_it_acknowledged(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    """Neither what marks the end of a copy nor anything twice; and what is written later as well."""
    await applied(server, memory(consumers={"c": {}}))
    await published(nats_connection, 1, 20)
    assert [*range(1, 6)] == await worked(nats_connection, 5)

    await applied(server, file(consumers={"c": {}}))

    assert (15, 0) == ((info := await the(server)).pending, info.ack_pending)
    await put(nats_connection, "S.a", b"99")
    assert [*range(6, 21), 99] == await worked(nats_connection, 16)
    assert 0 == (await the(server)).pending


async def test_what_was_handed_out_and_not_acknowledged_comes_again(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    await applied(server, memory(consumers={"c": {}}))
    await published(nats_connection, 1, 10)
    messages = await handed(nats_connection, 5)
    for each in messages[:3]:
        await each.ack_sync()

    await applied(server, file(consumers={"c": {}}))

    assert [*range(4, 11)] == await worked(nats_connection, 7)


@pytest.mark.parametrize(("start", "first"), STARTS, ids=str)
@pytest.mark.parametrize("taken", [0, 2])
@pytest.mark.parametrize("acknowledged", [0, 1])
async def test_however_a_consumer_begins_it_misses_nothing(
    server: JetStream,
    nats_connection: nats.aio.client.Client,
    start: dict[str, Any],
    first: int,
    taken: int,
    acknowledged: int,
    level: int,
) -> None:
    """Untouched, or with some messages handed out and some of them acknowledged, on every server."""
    await applied(server, memory())
    await published(nats_connection, 1, 10)
    config = {"durable_name": "c", "name": "c", "ack_policy": "explicit", **start}
    await server.put_consumer("S", config, verb="create")
    await published(nats_connection, 11, 15)
    messages = await handed(nats_connection, taken) if taken else []
    for each in messages[:acknowledged]:
        await each.ack_sync()

    await applied(server, file())

    expected = [*range(first + min(taken, acknowledged), 16)]
    pending = (await the(server)).pending
    got = await worked(nats_connection, pending)
    assert expected == got[-len(expected) :]
    # Before 2.14 nobody can tell where a consumer began that has acknowledged nothing: all may come again.
    assert len(expected) == pending or (level < V2_14 and taken and not acknowledged)


async def test_each_consumer_is_carried_with_all_its_settings(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    """Those of the values, and those that an application made; how it begins may say where it goes on."""
    await applied(server, memory(consumers={"c": {"maxDeliver": 3, "filterSubjects": ["S.0"]}}))
    await published(nats_connection, 1, 9)
    own = {"durable_name": "own", "name": "own", "ack_policy": "all", "ack_wait": 5 * NANOS, "headers_only": True}
    await server.put_consumer("S", own, verb="create")
    await worked(nats_connection, 1)
    before = {each.name: plain(each) for each in await server.consumers("S")}

    await applied(server, file(consumers={"c": {"maxDeliver": 3, "filterSubjects": ["S.0"]}}))

    assert before == {each.name: plain(each) for each in await server.consumers("S")}


def plain(info: ConsumerInfo) -> dict[str, Any]:
    """Return a configuration without how it begins, and without metadata."""
    unsaid = ("deliver_policy", "opt_start_seq", "metadata", "filter_subject", "filter_subjects")
    filters = info.config.get("filter_subjects") or [info.config.get("filter_subject")]
    return {key: value for key, value in info.config.items() if key not in unsaid} | {"filters": filters}


async def test_a_consumer_of_everything_is_what_it_was_to_its_application(
    server: JetStream, nats_connection: nats.aio.client.Client, level: int
) -> None:
    """From 2.14 on it begins as before, so an application that makes sure of its consumer finds it unchanged."""
    if level < V2_14:
        pytest.skip("a consumer cannot be told where to go on")
    wanted = ConsumerConfig(durable_name="own", ack_policy=AckPolicy.EXPLICIT, filter_subject="S.0", ack_wait=20)
    await applied(server, memory())
    await published(nats_connection, 1, 9)
    await nats_connection.jetstream().add_consumer("S", wanted)
    assert [3] == await worked(nats_connection, 1, name="own")
    before = (await the(server, "own")).config

    await applied(server, file())

    assert before == (await the(server, "own")).config
    await nats_connection.jetstream().add_consumer("S", wanted)
    assert [6, 9] == await worked(nats_connection, 2, name="own")


async def test_a_plan_afterwards_has_nothing_to_do(server: JetStream, nats_connection: nats.aio.client.Client) -> None:
    """However the server says where a consumer began; and what can change in place still does."""
    await applied(server, memory(consumers={"c": {}, "d": {"deliverPolicy": "new"}}))
    await published(nats_connection, 1, 9)
    await worked(nats_connection, 3)
    await applied(server, file(consumers={"c": {}, "d": {"deliverPolicy": "new"}}))

    assert not (await planned(server, file(consumers={"c": {}, "d": {"deliverPolicy": "new"}}))).changes

    await applied(server, file(consumers={"c": {"maxDeliver": 3}, "d": {"deliverPolicy": "new"}}))
    assert 3 == (await the(server)).config["max_deliver"]
    assert [*range(4, 10)] == await worked(nats_connection, 6)


async def test_a_consumer_that_pushes_goes_on_with_its_listener(
    server: JetStream, nats_connection: nats.aio.client.Client, eventually: Eventually
) -> None:
    """Its listener hears what is new, each message once, and no mark."""
    consumers = {"c": {"deliverSubject": "push.c"}}
    await applied(server, memory(consumers=consumers))
    heard: list[int] = []

    async def hear(msg: Msg) -> None:
        heard.append(int(msg.data or b"-1"))
        await msg.ack()

    await nats_connection.subscribe("push.c", cb=hear)
    await published(nats_connection, 1, 10)

    async def all_acknowledged() -> bool:
        return (await the(server)).ack_floor == 10

    await eventually(all_acknowledged, within=5)
    await applied(server, file(consumers=consumers))
    await put(nats_connection, "S.a", b"99")

    async def last() -> bool:
        return 99 in heard

    await eventually(last, within=5)
    assert [*range(1, 11), 99] == heard


@pytest.mark.parametrize("filters", [[], ["S.>"], ["S.a"]], ids=str)
async def test_a_consumer_counts_and_hands_out_what_is_new(
    server: JetStream, nats_connection: nats.aio.client.Client, eventually: Eventually, filters: list[str]
) -> None:
    """Whoever waits already is answered, and a scaler sees no message that is none."""
    consumers = {"c": {"filterSubjects": filters}}
    await applied(server, memory(consumers=consumers))
    for number in range(1, 11):
        await put(nats_connection, "S.a", str(number).encode())
    await worked(nats_connection, 7)

    await applied(server, file(consumers=consumers))

    assert 3 == (await the(server)).pending
    assert [8, 9, 10] == await worked(nats_connection, 3)
    waiting = asyncio.create_task(handed(nats_connection, 1))

    async def asked() -> bool:
        return bool((await api(nats_connection, "CONSUMER.INFO.S.c"))["num_waiting"])

    await eventually(asked, within=5)
    await put(nats_connection, "S.a", b"11")
    await put(nats_connection, "S.a", b"12")
    assert [11] == numbers(await waiting)

    async def one_is_left() -> bool:
        return (await the(server)).pending == 1

    await eventually(one_is_left, within=5)  # a server counts what arrives a moment after it acknowledged it


async def test_a_stream_allows_as_many_consumers_as_before(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    settings = {"maxConsumers": 2, "consumers": {"c": {}}}
    await applied(server, memory(**settings))
    await published(nats_connection, 1, 5)
    await worked(nats_connection, 2)

    await applied(server, file(**settings))

    assert [3, 4, 5] == await worked(nats_connection, 3)
    assert 2 == (await found(server)).config["max_consumers"]


async def test_a_plan_says_what_each_consumer_sees(server: JetStream, nats_connection: nats.aio.client.Client) -> None:
    """Its name, what it has still to do, and what may come twice."""
    await applied(server, memory(consumers={"c": {}}))
    await published(nats_connection, 1, 10)
    await handed(nats_connection, 4)

    (change,) = (await planned(server, file(consumers={"c": {}}))).changes

    told = " ".join(change.seen)
    assert "consumer c goes on at its ack floor" in told
    assert "6 pending, and of 4 unacknowledged" in told


async def test_a_consumer_that_an_operator_paused_stays_paused(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    """The pause of the move is not theirs, and does not end theirs."""
    await applied(server, memory(consumers={"c": {}}))
    await published(nats_connection, 1, 5)
    await server.pause_consumer("S", "c", "2099-01-01T00:00:00Z")

    await applied(server, file(consumers={"c": {}}))

    assert "2099-01-01T00:00:00Z" == (await the(server)).config.get("pause_until")
