"""The wait until a copy has nearly everything that its stream has, however long that takes and whatever goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from natsmith.adapters.server import Server, StreamInfo
from natsmith.clock import clock
from natsmith.errors import NatsmithError, StoppedHalfway
from natsmith.log import Log

NEAR = 256
"""So many messages behind, a copy is close enough for a switch of milliseconds."""

BEGIN_SECONDS = 10.0
"""A copy that has nothing after so long is made anew: who copies waits 30 s for an answer that a dead server owes it."""

ALONE_SECONDS = 10.0
"""A copy without a quorum for longer than an election takes is made anew: replicas of it may have stopped for good."""

DEAF_SECONDS = 10.0
"""A copy that hears of its stream all the time and stores nothing of it for so long is made anew: servers can get it so."""

HEARS_SECONDS = 5.0
"""How long ago a copy heard of its stream that hears of it: every second it is told that there is nothing new."""

STALL_SECONDS = 45.0
"""A copy that did not grow for so long does not grow any more; who copies has waited, and has tried again."""

CHASE_SECONDS = 60.0
"""How long writers may be faster than the copy, once it has what was there in the beginning."""

POLL_SECONDS = (0.002, 0.25)
"""Nobody announces what a mirror has: how soon it is asked again at first, and at last."""

MOMENT = 1.0
"""A replica that came nearer within these seconds keeps up."""

LOGGED_SECONDS = 5.0
"""How often a log tells how far a copy is."""

Copied = Callable[[str, int, int], None]
"""Told how many messages of which stream are copied, and of how many."""

Told = Callable[[int, int], None]


def telling(log: Log, copied: Copied, home: str, source: str, copy: str) -> Told:
    """Return what is told how far one copy is, for a screen at once and for a log now and then."""
    last = clock()

    def told(done: int, of: int) -> None:
        nonlocal last
        copied(home, done, of)
        if clock() - last >= LOGGED_SECONDS:
            last = clock()
            log.info("move.copying", of=home, stream=source, into=copy, messages=done, of_messages=of)

    return told


class TooSlow(NatsmithError):
    """A switch would have kept writers waiting; it can be tried again."""

    code = StoppedHalfway.code


class StandsStill(TooSlow):
    """A copy that does not begin, or does not grow any more: it never goes on, and one that is made anew may."""


async def caught_up(server: Server, source: str, copy: str, *, until: float | None, told: Told) -> None:
    """Return when *copy* has nearly everything that *source* has."""
    chase, pause = Chase(source, copy), POLL_SECONDS[0]
    while True:
        origin, mirror = await both(server, source, copy)
        told(mirror.messages, origin.messages)
        if mirror.last_sequence > origin.last_sequence and not await _reached(server, source, mirror.last_sequence):
            raise StoppedHalfway(f"stream {source} lost what it had: its server was restarted, and it is in memory")
        if chase.is_over(origin, mirror):
            return
        chase.still_worth_it(origin, mirror)
        if until is not None and clock() > until:
            raise StoppedHalfway(
                f"the copy {copy} has {mirror.messages} of {origin.messages} messages, and time is over"
            )
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, POLL_SECONDS[1])


class Chase:
    """How a copy has come nearer to its stream so far."""

    def __init__(self, source: str, copy: str) -> None:
        self.source, self.copy = source, copy
        self.first = 0
        """The last sequence of the stream when the copy was looked at first."""
        self.last = -1
        self.began = self.grown = clock()
        self.reached = 0.0
        """When the copy had what was there in the beginning."""
        self.replicas = Replicas()
        self.near = False

    def is_over(self, origin: StreamInfo, mirror: StreamInfo) -> bool:
        """Return whether the copy has nearly everything, on each of its servers."""
        now = clock()
        # One that has not begun would keep writers waiting.
        self.near = mirror.copying and origin.last_sequence - mirror.last_sequence <= NEAR
        # A replica that is behind would answer direct gets as soon as it may.
        together = self.replicas.keep_up(mirror.lags, now)
        if mirror.last_sequence != self.last:
            self.last, self.grown = mirror.last_sequence, now
        elif together and _no_more(origin, mirror) and now - self.grown > 1:
            return True
        return self.near and together

    def still_worth_it(self, origin: StreamInfo, mirror: StreamInfo) -> None:
        """Raise when the copy will not have everything."""
        now = clock()
        self.first = self.first or origin.last_sequence
        if not mirror.last_sequence and not mirror.copying and now - self.began > BEGIN_SECONDS:
            raise StandsStill(f"the copy {self.copy} has nothing of {self.source} after {BEGIN_SECONDS:g} s")
        if mirror.last_sequence >= self.first:
            self.reached = self.reached or now
        if mirror.alone and now - self.grown > ALONE_SECONDS:
            raise StandsStill(f"the copy {self.copy} has no quorum any more: its replicas have stopped")
        hears = mirror.heard is not None and mirror.heard < HEARS_SECONDS
        if now - self.grown > (DEAF_SECONDS if hears else STALL_SECONDS) and not self.near:
            raise StandsStill(f"the copy {self.copy} stands still at {mirror.messages} of {origin.messages} messages")
        if self.reached and now - self.reached > CHASE_SECONDS:
            behind = origin.last_sequence - mirror.last_sequence
            why = "one of its replicas is" if self.near else f"writers are faster than it, {behind} messages"
            raise StoppedHalfway(f"the copy {self.copy} does not catch up: {why} behind")


class Replicas:
    """Which replicas keep up: while somebody writes one hardly ever has exactly what its leader has.

    One that is stuck only falls further behind; one that keeps up comes nearer again and again.
    """

    def __init__(self) -> None:
        self._lags: dict[str, int] = {}
        self._nearer: dict[str, float] = {}

    def keep_up(self, lags: Mapping[str, int], now: float) -> bool:
        """Return whether each of these has little to get, and none or less than it had a moment ago."""
        for name, lag in lags.items():
            if not lag or lag < self._lags.get(name, lag):
                self._nearer[name] = now
            self._lags[name] = lag
        return all(lag <= NEAR and now - self._nearer.get(name, -MOMENT) < MOMENT for name, lag in lags.items())


async def _reached(server: Server, source: str, sequence: int) -> bool:
    """Return whether a stream has come so far by now: its copy may have been read a moment later than itself."""
    origin = await server.stream(source)
    return origin is not None and origin.last_sequence >= sequence


def _no_more(origin: StreamInfo, mirror: StreamInfo) -> bool:
    """Return whether a mirror that is behind waits for nothing: what comes after it was removed from its origin."""
    all_after = origin.messages > 0 and origin.first_sequence > mirror.last_sequence
    return mirror.copying and mirror.lag == 0 and not all_after


async def both(server: Server, source: str, copy: str, *, gaps: bool = False) -> tuple[StreamInfo, StreamInfo]:
    """Return a stream and its copy."""
    found = await asyncio.gather(server.stream(source, gaps=gaps), server.stream(copy, gaps=gaps))
    origin, mirror = found
    if origin is None or mirror is None:
        raise StoppedHalfway(f"stream {copy if origin else source} was deleted by somebody else meanwhile")
    return origin, mirror
