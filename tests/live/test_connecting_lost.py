"""A connection that stands, and then ends: what was on its way, and what comes after."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from collections.abc import Callable

import pytest

from contract import stream
from embedded import Embedded
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import JetStream, connect
from natsmith.errors import NotReady
from natsmith.log import Log

Start = Callable[..., Embedded]


@pytest.fixture
def release(newest: str) -> str:
    """Name one version: how a connection ends does not depend on it."""
    return newest


def freeze(embedded: Embedded) -> None:
    """Stop the server's process, which keeps its connections, and wait until it is stopped."""
    embedded.signal(signal.SIGSTOP)
    assert embedded.process
    os.waitpid(embedded.process.pid, os.WUNTRACED)


async def test_a_server_that_does_not_answer_is_not_waited_for_longer_than_a_request_may_take(
    private_server: Start,
) -> None:
    embedded = private_server()
    async with await connect(Connection(server=embedded.url), timeout=10, log=Log()) as server:
        server.timeout = 0.3
        freeze(embedded)

        with pytest.raises(NotReady, match=r"did not answer \$JS\.API\.STREAM\.LIST within 0\.3 s"):
            await server.streams()
        embedded.signal(signal.SIGCONT)


async def test_requests_fail_at_once_when_the_connection_is_lost(private_server: Start) -> None:
    embedded = private_server()
    async with await connect(Connection(server=embedded.url), timeout=10, log=Log()) as server:
        freeze(embedded)
        requests = [asyncio.create_task(server.stream(f"S{number}")) for number in range(5)]
        await asyncio.sleep(0.05)  # lets the requests leave; a server that is stopped answers none of them
        embedded.kill()

        for error in await asyncio.gather(*requests, return_exceptions=True):
            assert isinstance(error, NotReady)
            assert "was lost before it answered" in str(error), "or else it was waited for until a time-out"


async def test_nothing_goes_on_after_a_lost_connection_is_closed(private_server: Start) -> None:
    """Whoever closes in the moment of a new attempt to connect must not leave nats-py trying for ever."""
    embedded = private_server()
    async with await connect(Connection(server=embedded.url), timeout=10, log=Log()) as server:
        # Time itself is what is waited for: nats-py tries at once only after the pause between two attempts.
        await asyncio.sleep(0.3)
        freeze(embedded)
        request = asyncio.create_task(server.stream("S"))
        await asyncio.sleep(0.05)  # lets the request leave; a server that is stopped does not answer it
        embedded.kill()
        await asyncio.gather(request, return_exceptions=True)

    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_server_that_comes_back_is_used_again(private_server: Start) -> None:
    embedded = private_server()
    async with await connect(Connection(server=embedded.url), timeout=10, log=Log(stream=io.StringIO())) as server:
        await server.create_stream(stream(storage="file"))
        embedded.kill()
        await asyncio.to_thread(embedded.start)

        assert [each.config["name"] for each in await server.streams()] == ["S"]


@pytest.mark.parametrize("turns", range(4))
async def test_a_connection_may_be_closed_while_it_is_being_lost(private_server: Start, turns: int) -> None:
    """nats-py cancels its own close() where that waits for the same end of the connection as its next attempt."""
    embedded = private_server()
    server = await connect(Connection(server=embedded.url), timeout=10, log=Log())
    client = server.link.client
    embedded.kill()
    while not client.is_reconnecting:  # noqa: ASYNC110  (nats-py tells nobody of this turn of the loop)
        await asyncio.sleep(0)
    for _ in range(turns):
        await asyncio.sleep(0)

    await server.close()
    assert client.is_closed


async def test_a_closed_connection_answers_nothing(server: JetStream) -> None:
    await server.close()

    with pytest.raises(NotReady, match="ended"):
        await server.streams()
