"""Who may come in over HTTP, and for how long: what a connection costs is bounded, whatever its other end does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 300
"""More than the pages that may be open, so that metrics and probes are answered beside them; who comes later gets a 503."""

MOST_WAITING = 600
"""Connections beyond these are ended without a word."""

BACKLOG = 1024
"""Connections that the system keeps until they are looked at."""

ASK_SECONDS = 10.0
"""Who has not asked for anything by then is sent away, and who has not asked for anything more since the last answer."""

STALL_SECONDS = 20.0
"""So is who reads nothing for as long: an event stream that nobody reads would otherwise fill for ever."""


class Busy:
    """Says that there are too many connections, but to who asks whether the monitor is alive."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["path"] == "/healthz":
            await self._app(scope, receive, send)
            return
        body = b"there are too many connections: close some, or come back later"
        headers = [(b"content-type", b"text/plain"), (b"connection", b"close"), (b"retry-after", b"10")]
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 503, "headers": [*headers, length]})
        await send({"type": "http.response.body", "body": body})


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
        if len(self.connections) > MOST_CONNECTIONS:
            self.app = Busy(self.app)
        self._ask()

    def on_response_complete(self) -> None:
        """Wait for what is asked for next; uvicorn itself waits for its first byte, and then for ever."""
        self._ask()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        for each in (self._asking, self._stalled):
            if each:
                each.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP; nothing is answered beside that, and what was being answered ends."""
        if self.cycle and not self.cycle.response_complete:
            self.cycle.disconnected = True
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:  # an answer has begun
            self.transport.abort()

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

    def _ask(self) -> None:
        if self._asking:
            self._asking.cancel()
        self._asking = self.loop.call_later(ASK_SECONDS, self._nothing_asked)

    def _nothing_asked(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()


class Server(uvicorn.Server):
    """uvicorn, which leaves signals to the command line."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def door(app: ASGIApp) -> Server:
    """Return the server of *app*; it is given its socket when it serves."""
    return Server(
        uvicorn.Config(
            app,
            http=Protocol,
            ws="none",
            log_config=None,
            log_level="error",  # what others send wrong is theirs
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=1,
            lifespan="off",
        )
    )
