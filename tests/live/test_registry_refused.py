"""The service registry refuses what cannot work, with the cure, and does nothing outside its block."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from nats.aio.client import Client

from natsmith.adapters.connections import Connection
from natsmith.registry import DecisionNeeded, NatsmithError, Registry, WrongUse, WrongValues
from registering import api, connected, ids, make, steadily, watching


@pytest.fixture
def release(newest: str) -> str:
    """Name the newest server; where the version matters a test has its own parameter."""
    return newest


@pytest.mark.parametrize(
    ("service", "id"), [(" ", "a"), ("a.b", "c"), ("a", "b..c"), ("a*", "b"), ("a", ">"), ("ä", "b"), ("a", "x" * 200)]
)
async def test_a_name_that_cannot_be_a_key_is_refused_before_anything_is_sent(
    client: Client, service: str, id: str
) -> None:
    async with Registry(client) as registry:
        with pytest.raises(WrongValues, match="cannot be in a key"):
            registry.instance(service, id=id)


@pytest.mark.parametrize("service", ["a b", "", "a*", ">", "a..b", "ä", "x" * 200, None, 7])
async def test_nobody_asks_for_a_service_that_none_can_be(client: Client, service: Any) -> None:
    await make(client)
    async with Registry(client) as registry:
        with pytest.raises(WrongValues, match="cannot be one: use up to 128"):
            await registry.instances(service)
        if service is not None:
            with pytest.raises(WrongValues, match="cannot be one"):
                await anext(registry.watch(service))


@pytest.mark.parametrize("given", [None, "nats://user:secret@127.0.0.1", object()])
def test_what_is_no_client_is_refused_at_once(given: Any) -> None:
    with pytest.raises(WrongUse, match=r"needs a connected client of nats-py.*nats\.connect") as refusal:
        Registry(given)

    assert "secret" not in str(refusal.value)


def test_a_client_that_was_never_connected_is_refused_at_once() -> None:
    with pytest.raises(WrongUse, match=r"never connected: client = await nats\.connect"):
        Registry(Client())


async def test_a_client_that_connects_again_just_now_will_do(client: Client) -> None:
    """While it does nats-py tells the same of it as of one that was never connected."""
    client._status = Client.CONNECTING
    registry = Registry(client)
    client._status = Client.CONNECTED
    assert client._reconnected_cb
    await client._reconnected_cb()

    async with registry:
        await make(client)
        assert () == await registry.instances("payments")


async def test_a_client_of_another_event_loop_is_refused_at_once(client: Client) -> None:
    async def elsewhere() -> None:
        async with Registry(client):
            pass

    with pytest.raises(WrongUse, match="connected in another event loop"):
        await asyncio.to_thread(asyncio.run, elsewhere())


async def test_an_entry_larger_than_a_message_of_the_server_is_refused_with_its_size(client: Client) -> None:
    await make(client)
    client._max_payload = 1000  # as the server said when it greeted
    async with Registry(client) as registry:
        with pytest.raises(
            WrongValues, match=r"\d+ bytes on .*payments\.a are more than the 1000 that the server takes"
        ):
            async with registry.instance("payments", id="a", metadata={"much": "x" * 2000}):
                pass


async def test_a_missing_bucket_is_named(client: Client) -> None:
    async with Registry(client) as registry:
        with pytest.raises(DecisionNeeded, match="there is no bucket service_registry: provision it"):
            await registry.instances("payments")
        with pytest.raises(DecisionNeeded, match="there is no bucket service_registry"):
            async with registry.instance("payments"):
                pass

        await make(client)
        assert () == await registry.instances("payments")


async def test_metadata_too_large_for_the_bucket_is_refused_and_the_instance_lives_on(
    client: Client, other: Registry
) -> None:
    await make(client)
    info = await api(client, "STREAM.INFO.KV_service_registry")
    await api(client, "STREAM.UPDATE.KV_service_registry", info["config"] | {"max_msg_size": 1000})
    async with watching(other) as heard, Registry(client) as registry, registry.instance("payments", id="a") as own:
        await heard.until("joined payments.a")
        with pytest.raises(NatsmithError, match="maximum"):
            await own.say(metadata={"much": "x" * 2000})
        await steadily(3, lambda: ["joined payments.a"] == heard.told, lambda: heard.told)


async def test_whoever_waits_learns_that_the_registry_was_closed(client: Client) -> None:
    await make(client)
    async with Registry(client) as registry, watching(registry) as heard:
        waiting = asyncio.ensure_future(anext(registry.watch()))
        await asyncio.sleep(0)
        await registry.close()
        with pytest.raises(StopAsyncIteration):
            await waiting
        assert [] == heard.told


@pytest.mark.parametrize("closed", [False, True], ids=["never entered", "closed"])
async def test_outside_its_block_a_registry_does_nothing_and_says_so(client: Client, closed: bool) -> None:
    await make(client)
    registry = Registry(client)
    if closed:
        async with registry:
            pass
    asking: list[Callable[[], Awaitable[object]]] = [
        lambda: registry.instances("payments"),
        registry.all_instances,
        lambda: anext(registry.watch()),
        lambda: registry.leader("billing"),
        lambda: registry.instance("payments").__aenter__(),
        lambda: registry.leadership("billing").__aenter__(),
    ]
    for ask in asking:
        with pytest.raises(WrongUse, match=r"use it inside `async with Registry\(client\) as registry:`"):
            await ask()


async def test_a_block_is_entered_once(client: Client) -> None:
    await make(client)
    async with Registry(client) as registry, registry.instance("payments", id="a") as own:
        enters: list[Callable[[], Awaitable[object]]] = [registry.__aenter__, own.__aenter__]
        for enter in enters:
            with pytest.raises(WrongUse, match="already: make another"):
                await enter()
        assert ["a"] == ids(await registry.instances("payments"))


async def test_a_connection_that_is_closed_for_good_is_an_error_and_not_an_old_answer(connection: Connection) -> None:
    client = await connected(connection)
    await make(client)
    async with Registry(client) as registry, registry.instance("payments", id="a") as own:
        assert ["a"] == ids(await registry.instances("payments"))
        assert own.trouble is None
        changes = registry.watch()
        await anext(changes)
        waiting = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)
        await client.close()

        for asking in (waiting, registry.instances("payments")):
            with pytest.raises(DecisionNeeded, match="closed for good"):
                await asking
        assert isinstance(registry.trouble, DecisionNeeded)
        assert isinstance(own.trouble, DecisionNeeded)


async def test_a_question_that_is_cancelled_leaves_nothing_behind(client: Client) -> None:
    await make(client)
    async with Registry(client) as registry:
        for turns in range(12):
            asking = asyncio.create_task(registry.instances("payments"))
            for _ in range(turns):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait({asking})

        assert () == await registry.instances("payments")
    assert not registry._line._listeners
    assert not registry._line._denied


@pytest.mark.parametrize(
    ("how", "ttl", "why"),
    [
        ({"ttl": 0}, 5, "does not allow it"),
        ({"ttl": 0, "per_key": True, "history": 5}, 5, "an older one comes back"),
        ({"ttl": 0, "per_key": True, "marker": 60}, 5, "its markers stay 60 s"),
        ({"ttl": 10, "per_key": True}, 11, "drops every entry after 10 s"),
        ({"ttl": 10}, 0, "whole seconds"),
    ],
)
async def test_a_ttl_that_would_not_be_true_is_refused(client: Client, how: dict[str, Any], ttl: int, why: str) -> None:
    await make(client, **how)
    async with Registry(client) as registry:
        with pytest.raises(WrongValues, match=why):
            async with registry.instance("payments", ttl=ttl):
                pass

        assert () == await registry.instances("payments")
