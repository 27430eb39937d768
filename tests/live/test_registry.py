"""Registering and discovering on real servers: what a service writes, and what others see of it."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any

import pytest
from nats.aio.client import Client

from natsmith.adapters.connections import Connection
from natsmith.registry import NatsmithError, Registry, Replaced, Status
from registering import api, connected, ids, make, process, put, steadily, watching
from waiting import Eventually

LATER = 7200


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


async def test_an_entry_that_somebody_deletes_comes_back(client: Client, other: Registry) -> None:
    await make(client)
    async with watching(other) as heard, Registry(client) as registry, registry.instance("payments", id="a"):
        await heard.until("joined payments.a")
        await api(client, "STREAM.PURGE.KV_service_registry")
        await client.publish("$KV.service_registry.payments.a", b"", headers={"KV-Operation": "DEL"})
        await heard.until("left payments.a")
        heard.changes.clear()

        await heard.until("joined payments.a")


async def test_nothing_is_written_after_the_block(client: Client, other: Registry) -> None:
    await make(client)
    async with Registry(client) as registry:
        async with registry.instance("payments", id="a") as own:
            pass
        await own.healthy()

        assert () == await other.instances("payments")


async def test_a_ttl_of_its_own_where_the_server_can(client: Client, other: Registry) -> None:
    await make(client, ttl=0, per_key=True)
    async with (
        Registry(client) as registry,
        watching(other) as heard,
        registry.instance("payments", id="a", ttl=1) as own,
    ):
        assert ("key", 1) == (own.expiry.by, own.expiry.seconds)
        await heard.until("joined payments.a")
        found = await api(client, "STREAM.MSG.GET.KV_service_registry", {"last_by_subj": "$KV.service_registry.>"})
        assert b"Nats-TTL: 1s" in base64.b64decode(found["message"]["hdrs"])
        await steadily(2.5, lambda: ["joined payments.a"] == heard.told, lambda: heard.told)


async def test_readers_expire_where_the_server_does_not_and_no_clock_of_theirs_matters(
    client: Client, other: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make(client, ttl=0, history=2)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + LATER)
    async with watching(other) as heard:
        began = time.monotonic()
        await put(client, "payments.a", b'{"v":1,"status":"healthy","ttl":1}')
        await heard.until("joined payments.a")
        await heard.until("expired payments.a")

        assert 5 < time.monotonic() - began < 1 + 5 + 4
        assert () == await other.instances("payments")
        async with Registry(client) as fresh:
            assert () == await fresh.instances("payments")


@pytest.mark.parametrize(
    ("key", "said", "expected"),
    [
        ("payments.a", {"status": "UP", "instance_id": "i", "zone": "b"}, ("payments", "i", {"zone": "b"})),
        ("k", {"serviceName": "payments", "instanceId": "i", "lastHeartbeat": 12.5}, ("payments", "i", {})),
        ("payments.a.b", {"v": 1, "metadata": {"x": 1}}, ("payments", "a.b", {"x": 1})),
        ("payments.a", {"v": 7, "status": "healthy", "new": True}, ("payments", "a", {})),
    ],
)
async def test_what_other_writers_wrote_is_read(
    client: Client, other: Registry, key: str, said: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    await make(client, ttl=30)
    await put(client, key, json.dumps(said).encode())

    assert [expected] == [(each.service, each.id, each.metadata) for each in await other.instances("payments")]


async def test_no_reader_falls_over_an_entry_that_is_none(client: Client, other: Registry) -> None:
    await make(client, ttl=30)
    broken = [
        b"",
        b"\xff\x00",
        b"[1]",
        b"null",
        b"{}" * 9,
        b'{"v":"x"}',
        b'{"status":5}',
        b'{"metadata":[1]}',
        b"x" * 900_000,
    ]
    for number, payload in enumerate([*broken, b"[" * 50_000, b'{"ttl":1e999}', b'{"v":' + b"9" * 5000 + b"}"]):
        await put(client, f"payments.{number}", payload)
    async with watching(other) as heard, Registry(client) as registry, registry.instance("payments", id="good"):
        await heard.until("joined payments.good")
        await put(client, "payments.0", b"still none")

        assert ["good"] == ids(await other.instances("payments"))


async def test_metadata_that_the_application_changes_later_is_not_told_until_it_says_so(
    client: Client, other: Registry
) -> None:
    """And what it cannot say does not keep it from going back to what it said before."""
    await make(client, ttl=2)
    info = await api(client, "STREAM.INFO.KV_service_registry")
    await api(client, "STREAM.UPDATE.KV_service_registry", info["config"] | {"max_msg_size": 1000})
    metadata: dict[str, Any] = {"ports": [80]}
    async with (
        watching(other) as heard,
        Registry(client) as registry,
        registry.instance("payments", id="a", metadata=metadata) as own,
    ):
        metadata["ports"].append(object())
        with pytest.raises(NatsmithError, match="maximum"):
            await own.say(metadata={"much": "x" * 2000})
        await own.draining()
        await steadily(3, lambda: own.trouble is None, lambda: own.trouble)

        assert {"ports": [80]} == heard.changes[-1].instance.metadata
        assert ["joined payments.a", "changed payments.a"] == heard.told


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
