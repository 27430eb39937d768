"""Passing on what clients and copies ask a stream for while it moves.

While it is copied back, another stream has what its readers ask for.

A server answers a direct get to whoever sent it, whatever connection repeats it, so readers get the answer itself.
Several answers to one request do no harm: a client takes the first.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from natsmith.adapters.link import Heard, Link
from natsmith.errors import NotReady
from natsmith.model.moving import COPYING

PREFIX = "$JS.API.DIRECT.GET."
COPIES_TO = "$JS.M."
"""Where a server has what is copied delivered."""

HELD = 100_000
"""More requests than this in the milliseconds of a switch are not kept; who sent them asks again."""


class LinkRelay:
    """See ``server.Relay``."""

    def __init__(self, link: Link, stream: str, listening: AsyncExitStack) -> None:
        self.passed = 0
        self._listening = listening
        self._link, self._own = link, PREFIX + stream
        self._target = ""
        self._held: list[Heard] | None = None

    def hold(self) -> None:
        """Keep what comes."""
        self._held = self._held or []

    async def to(self, stream: str) -> None:
        """Pass on what was held, and what comes, to *stream*."""
        self._target = PREFIX + stream
        held, self._held = self._held or [], None
        for each in held:
            await self._pass_on(each)

    def rest(self) -> None:
        """Pass nothing on."""
        self._target, self._held = "", None

    async def end(self) -> None:
        """Hear nothing any more."""
        self.rest()
        await self._listening.aclose()

    async def heard(self, msg: Heard) -> None:
        """Keep a request, pass it on, or leave it to the stream."""
        if self._held is not None:
            if len(self._held) < HELD:
                self._held.append(msg)
        elif self._target:
            await self._pass_on(msg)

    async def _pass_on(self, msg: Heard) -> None:
        self.passed += 1
        await self._link.pass_on(self._target + msg.subject.removeprefix(self._own), msg)


async def _copied(link: Link, stream: str) -> Callable[[], Awaitable[None]]:
    """Pass on what a copy of *stream* asks for."""
    call = f".CONSUMER.CREATE.{stream}"

    async def asked(msg: Heard) -> None:
        if _by_a_copy(msg, stream):
            await link.pass_on("$JS.API" + call, msg)

    return await link.listen(COPYING + call, asked)


def _by_a_copy(msg: Heard, stream: str) -> bool:
    """Return whether it is what servers ask for: nobody else shall have a consumer with our rights."""
    try:
        asked = json.loads(msg.data)
        config = asked["config"]
        has = asked["stream_name"], config["ack_policy"], config["deliver_subject"].startswith(COPIES_TO)
    except (ValueError, TypeError, LookupError, AttributeError):
        return False
    return has == (stream, "none", True) and not config.get("durable_name")


@asynccontextmanager
async def relayed(link: Link, stream: str, through: str) -> AsyncIterator[LinkRelay]:
    """Hear the direct gets of *stream* for a block; a user that may not repeat them is told so before it matters."""
    nowhere = f"$JS.API.CONSUMER.CREATE.natsmith_none_{secrets.token_hex(8)}"
    for subject in (nowhere, PREFIX + through, f"{PREFIX}{through}.natsmith", f"{PREFIX}{stream}.natsmith"):
        with contextlib.suppress(NotReady):  # as long as nobody answers, it was allowed to ask
            await link.send(subject, b"{}")
    async with AsyncExitStack() as copied, AsyncExitStack() as read:
        for each in (stream, through):
            copied.push_async_callback(await _copied(link, each))
        relay = LinkRelay(link, stream, read)
        # By sequence, and by subject.
        for subject in (PREFIX + stream, f"{PREFIX}{stream}.>"):
            read.push_async_callback(await link.listen(subject, relay.heard))
        yield relay
