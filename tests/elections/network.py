"""The way between one process and the server, which can be cut: bytes stop and, perhaps, go on later."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Way:
    """Passes bytes on in both directions, until it is cut."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    def cut(self) -> None:
        """Pass nothing on; neither end is told."""
        self._open.clear()

    def mend(self, *, late: bool) -> None:
        """Pass on again: with *late* what was held back too, otherwise on new connections only."""
        if not late:
            for each in tuple(self._writers):
                each.transport.abort()
        self._open.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Be one connection."""
        with contextlib.suppress(OSError):
            await self._open.wait()
            there, back = await asyncio.open_connection("127.0.0.1", self._to)
            ends = {writer, back}
            self._writers |= ends
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pass(reader, back))
                    group.create_task(self._pass(there, writer))
            finally:
                self._writers -= ends
                for each in ends:
                    each.close()
            return
        writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while some := await reader.read(65536):
                await self._open.wait()
                writer.write(some)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def way(port: int) -> AsyncIterator[Way]:
    """Open a way to a server's port."""
    one = Way(port)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(one.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
