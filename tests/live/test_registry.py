"""Registering and discovering on real servers: what a service writes, and what others see of it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from nats.aio.client import Client

from natsmith.adapters.connections import Connection
from natsmith.registry import Registry, Replaced, Status
from registering import connected, ids, make, process, watching
from waiting import Eventually


@pytest.fixture
def release(newest: str) -> str:
    """Name the newest server; where the version matters a test has its own parameter."""
    return newest


@pytest.mark.parametrize("release", ["2.11.11", "2.12.8", "2.14.6", "2.15.1"])
async def test_a_service_registers_in_three_lines_and_leaves_at_once(client: Client, other: Registry) -> None:
    await make(client, ttl=30)
    async with watching(other) as heard:
        async with Registry(client) as registry, registry.instance("payments", id="a", metadata={"port": 80}) as own:
            await heard.until("joined payments.a")
            found = await other.instances("payments")
            assert [("a", {"port": 80}, Status.HEALTHY)] == [(each.id, each.metadata, each.status) for each in found]
            assert ("bucket", 30) == (own.expiry.by, own.expiry.seconds)
        began = time.monotonic()
        await heard.until("left payments.a")

        assert time.monotonic() - began < 15
        assert () == await other.instances("payments")


@pytest.mark.parametrize("release", ["2.11.11", "2.15.1"])
@pytest.mark.parametrize(
    "how", [{"ttl": 2}, {"ttl": 2, "per_key": True, "marker": 1, "history": 3}], ids=["plain", "markers"]
)
async def test_a_crashed_process_expires_for_every_reader(
    connection: Connection, client: Client, how: dict[str, Any]
) -> None:
    await make(client, **how)
    async with (
        Registry(client) as one,
        Registry(client) as two,
        watching(one) as first,
        watching(two) as second,
        process(connection, "be", "payments", "a") as crashing,
        one.instance("payments", id="alive"),
    ):
        await first.until("joined payments.a")
        crashing.end()
        began = time.monotonic()
        for each in (first, second):
            await each.until("expired payments.a")

        assert time.monotonic() - began < 2 + 1 + 2
        assert ["alive"] == ids(await one.instances("payments"))
        assert "expired payments.alive" not in first.told + second.told


async def test_statuses_and_metadata_are_told(client: Client, other: Registry) -> None:
    await make(client)
    async with watching(other) as heard, Registry(client) as registry, registry.instance("payments", id="a") as own:
        await heard.until("joined payments.a")
        await own.unhealthy()
        await heard.until("changed payments.a")
        assert Status.UNHEALTHY == heard.changes[-1].instance.status
        assert () == await other.instances("payments", status=Status.HEALTHY)

        await own.say(status=Status.DRAINING, metadata={"zone": "b"})
        await heard.last(lambda each: each.instance.metadata == {"zone": "b"})
        assert Status.DRAINING == own.status == heard.changes[-1].instance.status


async def test_who_registers_an_id_again_has_it_and_the_older_one_learns_it(
    client: Client, other: Registry, eventually: Eventually
) -> None:
    await make(client)
    async with (
        Registry(client) as registry,
        registry.instance("payments", id="a", metadata={"n": 1}) as older,
        registry.instance("payments", id="a", metadata={"n": 2}) as newer,
    ):

        async def learned() -> bool:
            return older.replaced

        await eventually(learned, within=10)
        with pytest.raises(Replaced, match="registered by another process"):
            await older.unhealthy()
        assert Status.HEALTHY == older.status
        assert isinstance(older.trouble, Replaced)
        found = await other.instances("payments")
        assert [({"n": 2}, Status.HEALTHY)] == [(each.metadata, each.status) for each in found]
        assert not newer.replaced


async def test_who_says_something_after_it_was_replaced_is_told(client: Client, other: Registry) -> None:
    """Also where no heartbeat has found it out yet."""
    await make(client, ttl=3600)
    async with (
        Registry(client) as registry,
        registry.instance("payments", id="a") as older,
        registry.instance("payments", id="a", metadata={"n": 2}),
    ):
        for _ in range(2):
            with pytest.raises(Replaced, match="give each an id of its own"):
                await older.draining()
            assert older.replaced

        assert [({"n": 2}, Status.HEALTHY)] == [
            (each.metadata, each.status) for each in await other.instances("payments")
        ]


async def test_what_a_process_says_its_own_reader_knows_at_once(client: Client) -> None:
    """With 200 others, so that there is something to be told of before."""
    await make(client, ttl=30)
    async with Registry(client) as registry:
        await registry.instances("payments")
        for number in range(30):
            for each in range(200):
                await client.publish(f"$KV.service_registry.others.{each}", b'{"v":1}')
            async with registry.instance("payments", id=str(number)) as own:
                assert [str(number)] == ids(await registry.instances("payments"))
                await own.draining()
                assert [Status.DRAINING] == [each.status for each in await registry.instances("payments")]
            assert () == await registry.instances("payments")


@pytest.mark.parametrize("steps", range(12))
async def test_who_is_cancelled_while_it_registers_leaves_nothing_behind(
    client: Client, other: Registry, steps: int
) -> None:
    await make(client, ttl=3600)

    async def register() -> None:
        async with Registry(client) as registry, registry.instance("payments", id="a"):
            await asyncio.Event().wait()

    real = client.request
    asked = asyncio.Semaphore(0)

    async def request(*given: Any, **more: Any) -> Any:
        asked.release()
        return await real(*given, **more)

    client.request = request  # type: ignore[method-assign]  # as the library asks
    registering = asyncio.create_task(register())
    for _ in range(3):  # the bucket, who has the key, and the entry
        await asked.acquire()
    for _ in range(steps):
        await asyncio.sleep(0)
    registering.cancel()
    await asyncio.wait({registering})

    assert () == await other.instances("payments")


async def test_nothing_is_written_after_the_block(client: Client, other: Registry) -> None:
    await make(client)
    async with Registry(client) as registry:
        async with registry.instance("payments", id="a") as own:
            pass
        await own.healthy()

        assert () == await other.instances("payments")


async def test_many_registries_on_one_connection_cost_its_callbacks_nothing(connection: Connection) -> None:
    told: list[str] = []

    async def lost() -> None:
        told.append("lost")

    client = await connected(connection, disconnected_cb=lost)
    await make(client)
    first = Registry(client)
    hook = client._disconnected_cb
    for _ in range(20):
        async with Registry(client) as each:
            await each.instances("payments")
    assert hook is client._disconnected_cb
    await first.close()
    await client.close()

    assert ["lost"] == told
