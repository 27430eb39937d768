"""What applications with nats-py see of a move: docs/move-clients.md tells it, of these and of others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats.aio.client
import nats.errors
import pytest
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy, KeyValueConfig
from nats.js.errors import APIError, BucketNotFoundError, KeyNotFoundError, NoStreamResponseError, NotFoundError
from nats.js.kv import KeyValue

from moving import applied, bucket, halted, stream, where_moves_are_possible
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import JetStream
from waiting import Eventually

pytestmark = where_moves_are_possible

OVERLAP = 10065
POLICY = 10012


@asynccontextmanager
async def beside(work: asyncio.Task[None], over: asyncio.Event) -> AsyncIterator[None]:
    """Let an application work as long as the block lasts; what went wrong in it is raised."""
    try:
        yield
    finally:
        over.set()
        await work


async def test_whoever_bound_a_bucket_reads_what_was_written_last_all_the_time(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    """A writer is refused twice for some milliseconds; a revision that it knows stays the one to expect."""
    await applied(server, bucket(storage="memory"))
    kept = await nats_connection.jetstream().key_value("b")
    over, rounds = asyncio.Event(), 0

    async def write_and_read() -> None:
        nonlocal rounds
        revision = await kept.put("a", b"")
        while not over.is_set():
            try:
                revision = await kept.update("a", b"x", last=revision)
                rounds += 1
            except NoStreamResponseError:
                pass
            assert revision == (await kept.get("a")).revision

    async with beside(asyncio.create_task(write_and_read()), over):
        await applied(server, bucket(storage="file"))

    assert rounds > 10


async def test_a_durable_that_is_fetched_from_gets_every_message(
    server: JetStream, nats_connection: nats.aio.client.Client, eventually: Eventually
) -> None:
    """Whatever a fetch meets on the way: the loop asks again, and nothing else is needed."""
    await applied(server, stream(storage="memory"))
    jetstream = nats_connection.jetstream()
    durable = await jetstream.pull_subscribe("S.a", durable="c", stream="S")
    sent: list[bytes] = []
    got: list[bytes] = []
    over = asyncio.Event()

    async def publish() -> None:
        number = 0
        while not over.is_set():
            number += 1
            try:
                await jetstream.publish("S.a", b"%d" % number)
                sent.append(b"%d" % number)
            except NoStreamResponseError:
                pass

    async def all_fetched() -> bool:
        try:
            messages = await durable.fetch(100, timeout=0.2)
        except (nats.errors.Error, APIError):
            return False
        for each in messages:
            got.append(each.data)
            await each.ack_sync()
        return over.is_set() and set(sent) <= set(got)

    fetching = asyncio.create_task(eventually(all_fetched, within=30))
    async with beside(asyncio.create_task(publish()), over):
        await applied(server, stream(storage="file"))
    await fetching

    assert sent == list(dict.fromkeys(got))


async def test_a_subscription_goes_on_if_its_consumer_has_a_name_of_its_own(
    server: JetStream, nats_connection: nats.aio.client.Client, eventually: Eventually
) -> None:
    """The consumer of one without is gone with the old stream, and the client is not told."""
    await applied(server, stream(storage="memory"))
    jetstream = nats_connection.jetstream()
    got: list[bytes] = []

    async def received(message: Msg) -> None:
        got.append(message.data)

    await jetstream.subscribe("S.a", durable="c", cb=received)
    nameless = await jetstream.subscribe("S.a", cb=received)

    await applied(server, stream(storage="file"))

    await jetstream.publish("S.a", b"x")

    async def arrived() -> bool:
        return bool(got)

    await eventually(arrived, within=10)
    with pytest.raises(NotFoundError):
        await nameless.consumer_info()


async def test_a_client_without_direct_get_reads_a_false_not_found_while_it_is_copied_back(
    server: JetStream, nats_connection: nats.aio.client.Client, connection: Connection
) -> None:
    await applied(server, bucket(storage="memory"))
    jetstream = nats_connection.jetstream()
    revision = await (await jetstream.key_value("b")).put("a", b"")
    indirect = KeyValue(name="b", stream="KV_b", pre="$KV.b.", js=jetstream, direct=False)

    async with halted(connection, bucket(storage="file"), "return") as go_on:
        with pytest.raises(KeyNotFoundError):
            await indirect.get("a")
        await go_on()

    assert revision == (await indirect.get("a")).revision


async def test_nobody_can_make_a_bucket_of_the_name_while_it_is_away(
    server: JetStream, nats_connection: nats.aio.client.Client, connection: Connection
) -> None:
    """An application that makes its bucket where it finds none would take the place of what comes back."""
    await applied(server, bucket(storage="memory"))
    jetstream = nats_connection.jetstream()
    await (await jetstream.key_value("b")).put("a", b"v")

    async with halted(connection, bucket(storage="file"), "return") as go_on:
        with pytest.raises(BucketNotFoundError):
            await jetstream.key_value("b")
        with pytest.raises(APIError) as refused:
            await jetstream.create_key_value(KeyValueConfig(bucket="b"))
        assert OVERLAP == refused.value.err_code
        await go_on()

    assert b"v" == (await (await jetstream.key_value("b")).get("a")).value


async def test_a_durable_that_began_with_new_messages_is_found_again_but_not_created_again(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    """It says where it goes on, and the server does not let anybody change that."""
    await applied(server, stream(storage="memory"))
    jetstream = nats_connection.jetstream()
    wanted = ConsumerConfig(durable_name="c", filter_subject="S.a", deliver_policy=DeliverPolicy.NEW)
    await jetstream.add_consumer("S", wanted)

    await applied(server, stream(storage="file"))

    with pytest.raises(APIError) as refused:
        await jetstream.add_consumer("S", wanted)
    assert POLICY == refused.value.err_code
    await jetstream.publish("S.a", b"x")
    (message,) = await (await jetstream.pull_subscribe("S.a", durable="c", stream="S")).fetch(timeout=5)
    assert b"x" == message.data
