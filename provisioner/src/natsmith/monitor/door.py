"""Who may come in over HTTP, and for how long: what a connection costs is bounded, whatever its other end does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 300
"""More than the pages that may be open, so that metrics and probes are answered beside them; others get a 503."""

MOST_WAITING = 600
"""Connections beyond these are ended without a word."""

ASK_SECONDS = 10.0
"""Who has not asked for anything by then is sent away."""

STALL_SECONDS = 20.0
"""So is who reads nothing for as long: an event stream that nobody reads would otherwise fill for ever."""


class Protocol(H11Protocol):
    """One connection; it ends when nothing is asked, or nothing is read."""

    _asking: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's is the same
        """Begin, unless there are too many already."""
        super().connection_made(transport)
        if len(self.connections) > MOST_WAITING:
            transport.abort()
            return
        self._asking = self.loop.call_later(ASK_SECONDS, self._nothing_asked)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        for each in (self._asking, self._stalled):
            if each:
                each.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Wait for the other end to read, not for ever."""
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        if self._stalled:
            self._stalled.cancel()
            self._stalled = None

    def _nothing_asked(self) -> None:
        if self.cycle is None:
            self.transport.abort()


class Server(uvicorn.Server):
    """uvicorn, which leaves signals to the command line."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield
