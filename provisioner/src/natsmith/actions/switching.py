"""The moment in which a copy takes the place of its stream: nothing is written until the copy has everything."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from natsmith.actions.catching_up import TooSlow, both
from natsmith.actions.lease import Lease
from natsmith.actions.observe import in_parallel
from natsmith.adapters import copies
from natsmith.adapters.server import Config, Refused, Server, StreamInfo
from natsmith.clock import clock
from natsmith.errors import NotReady, StoppedHalfway
from natsmith.model.moving import PARKING, parking
from natsmith.model.units import NANOS, parse_time

SWITCH_SECONDS = 1.0
"""Longer than this nobody is kept from writing."""

MOST_GAPS = 500_000
"""With more gaps than this a stream cannot be compared message by message: their list grows to megabytes."""

FEW_GAPS = 1000
"""So few gaps are compared one by one, which takes a millisecond; where there are more, equal counts are believed."""

EXPIRING_SECONDS = 5.0
"""How much sooner one stream may drop a message than another one with the same age limit, at most."""


class Incomplete(StoppedHalfway):
    """A copy that lacks something, and never gets it: what was before the end is not sent to it again."""


async def alike(server: Server, source: str, copy: str) -> None:
    """Remove from *copy* what *source* does not have any more: what is purged or deleted there is not mirrored."""
    origin, mirror = await both(server, source, copy)
    same_first = origin.messages and mirror.messages and origin.first_sequence == mirror.first_sequence
    if same_first and origin.first_time != mirror.first_time:
        raise StoppedHalfway(f"stream {source} counts anew: its server was restarted, and it is in memory")
    start = origin.first_sequence if origin.messages else origin.last_sequence + 1
    if mirror.messages and mirror.first_sequence < start:
        await server.purge_stream(copy, before=start)
        origin, mirror = await both(server, source, copy)
    most_gaps = max(origin.deleted, mirror.deleted)
    counts_alike = (origin.messages, origin.first_sequence) == (mirror.messages, mirror.first_sequence)
    if counts_alike and (not most_gaps or most_gaps > FEW_GAPS):
        return
    if most_gaps > MOST_GAPS:
        if origin.config.get("retention") == "limits":
            return
        raise StoppedHalfway(
            f"stream {source} has more than {MOST_GAPS} gaps: what was worked off there would come again"
        )
    origin, mirror = await both(server, source, copy, gaps=True)
    end = min(origin.last_sequence, mirror.last_sequence)
    extra = [each for each in origin.gaps - mirror.gaps if mirror.first_sequence <= each <= end]
    await in_parallel(lambda each: server.delete_message(copy, each), sorted(extra))


async def complete(server: Server, source: str, copy: str) -> None:
    """Raise unless *copy* has all that *source* has; nothing is written to either now.

    Where single messages have a time to live, or consumers remove what they had, a difference tells nothing.
    """
    origin, mirror = await both(server, source, copy)
    moves_on = mirror.config.get("retention") != "limits" or mirror.config.get("allow_msg_ttl")
    moves_on = moves_on or origin.config.get("deny_purge")  # the mark of an earlier run stays there
    if moves_on or mirror.messages >= origin.messages or max(origin.deleted, mirror.deleted) > MOST_GAPS:
        return
    # A stream that was loaded again can have earlier values of a key, which its copy rightly dropped.
    keeps_all = mirror.config.get("max_msgs_per_subject", -1) < 0
    if keeps_all and origin.first_sequence < mirror.first_sequence and not _expiring(origin):
        raise Incomplete(f"the copy {copy} begins at {mirror.first_sequence}, and {source} at {origin.first_sequence}")
    origin, mirror = await both(server, source, copy, gaps=True)
    # What is too old goes from the front, where it is no gap.
    lacking = [each for each in mirror.gaps - origin.gaps if origin.first_sequence <= each <= origin.last_sequence]
    if lacking:
        raise Incomplete(f"the copy {copy} lacks {len(lacking)} messages that {source} has, such as {min(lacking)}")


def _expiring(info: StreamInfo) -> bool:
    """Return whether a stream's first message may go any moment, or may be gone where it was looked for later."""
    lives = info.config.get("max_age", 0) / NANOS
    age = (parse_time(info.now) - parse_time(info.first_time)).total_seconds()
    return bool(lives) and age > lives - EXPIRING_SECONDS


class Switch:
    """One switch from a stream to its copy."""

    def __init__(self, server: Server, lock: Lease, source: str, copy: str, parked: Config) -> None:
        self.server, self.lock, self.source, self.copy = server, lock, source, copy
        self.parked = parked
        self.pause = 0.0
        """Seconds that nobody could write."""

    async def run(self, promote: Callable[[], Awaitable[None]]) -> None:
        """Keep everybody from writing, wait for the last message, and have the copy promoted."""
        self.lock.check()
        began = clock()
        try:
            async with asyncio.timeout(SWITCH_SECONDS):
                await self._prepare()
        except TimeoutError:
            raise TooSlow(
                f"the copy {self.copy} did not have what {self.source} has, and nothing else, within {SWITCH_SECONDS:g} s"
            ) from None
        except NotReady as error:  # writers do not wait for who does not answer; of a promotion nobody could know
            raise TooSlow(str(error)) from error
        await promote()
        self.pause = clock() - began

    async def _prepare(self) -> None:
        """Return when nobody writes, and the copy has everything."""
        await self.server.update_stream(copies.as_request(self.parked))
        with contextlib.suppress(Refused):  # a stream may forbid it
            # A run that was killed here, or that gave up, left its mark.
            if await self.server.purge_stream(self.source, subject=parking(self.source)):
                # The copy has that mark, and would seem to lack nothing when it lacks something else.
                await self.server.purge_stream(self.copy, subject=parking(self.source))
        mark = await self.server.publish(parking(self.source), b"")
        await self._arrived(mark)
        await alike(self.server, self.source, self.copy)
        await complete(self.server, self.source, self.copy)
        # Nobody may find the mark where they read; the copy goes on counting after it all the same.
        await self.server.purge_stream(self.copy, subject=PARKING + ">")

    async def _arrived(self, mark: int) -> None:
        """Return when the copy has the mark: neither its lag nor equal ends would tell, where the end was removed."""
        pause = 0.0
        while True:
            info = await self.server.stream(self.copy)
            if info and info.last_sequence == mark:
                return
            if info and info.last_sequence > mark:
                raise StoppedHalfway(f"stream {self.source} counts anew: its server was restarted, and it is in memory")
            await asyncio.sleep(pause)
            pause = min(pause + 0.001, 0.02)
