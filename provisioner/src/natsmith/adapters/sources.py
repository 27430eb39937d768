"""Where streams come from that are brought: a server, or a backup, which ``backup.FromBackup`` reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from natsmith.adapters.jetstream import JetStream
from natsmith.adapters.link import Heard
from natsmith.adapters.server import ConsumerInfo, StreamInfo
from natsmith.errors import NotReady
from natsmith.model.bringing import Fate

PIECE = 512 * 1024
"""Bytes of one piece; a server takes messages up to 1 MiB unless it is told otherwise."""

WINDOW = 2 * 1024 * 1024
SILENT_SECONDS = 20.0
"""How long either side may say nothing; a server gives up after 2 to 5 s."""

GONE, FAILED = "408", "500"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A stream as servers write it down, while it comes."""

    about: Mapping[str, Any]
    """Its configuration and state, as JSON has them."""

    pieces: AsyncIterator[bytes]
    """What it stores."""


class Source(Protocol):
    """What has streams, each as servers write it down."""

    @property
    def where(self) -> str:
        """What a person calls it."""

    @property
    def verb(self) -> str:
        """What a person does who brings streams from there."""

    @property
    def done(self) -> Fate:
        """The same when it is done."""

    async def streams(self) -> list[StreamInfo]:
        """Return every stream that it has."""

    async def last_sequence(self, name: str) -> int:
        """Return the last sequence of a stream as it is now."""

    async def consumers(self, name: str) -> list[ConsumerInfo]:
        """Return where the consumers of a stream stand."""

    def mark(self, info: StreamInfo) -> str:
        """Return what tells that a stream elsewhere was brought from this one."""

    def still(self, info: StreamInfo) -> bool:
        """Return whether all of it must arrive as ``info`` says: nobody wrote or removed anything when it was written down."""

    def sending(self, name: str, size: int) -> AbstractAsyncContextManager[Sent]:
        """Have a stream sent for a block, in pieces of at most *size* bytes."""


class FromServer:
    """The streams of an account on a server."""

    verb = "bring"
    done: Fate = "brought"

    def __init__(self, server: JetStream) -> None:
        self.server = server

    @property
    def where(self) -> str:
        """The server's address."""
        return self.server.link.where

    async def streams(self) -> list[StreamInfo]:
        """Return every stream of the account."""
        return await self.server.streams()

    async def last_sequence(self, name: str) -> int:
        """Return the last sequence of a stream as it is now."""
        info = await self.server.stream(name)
        return info.last_sequence if info else 0

    async def consumers(self, name: str) -> list[ConsumerInfo]:
        """Return where the consumers of a stream stand."""
        return await self.server.consumers(name)

    def mark(self, info: StreamInfo) -> str:
        """Return when the stream was created here."""
        return info.created

    def still(self, info: StreamInfo) -> bool:  # noqa: ARG002  (the same of every stream)
        """Whoever writes meanwhile is found by the last sequence."""
        return True

    @asynccontextmanager
    async def sending(self, name: str, size: int) -> AsyncIterator[Sent]:
        """Have the server send a snapshot for a block; each piece is acknowledged when the next one is asked for."""
        link = self.server.link
        inbox = link.client.new_inbox()
        queue: asyncio.Queue[Heard] = asyncio.Queue()
        losses = link.losses
        stop = await link.listen(inbox, queue.put)
        most = max(1024, min(size, link.greeting.get("max_payload", PIECE) - 1024))
        how = {"deliver_subject": inbox, "chunk_size": most, "window_size": WINDOW}
        try:
            about = await self.server.ask(f"STREAM.SNAPSHOT.{name}", how)
            async with aclosing(self._pieces(name, queue, losses)) as pieces:
                yield Sent(about=about, pieces=pieces)
        finally:
            await stop()

    async def _pieces(self, name: str, queue: asyncio.Queue[Heard], losses: int) -> AsyncGenerator[bytes, None]:
        link = self.server.link
        acknowledged, number = "", 0
        while True:
            try:
                async with asyncio.timeout(SILENT_SECONDS):
                    piece = await queue.get()
            except TimeoutError:
                link.allowed(acknowledged)
                raise NotReady(f"{self.where} stopped sending {name}: run the same command again") from None
            if not piece.data:
                status = (piece.headers or {}).get("Status", "")
                if status in (GONE, FAILED):
                    link.allowed(acknowledged)
                    why = (piece.headers or {}).get("Description", "")
                    raise NotReady(f"{self.where} gave up sending {name}: {why or status}. Run the same command again")
                if link.losses > losses:
                    raise self._lost(name)
                return
            if piece.reply:
                # Servers number the pieces, and before 2.12 they go on when one does not arrive.
                number += 1
                if not piece.reply.endswith(f".{number}"):
                    raise self._lost(name)
            yield bytes(piece.data)
            if piece.reply:
                acknowledged = piece.reply
                await link.say(piece.reply, b"")

    def _lost(self, name: str) -> NotReady:
        return NotReady(f"a part of {name} was lost on its way from {self.where}: run the same command again")
