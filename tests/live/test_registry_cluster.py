"""The registry on three servers, of which one after the other dies: nobody is lost who lives, and one leads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest
from nats.aio.client import Client

from chaos.servers import NODES, Site, three
from electing import nothing
from natsmith.adapters.closing import closed
from natsmith.adapters.connections import Connection
from natsmith.registry import Lease, NotReady, Registry
from registering import Heard, api, connected, make, process, steadily, watching
from versions import VERSIONS
from waiting import Eventually

pytestmark = pytest.mark.parametrize("release", VERSIONS[-1:])

TTL = 3
LEASE = 3
OTHERS = 4


@pytest.fixture
def site(release: str) -> Iterator[Site]:
    """Start three servers that the test may kill."""
    with three(release) as found:
        yield found


@pytest.fixture
async def connections(site: Site) -> list[Connection]:
    """Give one user of an account, at each server."""
    await site.ready()
    place = site.fresh()
    return [Connection(server=url, user=place.user, password=place.password) for url in place.urls]


@pytest.fixture
async def clients(connections: list[Connection]) -> AsyncIterator[list[Client]]:
    """Connect to each server; each connection finds the others when its own dies."""
    found = [await connected(each, error_cb=nothing) for each in connections]
    yield found
    for each in found:
        await closed(each)


async def prepared(client: Client) -> None:
    """Have both buckets on every server."""
    await make(client, ttl=TTL, replicas=len(NODES))
    await make(client, name="elections", ttl=0, per_key=True, replicas=len(NODES))


async def leader_of(client: Client, stream: str) -> str:
    """Return the server that decides what is in a bucket."""
    return str((await api(client, f"STREAM.INFO.{stream}"))["cluster"]["leader"])


def lost(heard: Heard) -> list[str]:
    """Return who was told to be gone and lives."""
    return [each for each in heard.told if each.startswith(("expired payments.alive", "left payments.alive"))]


async def test_who_joins_leaves_and_crashes_is_told_at_every_server(
    connections: list[Connection], clients: list[Client]
) -> None:
    await prepared(clients[0])
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(Registry(each)) for each in clients]
        told = [await stack.enter_async_context(watching(each)) for each in readers]
        async with readers[0].instance("payments", id="a"), process(connections[1], "be", "payments", "b") as crashing:
            for each in told:
                await each.until("joined payments.a", "joined payments.b")
            crashing.end()
            for each in told:
                await each.until("expired payments.b")
        for each in told:
            await each.until("left payments.a")
            assert "expired payments.a" not in each.told


async def test_a_server_that_dies_loses_nobody_and_who_dies_with_it_expires(
    site: Site, connections: list[Connection], clients: list[Client]
) -> None:
    await prepared(clients[0])
    async with AsyncExitStack() as stack:
        registries = [await stack.enter_async_context(Registry(each)) for each in clients]
        told = [await stack.enter_async_context(watching(each)) for each in registries]
        for number in range(OTHERS):
            await stack.enter_async_context(registries[number % 3].instance("payments", id=f"alive-{number}"))
        crashing = await stack.enter_async_context(process(connections[2], "be", "payments", "dead"))
        for heard in told:
            await heard.until("joined payments.dead", f"joined payments.alive-{OTHERS - 1}")
        name = await leader_of(clients[1], "KV_service_registry")
        site.servers[name].kill()
        crashing.end()

        # Readers, processes that live and one that dies are connected to each server, also to the one that is killed.
        for heard in told:
            await heard.until("expired payments.dead", within=40)
        await steadily(TTL, lambda: not any(map(lost, told)), lambda: [each.told for each in told])
        await asyncio.to_thread(site.servers[name].start)
        await steadily(2 * TTL, lambda: not any(map(lost, told)), lambda: [each.told for each in told])
        for each in registries:
            assert OTHERS == len(await each.instances("payments"))


async def test_who_lives_is_not_lost_while_too_few_servers_are_left_to_store_anything(
    site: Site, clients: list[Client]
) -> None:
    await prepared(clients[0])
    name = await leader_of(clients[0], "KV_service_registry")
    others = [each for each in site.servers if each != name]
    client = clients[list(site.servers).index(name)]
    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(Registry(client))
        heard = await stack.enter_async_context(watching(registry))
        for number in range(OTHERS):
            await stack.enter_async_context(registry.instance("payments", id=f"alive-{number}"))
        await heard.until(f"joined payments.alive-{OTHERS - 1}")
        for each in others:
            site.servers[each].kill()
        await steadily(3 * TTL, lambda: not lost(heard), lambda: heard.told)
        for each in others:
            await asyncio.to_thread(site.servers[each].start)
        await steadily(3 * TTL, lambda: not lost(heard), lambda: heard.told)
        assert OTHERS == len(await registry.instances("payments"))


async def test_a_leader_is_followed_by_one_although_the_server_that_decides_dies(
    site: Site, clients: list[Client], eventually: Eventually
) -> None:
    await prepared(clients[0])
    held: list[Lease] = []
    ended = asyncio.Event()

    async def candidate(number: int) -> None:
        async with Registry(clients[number]) as registry:
            while not ended.is_set():
                try:
                    async with registry.leadership("billing", id=str(number), ttl=LEASE) as lease:
                        held.append(lease)
                        await ended.wait()
                except NotReady:
                    """The lease was lost with its server: it wants to lead again."""

    def one_leads() -> bool:
        return len([each for each in held if each.held]) <= 1

    async def somebody_leads() -> bool:
        return any(each.held for each in held)

    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(candidate(number))
        try:
            for _ in range(2):
                await eventually(somebody_leads, within=40)
                name = await leader_of(clients[0], "KV_elections")
                site.servers[name].kill()
                await steadily(LEASE + 2, one_leads, lambda: held)
                await eventually(somebody_leads, within=40)
                await asyncio.to_thread(site.servers[name].start)
                await site.ready()
        finally:
            ended.set()

    tokens = [each.token for each in held]
    assert tokens == sorted(set(tokens))
