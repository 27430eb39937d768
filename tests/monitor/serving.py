"""A monitor's page in front of a picture that the test paints; no NATS server is needed."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from natsmith.monitor.door import BACKLOG, door
from natsmith.monitor.picture import Picture
from natsmith.monitor.web import app


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@asynccontextmanager
async def serving(picture: Picture, *, local: bool = False) -> AsyncIterator[int]:
    """Serve *picture* for a block; gives the port."""
    server = door(app(picture, local=local))
    listening = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
    task = asyncio.create_task(server.serve([listening]))
    try:
        yield listening.getsockname()[1]
    finally:
        picture.hub.close()
        server.should_exit = True
        await task


async def get(port: int, path: str, method: str = "GET", host: str = "localhost") -> Answer:
    """Ask for one thing."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    async with asyncio.timeout(10):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(int(first.split()[1]), headers, body)
