"""The registry while servers die, processes stand still and buckets change: nobody is lost who lives."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import nats.errors
import pytest
from nats.aio.client import Client

from embedded import Embedded, nats_server
from moving import applied
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import connect
from natsmith.log import Log
from natsmith.registry import NotReady, Registry
from natsmith.registry.answers import NEVER
from natsmith.registry.line import line_of
from registering import Heard, api, change, make, process, put, steadily, watching
from versions import binary


@pytest.fixture
def own(newest: str) -> Iterator[Embedded]:
    """Start a server that the test may kill."""
    with nats_server(binary(newest)) as server:
        yield server


@pytest.fixture
def connection(own: Embedded) -> Connection:
    """Connect to it without a password."""
    return Connection(server=own.url)


def lost(heard: Heard) -> list[str]:
    """Return who was told to be gone and lives."""
    return [each for each in heard.told if each.startswith(("expired payments.alive", "left payments.alive"))]


async def nobody_is_lost(heard: Heard, seconds: float) -> None:
    """Look for a while whether anybody is told to be gone who lives."""
    await steadily(seconds, lambda: not lost(heard), lambda: heard.told)


@pytest.mark.parametrize(
    ("down", "how"),
    [(0.5, {}), (4, {}), (4, {"per_key": True, "marker": 1})],
    ids=["shorter than the TTL", "longer", "longer, with markers"],
)
async def test_a_server_that_dies_loses_nobody_who_lives(
    own: Embedded, connection: Connection, client: Client, other: Registry, down: float, how: dict[str, Any]
) -> None:
    await make(client, ttl=2, **how)
    async with (
        Registry(client) as registry,
        registry.instance("payments", id="alive"),
        watching(other, "payments") as heard,
        process(connection, "be", "payments", "dead") as dying,
    ):
        await heard.until("joined payments.alive", "joined payments.dead")
        own.kill()
        dying.end()
        await nobody_is_lost(heard, down)
        assert {"alive", "dead"} == {each.id for each in await other.instances("payments")}
        assert other.trouble
        own.start()

        await heard.until("expired payments.dead", within=20)
        await nobody_is_lost(heard, 2.5)
        assert ["alive"] == [each.id for each in await other.instances("payments")]
        assert other.trouble is None


async def test_what_nobody_waits_for_any_more_is_not_written_when_the_server_is_back(
    own: Embedded, client: Client
) -> None:
    """A renewal of a lease, or a heartbeat, that is kept until then would speak for whoever is gone."""
    await make(client)
    line = line_of(client)
    bucket = await line.bucket("service_registry")
    lost = asyncio.Event()
    line.listen(lambda _same_server: None, lost.set)
    own.kill()
    await lost.wait()
    with pytest.raises(NotReady, match="no answer"):
        await line.write(bucket, "payments.a", b"{}", expect=NEVER, timeout=0.2)
    own.start()
    await line.up()
    await client.flush()

    assert await line.last(bucket, "payments.a") is None


async def test_a_process_that_stood_still_is_late_and_comes_back(
    connection: Connection, client: Client, other: Registry
) -> None:
    await make(client, ttl=1)
    async with watching(other) as heard, process(connection, "be", "payments", "a") as still:
        await heard.until("joined payments.a")
        still.signal(signal.SIGSTOP)
        await heard.until("expired payments.a")
        heard.changes.clear()
        still.signal(signal.SIGCONT)

        await heard.until("joined payments.a")


async def test_a_reader_that_stood_still_takes_nobody_for_lost(connection: Connection, client: Client) -> None:
    await make(client, ttl=1)
    async with (
        Registry(client) as registry,
        registry.instance("payments", id="alive"),
        process(connection, "read", "payments") as reading,
    ):
        assert "joined alive" == await reading.says()
        reading.signal(signal.SIGSTOP)
        async with registry.instance("payments", id="later"):
            await asyncio.sleep(4)  # several times as long as an entry lives
            reading.signal(signal.SIGCONT)

            assert "joined later" == await reading.says()
        assert "left later" == await reading.says()


async def test_a_reader_whose_consumer_is_deleted_goes_on(client: Client, other: Registry) -> None:
    await make(client, ttl=1)
    async with Registry(client) as registry, registry.instance("payments", id="alive"), watching(other) as heard:
        await heard.until("joined payments.alive")
        for each in (await api(client, "CONSUMER.NAMES.KV_service_registry"))["consumers"]:
            await api(client, f"CONSUMER.DELETE.KV_service_registry.{each}")
        await put(client, "payments.b", b'{"v":1,"ttl":1}')

        await nobody_is_lost(heard, 3)
        async with registry.instance("payments", id="c"):
            await heard.until("joined payments.c")


async def test_a_bucket_that_is_deleted_and_made_again_loses_nobody(client: Client, other: Registry) -> None:
    await make(client, ttl=2)
    async with Registry(client) as registry, registry.instance("payments", id="alive"), watching(other) as heard:
        await heard.until("joined payments.alive")
        await api(client, "STREAM.DELETE.KV_service_registry")
        await nobody_is_lost(heard, 1)
        await make(client, ttl=2)

        async with registry.instance("payments", id="later"):
            await heard.until("joined payments.later")
        await nobody_is_lost(heard, 4)
        assert ["alive"] == [each.id for each in await other.instances("payments")]


async def test_a_bucket_that_natsmith_moves_loses_nobody(
    connection: Connection, client: Client, other: Registry
) -> None:
    def wanted(storage: str) -> dict[str, Any]:
        bucket = {"profile": "serviceRegistry", "ttlSeconds": 3, "storage": storage}
        return {"buckets": {"service_registry": bucket}, "provisioner": {"onImmutable": "move"}}

    async with await connect(connection, timeout=10, log=Log()) as server:
        await applied(server, wanted("memory"))
        async with Registry(client) as registry, registry.instance("payments", id="alive"), watching(other) as heard:
            await heard.until("joined payments.alive")
            await applied(server, wanted("file"))

            await nobody_is_lost(heard, 4)
            async with registry.instance("payments", id="later"):
                await heard.until("joined payments.later")


async def test_a_ttl_that_is_changed_in_place_loses_nobody(client: Client, other: Registry) -> None:
    await make(client, ttl=6)
    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(Registry(client))
        heard = await stack.enter_async_context(watching(other))
        for number in range(5):
            await stack.enter_async_context(registry.instance("payments", id=f"alive-{number}"))
        late = await stack.enter_async_context(watching(registry))
        await heard.until("joined payments.alive-4")
        for ttl in (1, 6):
            await change(client, ttl=ttl)
            # One that dies has readers look at the bucket.
            await put(client, f"payments.dies-{ttl}", b'{"v":1,"ttl":1}')
            await nobody_is_lost(heard, 4)
        assert [] == lost(late)


async def test_a_heartbeat_whose_answer_is_lost_is_made_good(
    client: Client, other: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make(client, ttl=2)
    real = client.request
    answers = 0

    async def without_an_answer(subject: str, payload: bytes = b"", timeout: float = 0.5, **more: Any) -> Any:
        nonlocal answers
        answer = await real(subject, payload, timeout, **more)
        answers += subject.startswith("$KV.")
        if subject.startswith("$KV.") and answers % 2 == 0:
            raise nats.errors.TimeoutError
        return answer

    monkeypatch.setattr(client, "request", without_an_answer)
    async with Registry(client) as registry, watching(other) as heard:
        async with registry.instance("payments", id="alive") as instance:
            await heard.until("joined payments.alive")
            await instance.draining()
            await heard.until("changed payments.alive")
            await nobody_is_lost(heard, 3)
            assert not instance.replaced
        await heard.until("left payments.alive")
