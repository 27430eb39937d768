"""Moving what a stream holds into a stream of another make, or of another name, while clients write and read.

The server can make a copy take the place of a stream (a mirror that is promoted), but a copy has another name.
So a stream moves out into a temporary one and back into a new one of its own name; one that is renamed moves once.
Each step is decided by what there is, so whoever comes next goes on where somebody stopped: model/moving.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

from natsmith.actions.catching_up import TooSlow
from natsmith.actions.hops import Hops
from natsmith.adapters import copies
from natsmith.adapters.server import Refused
from natsmith.errors import DecisionNeeded, NatsmithError, NotReady, StoppedHalfway
from natsmith.model.moving import Moving, Stage, room

TRIES = 12
"""How often a step is begun again when a server did not answer, or a switch took too long."""


class Move:
    """One move, from wherever it is to its end."""

    def __init__(self, hops: Hops) -> None:
        self._hops = hops
        self._begun = self._giving_up = False

    async def go(self) -> None:
        """Go to the end."""
        record = self._hops.record
        async with AsyncExitStack() as stack:
            relay = self._hops.server.relay(record.source, through=record.carrier)
            self._hops.relay = await stack.enter_async_context(relay)
            await self._each_step(self._forward)
        refused = self._hops.refused
        if refused:
            raise StoppedHalfway(
                f"the server refused {refused.request}: {refused}. It is as it was before, and nothing was lost"
            )

    async def undo(self) -> None:
        """Go back to how it was; only while the source has everything."""
        await self._each_step(self._back)

    async def _each_step(self, step: Callable[[Moving | None], Awaitable[bool]]) -> None:
        tries = 0
        while True:
            self._hops.lock.check()
            try:
                moving = await self._look()
                if not await step(moving):
                    return
                tries = 0
            except (NotReady, TooSlow) as error:
                # A server that restarts comes back; what was begun is looked at anew then.
                tries += 1
                if tries == TRIES:
                    raise await self._given_up(error) from error
                # A server that starts, or elects a leader, refuses at once: it is given time to.
                await asyncio.sleep(min(0.02 * 2**tries, 2))
            except Refused as refusal:
                raise await self._given_up(_told(refusal)) from refusal
            except (StoppedHalfway, DecisionNeeded) as error:
                raise await self._given_up(error) from error

    async def _look(self) -> Moving | None:
        """Return how far it came, or None where nothing is begun, or everything done."""
        record = self._hops.record
        names = (record.source, record.carrier, record.home)
        source, carrier, home = await asyncio.gather(*(self._hops.server.stream(name) for name in names))
        kept = copies.record_of(carrier) or copies.record_of(home) or copies.record_of(source)
        kept = kept or copies.record_of(await self._hops.server.stream(room(record.home)))
        if kept is None:
            return None
        known = replace(record, positions=kept.positions, created=kept.created, original=kept.original)
        self._hops.record = known
        moving = copies.moving(known, source, carrier, home)
        return None if moving.stage is Stage.BROKEN and carrier is None else replace(moving, record=kept)

    async def _given_up(self, error: NatsmithError) -> NatsmithError:
        """Return *error* with where everything is; what can be undone is."""
        try:
            moving = await self._look()
        except (NotReady, Refused):
            return error
        if moving is None or self._giving_up:
            return error
        self._giving_up = True
        if moving.stage.undoable:
            await self._each_step(self._back)
            return type(error)(f"{error}. The move was undone: everything is as it was")
        if moving.stage is Stage.BROKEN:
            return StoppedHalfway(f"{error}. The move cannot go on: {moving.stage.value}. Look at a new plan")
        return StoppedHalfway(
            f"{error}. The move is not over: its messages are in {moving.at}; {moving.stage.value}. "
            "Run the same command again: it goes on from there"
        )

    # -- Forward

    async def _forward(self, moving: Moving | None) -> bool:
        """Take the next step; return whether there may be another one."""
        if moving is None:
            if self._begun:
                return False
            await self._hops.begin()
            self._begun = True
            return True
        # Its server may have been restarted since, and have begun to count anew: what was copied says nothing.
        doubtful = not self._begun and moving.record.original.get("storage") == "memory"
        if moving.stage is Stage.ANNOUNCED or (moving.stage is Stage.COPYING and doubtful):
            await self._hops.forget_copy()
            self._begun = False
            return True
        steps: dict[Stage, Callable[[], Awaitable[None]]] = {
            Stage.COPYING: self._hops.drain_and_switch_out,
            Stage.PARKED: self._hops.switch_out,
            Stage.FORGOTTEN: partial(self._hops.wake_source, moving.record),
            Stage.UNLOADED: partial(self._hops.wake_copy, moving.record),
            Stage.SWITCHED: self._hops.leave,
            Stage.AWAY: partial(self._hops.make_anew, moving.record),
            Stage.RETURNING: self._hops.switch_back,
            Stage.RETURN_PARKED: self._hops.switch_back,
            Stage.HOME: self._hops.clear,
            Stage.FINISHING: partial(self._hops.finish, moving.record),
        }
        if moving.stage not in steps:
            raise StoppedHalfway(f"{moving.stage.value}: nothing more was done; look at a new plan")
        self._begun = True
        await steps[moving.stage]()
        return True

    # -- Back

    async def _back(self, moving: Moving | None) -> bool:
        """Take the next step back."""
        if moving is None:
            return False
        if not moving.stage.undoable:
            raise StoppedHalfway(f"{moving.stage.value}: it cannot be undone, only ended")
        await (self._hops.unpark() if moving.stage is Stage.PARKED else self._hops.forget_copy())
        return True


def _told(refusal: Refused) -> StoppedHalfway:
    return StoppedHalfway(f"the server refused {refusal.request}: {refusal}")
