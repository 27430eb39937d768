"""What the steps of a move have in common: careful hands on two streams and on the reads of one of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from natsmith.actions.catching_up import Copied, StandsStill, Told, TooSlow, both, telling
from natsmith.actions.lease import Lease
from natsmith.actions.switching import Switch
from natsmith.adapters import copies
from natsmith.adapters.server import Config, Refused, Relay, Server, StreamInfo
from natsmith.clock import clock
from natsmith.errors import DecisionNeeded, NatsmithError, StoppedHalfway
from natsmith.log import Log
from natsmith.model.moving import Record, parking

DEAF_SWITCHES = 4
"""After so many switches in which a copy got nothing it is made anew: a server that is only slow lets some of them arrive."""

LEFT_SECONDS = 5.0
"""What has to be left, beside the time of a copy, when the way back begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What a move has to know beside what it moves."""

    resets: bool
    """Whether a consumer can be told where to go on."""

    until: float
    """When the run has to be over, by ``clock()``."""


class Hands:
    """The hands of one move."""

    def __init__(
        self, server: Server, lock: Lease, record: Record, about: Circumstances, log: Log, copied: Copied
    ) -> None:
        self.server, self.lock, self.record, self.about = server, lock, record, about
        self.log, self._copied = log, copied
        self.relay: Relay
        """Hears the direct gets of the source while the move goes on."""

        self._found: list[tuple[str, int]] = []
        """Where switches that took too long found their copy, for as long as that was the same place."""

        self.refused: Refused | None = None
        """Why the new stream could not be what was wanted, so that the old one is made again."""

    @property
    def final(self) -> Config:
        """What the stream becomes."""
        return dict(self.record.final)

    async def switch(self, source: str, copy: str, live: Config, promote: Callable[[], Awaitable[None]]) -> None:
        parked = copies.remembering(copies.parked(live), self.record)  # its copy may not outlive its promotion
        # Only what its name is asked for by others must fall silent, since it is not the newest any more.
        parked["allow_direct"] = source == self.record.carrier
        switch = Switch(self.server, self.lock, source, copy, parked)
        self.step("park", stream=source)
        try:
            await switch.run(promote)
        except (TooSlow, Refused, DecisionNeeded, StoppedHalfway, asyncio.CancelledError) as error:
            # Writers wait: before anything else they are let in again, unless the copy has taken over after all.
            with contextlib.suppress(Refused, NatsmithError):
                if (await self.stream(copy)).config.get("mirror"):
                    self.step("unpark", stream=source)
                    await self.let_in(live)
                    await self.relay.to(source)
            if isinstance(error, TooSlow):
                await self._grows(source, copy)
            raise
        self.log.info("move.switched", of=self.record.home, to=copy, pause_ms=round(switch.pause * 1000, 1))

    async def _grows(self, source: str, copy: str) -> None:
        """Raise when one switch after the other found a copy where it was: whatever came meanwhile, it got nothing."""
        origin, mirror = await both(self.server, source, copy)
        where = copy, mirror.last_sequence
        self._found = [*self._found, where] if where in self._found else [where]
        if len(self._found) >= DEAF_SWITCHES and mirror.last_sequence < origin.last_sequence:
            self._found = []
            raise StandsStill(f"the copy {copy} got nothing more of {source} in {DEAF_SWITCHES} switches")

    async def let_in(self, live: Config) -> None:
        """Make a stream what it was before it was parked; the mark goes first, or it would take somebody's place."""
        with contextlib.suppress(Refused):  # a stream may forbid it
            await self.server.purge_stream(live["name"], subject=parking(live["name"]))
        await self.update(live)

    async def stream(self, name: str) -> StreamInfo:
        info = await self.server.stream(name)
        if info is None:
            raise StoppedHalfway(f"stream {name} was deleted by somebody else meanwhile: look at a new plan")
        return info

    async def update(self, config: Config) -> None:
        self.lock.check()
        await self.server.update_stream(copies.as_request(config))

    def step(self, step: str, **fields: object) -> None:
        self.lock.check()
        self.log.info("move.step", of=self.record.home, step=step, **fields)

    def told_of(self, source: str, copy: str) -> Told:
        return telling(self.log, self._copied, self.record.home, source, copy)

    def in_time(self, seconds: float) -> None:
        """Raise before the point of no return if the way back would not fit in what is left of the time."""
        left = self.about.until - clock()
        need = LEFT_SECONDS if self.record.renames else LEFT_SECONDS + 1.5 * seconds
        if left < need:
            raise DecisionNeeded(
                f"copying took {seconds:.0f} s, and of the time that the run may take {left:.0f} s are left, which is too "
                "little to copy back: allow more time"
            )
