"""What a connection costs is bounded, whatever its other end does."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections import Counter

import pytest

from monitor.painting import picture
from monitor.serving import get, serving
from natsmith.monitor import door, hub
from waiting import eventually

EVENTS = b"GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_who_never_reads_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its event stream fills what the system keeps for it, and no more; then its connection is ended."""
    monkeypatch.setattr(door, "STALL_SECONDS", 0.2)  # a limit is the same for less time
    painted = picture()
    async with serving(painted) as port:
        with socket.socket() as lazy:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lazy.setblocking(False)
            await asyncio.get_running_loop().sock_connect(lazy, ("127.0.0.1", port))
            await asyncio.get_running_loop().sock_sendall(lazy, EVENTS)

            async def opened() -> bool:
                return painted.hub.readers == 1

            async def dropped() -> bool:
                painted.hub.tell("plan", "x" * 100_000)
                return painted.hub.readers == 0

            await eventually(opened, within=5)
            await eventually(dropped, within=20)


async def test_who_asks_nothing_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection alone costs something as well."""
    monkeypatch.setattr(door, "ASK_SECONDS", 0.1)  # as above
    async with serving(picture()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HT")
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionResetError):
                assert b"" == await reader.read()
        writer.close()


@pytest.mark.parametrize("more", [b"G", b"GET / HTTP/1.1\r\nHost: x\r\n"])
async def test_who_asks_once_and_never_again_is_sent_away(monkeypatch: pytest.MonkeyPatch, more: bytes) -> None:
    """Who was answered begins to ask anew, and stops in the middle."""
    monkeypatch.setattr(door, "ASK_SECONDS", 0.1)  # as above
    async with serving(picture()) as port:
        await gone_after_an_answer(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", more)


async def test_who_goes_on_sending_after_the_answer_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the body of what was refused, however slowly it comes."""
    monkeypatch.setattr(door, "ASK_SECONDS", 0.1)  # as above
    async with serving(picture()) as port:
        asked = b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
        await gone_after_an_answer(port, asked, b"x")


@pytest.mark.parametrize(
    ("asked", "more"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b""),
        (b"GET /api/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"zz\r\n"),
    ],
    ids=["at once", "while it is answered"],
)
async def test_a_body_that_is_not_http_is_no_error_of_ours(
    caplog: pytest.LogCaptureFixture, asked: bytes, more: bytes
) -> None:
    """Anybody could fill the log with it otherwise."""
    painted = picture()
    async with serving(painted) as port:
        await gone_after_an_answer(port, asked, more)

        async def over() -> bool:
            return painted.hub.readers == 0

        await eventually(over, within=5)

    assert [] == [each for each in caplog.records if each.levelname == "ERROR"]


async def gone_after_an_answer(port: int, asked: bytes, more: bytes) -> None:
    """Ask, take the answer, send *more*, and see that the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(asked)
    async with asyncio.timeout(3):  # less than uvicorn waits for another request
        assert (await reader.read(4096)).startswith(b"HTTP/1.1 ")
        writer.write(more)
        with contextlib.suppress(ConnectionResetError):
            while await reader.read(4096):
                pass
    writer.close()


async def test_a_thousand_connections_are_too_many() -> None:
    """Some pages are served; the others are told so or ended, and metrics are answered beside them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    painted = picture()
    async with serving(painted) as port:
        writers, statuses = [], Counter[bytes]()

        async def come() -> None:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writers.append(writer)
                writer.write(EVENTS)
                statuses[(await reader.readline())[9:12]] += 1
            except OSError:
                statuses[b"ended"] += 1

        async with asyncio.timeout(30):
            await asyncio.gather(*(come() for _ in range(1000)))
        readers = painted.hub.readers
        for each in writers[hub.MOST_READERS :]:
            each.close()

        async def answered() -> bool:
            return (await get(port, "/metrics")).status == 200

        await eventually(answered, within=10)
        for each in writers:
            each.close()

    assert (hub.MOST_READERS, True) == (readers, statuses[b"503"] > 0)
    assert {b"200": hub.MOST_READERS} == {key: count for key, count in statuses.items() if key == b"200"}
    assert 1000 == statuses.total()
