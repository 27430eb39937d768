"""The websocket of docs/config-merge.md, spoken as a browser does."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from installed import Installed, certificate
from merging import *  # noqa: F403  # its fixture
from merging import dialled, example, free, subscribed, with_openssl


class Websocket:
    """As much of RFC 6455 as NATS needs: masked frames out, short ones in."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._told = b""

    async def shake_hands(self, host: str) -> bytes:
        """Ask for a websocket, and return the first line of the answer."""
        lines = ["GET / HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade"]
        lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", "", ""]
        self._writer.write("\r\n".join(lines).encode())
        answer = await self._reader.readuntil(b"\r\n\r\n")
        return answer.partition(b"\r\n")[0]

    def say(self, text: str) -> None:
        """Send a frame; a mask of zeros is one."""
        data = text.encode()
        length = bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0x80 | 126]) + len(data).to_bytes(2, "big")
        self._writer.write(b"\x82" + length + bytes(4) + data)

    async def hears(self, pattern: bytes) -> bytes:
        """Return what a pattern matches, when it has come."""
        while not (found := re.search(pattern, self._told)):
            _, length = await self._reader.readexactly(2)
            if length == 126:
                length = int.from_bytes(await self._reader.readexactly(2), "big")
            self._told += await self._reader.readexactly(length)
        return found[0]


@pytest.mark.parametrize("tls", [False, pytest.param(True, marks=with_openssl)])
async def test_a_websocket_is_a_connection_like_others(
    running: Callable[..., Installed], tmp_path: Path, tls: bool
) -> None:
    """It logs in, hears what others publish, and is heard."""
    port = free()
    others = [certificate(tmp_path / "certificate", name="dev-tls")] if tls else []
    release = running("websocket", example("websocket", tls=tls), port=port, others=others)
    context = ssl.create_default_context(cadata=release.ca) if tls else None
    login = {"user": "app", "pass": release.user("app").password, "verbose": False}

    async with dialled(port, context) as ends, subscribed(await release.connect("app"), "from.ws") as first:
        socket = Websocket(*ends)
        assert b"101" in await socket.shake_hands("127.0.0.1")
        await socket.hears(rb"INFO \{.*\} *\r\n")
        socket.say(f"CONNECT {json.dumps(login)}\r\nSUB to.ws 1\r\nPUB from.ws 5\r\nhello\r\nPING\r\n")
        await socket.hears(b"PONG\r\n")

        assert ("from.ws", b"hello") == await asyncio.wait_for(first, timeout=5)
        client = await release.connect("app")
        await client.publish("to.ws", b"there")
        await client.close()
        await socket.hears(rb"MSG to\.ws 1 5\r\nthere\r\n")


async def test_a_websocket_asks_for_a_password(running: Callable[..., Installed]) -> None:
    port = free()
    running("websocket", example("websocket"), port=port)

    async with dialled(port) as ends:
        socket = Websocket(*ends)
        await socket.shake_hands("127.0.0.1")
        socket.say('CONNECT {"user": "app", "pass": "guessed", "verbose": false}\r\nPING\r\n')
        await socket.hears(b"Authorization Violation")
