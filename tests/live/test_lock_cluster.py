"""The lock of an account on three servers: runs that begin together hold it one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from chaos.servers import Site, three
from natsmith.actions import lease
from natsmith.actions.state import ensure
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import JetStream, connect
from natsmith.log import Log
from natsmith.model.outcome import Holder
from versions import VERSIONS

pytestmark = pytest.mark.parametrize("release", VERSIONS[1:])

RUNS = 9


@pytest.fixture
def site(release: str) -> Iterator[Site]:
    """Start three servers."""
    with three(release) as found:
        yield found


async def test_runs_that_begin_together_hold_it_one_after_the_other(site: Site) -> None:
    """A cluster refuses writes that meet with a word of its own, which is no reason to give up."""
    await site.ready()
    place = site.fresh()
    async with AsyncExitStack() as stack:
        servers: list[JetStream] = []
        for number in range(RUNS):
            connection = Connection(
                server=place.urls[number % len(place.urls)], user=place.user, password=place.password
            )
            servers.append(await stack.enter_async_context(await connect(connection, timeout=20, log=Log())))
        await ensure(servers[0], 3)
        inside: list[int] = []
        order: list[int] = []

        async def run(number: int) -> None:
            mine = Holder(owner="local", who=f"run-{number}", since="now")
            async with lease.held(servers[number], mine, log=Log(), timeout=40):
                inside.append(number)
                assert [number] == inside
                await servers[number].stream("KV_natsmith_state")
                inside.remove(number)
                order.append(number)

        await asyncio.gather(*(run(number) for number in range(RUNS)))

        assert set(range(RUNS)) == set(order)
