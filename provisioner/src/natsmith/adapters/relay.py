"""Passing on what clients and copies ask a stream for while it moves.

While it is copied back, another stream has what its readers ask for.

A server answers a direct get to whoever sent it, whatever connection repeats it, so readers get the answer itself.
Several answers to one request do no harm: a client takes the first.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from natsmith.adapters.link import Heard, Link
from natsmith.errors import NatsmithError, NotReady
from natsmith.model.moving import ANSWERS, COPYING

PREFIX = "$JS.API.DIRECT.GET."
CREATE = "CONSUMER.CREATE."
ASKED_SECONDS, ASK_AGAIN_SECONDS, ASKED_TIMES = 1.5, 0.5, 14
"""Who copies waits 30 seconds for its answer, and so long it is looked for."""

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
        subject = self._target + msg.subject.removeprefix(self._own)
        await self._link.say(subject, msg.data, reply=msg.reply, headers=msg.headers)


class Asking:
    """What copies of one stream ask for.

    Answers go through here too: the server that has them may not have heard yet where the one that asks waits for them.
    """

    def __init__(self, link: Link, stream: str) -> None:
        self._link, self._stream = link, stream
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> Callable[[], Awaitable[None]]:
        """Begin to hear; the answer ends that."""
        ended = await self._link.listen(f"{COPYING}.{CREATE}{self._stream}", self._heard)

        async def end() -> None:
            await ended()
            if self._task:
                self._task.cancel()
                await asyncio.wait({self._task})

        return end

    async def _heard(self, msg: Heard) -> None:
        if not _by_a_copy(msg, self._stream):
            return
        if self._task:
            self._task.cancel()  # who asks anew waits for no other answer any more
        self._task = asyncio.create_task(self._ask(msg))

    async def _ask(self, msg: Heard) -> None:
        subject = f"$JS.API.{CREATE}{self._stream}"
        for _ in range(ASKED_TIMES):
            with contextlib.suppress(NatsmithError):  # a stream without a leader answers nobody
                answer, _headers = await self._link.exchange(subject, msg.data, msg.headers, within=ASKED_SECONDS)
                await self._link.say(msg.reply, answer)
                return
            # One that is told at once that nobody listens would be asked in a hurry.
            await asyncio.sleep(ASK_AGAIN_SECONDS)


def _by_a_copy(msg: Heard, stream: str) -> bool:
    """Return whether it is what servers ask for: nobody else shall have a consumer with our rights."""
    try:
        asked = json.loads(msg.data)
        config = asked["config"]
        has = asked["stream_name"], config["ack_policy"], config["deliver_subject"].startswith(COPIES_TO)
    except (ValueError, TypeError, LookupError, AttributeError):
        return False
    return has == (stream, "none", True) and not config.get("durable_name") and msg.reply.startswith(ANSWERS)


@asynccontextmanager
async def relayed(link: Link, stream: str, through: str) -> AsyncIterator[LinkRelay]:
    """Hear the direct gets of *stream* for a block; a user that may not repeat them is told so before it matters."""
    none = secrets.token_hex(8)
    nowhere = f"$JS.API.{CREATE}natsmith_none_{none}", f"{ANSWERS}natsmith_none_{none}"
    for subject in (*nowhere, PREFIX + through, f"{PREFIX}{through}.natsmith", f"{PREFIX}{stream}.natsmith"):
        with contextlib.suppress(NotReady):  # as long as nobody answers, it was allowed to ask
            await link.send(subject, b"{}")
    async with AsyncExitStack() as copied, AsyncExitStack() as read:
        for each in (stream, through):
            copied.push_async_callback(await Asking(link, each).begin())
        relay = LinkRelay(link, stream, read)
        # By sequence, and by subject.
        for subject in (PREFIX + stream, f"{PREFIX}{stream}.>"):
            read.push_async_callback(await link.listen(subject, relay.heard))
        yield relay
