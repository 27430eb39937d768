"""A link to a server that lets little through, and can be cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

SLOW = 2_000_000
"""Bytes a second that the link lets through."""


class Link:
    """The link while it is there."""

    def __init__(self, port: int) -> None:
        self.url = ""
        self._port = port
        self._open: list[asyncio.StreamWriter] = []

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        there, to = await asyncio.open_connection("127.0.0.1", self._port)
        self._open.append(writer)
        await asyncio.gather(_carry(reader, to, 10**9), _carry(there, writer, SLOW), return_exceptions=True)

    def cut(self) -> None:
        """End what is connected now; who comes again gets through."""
        for each in self._open:
            each.transport.abort()
        self._open.clear()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pace: int) -> None:
    while data := await reader.read(64 * 1024):
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(len(data) / pace)  # this is the slowness, not a wait
    writer.close()


@asynccontextmanager
async def slow_link(port: int) -> AsyncIterator[Link]:
    """Have a link to the server on a port of this machine, for a block."""
    link = Link(port)
    server = await asyncio.start_server(link.accept, "127.0.0.1", 0)
    link.url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield link
    finally:
        link.cut()
        server.close()
