"""From a change of the plan to a move: one that begins, goes on, is ended otherwise than it began, or is undone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from natsmith.actions.catching_up import Copied
from natsmith.actions.hands import Circumstances
from natsmith.actions.hops import Hops
from natsmith.actions.lease import Lease
from natsmith.actions.move import Move
from natsmith.adapters import copies, wire
from natsmith.adapters.server import Server, StreamInfo
from natsmith.errors import StoppedHalfway
from natsmith.log import Log
from natsmith.model.change import Change
from natsmith.model.moving import Record
from natsmith.model.observed import Found
from natsmith.model.resources import BUCKET
from natsmith.planning import moves

Recheck = Callable[[Change, StreamInfo], Awaitable[None]]
"""Raises if an object changed since the plan so that nobody agreed to what would happen now."""


class Mover:
    """Moves streams of one run; one at a time, since each of them copies everything twice."""

    def __init__(self, server: Server, lock: Lease, owner: str, about: Circumstances, log: Log, copied: Copied) -> None:
        self._server, self._lock, self._owner, self._about = server, lock, owner, about
        self._log, self._copied = log, copied
        self._one = asyncio.Lock()

    async def move(self, change: Change, recheck: Recheck) -> bool:
        """Carry one move out; return whether it was undone instead, since nobody wants it any more."""
        found, wanted = change.found, change.desired
        if found is None:
            raise ValueError(f"nothing is there that {change.title} could be moved from")
        async with self._one:
            moving = found.moving
            begun = moving.record if moving else await self._to_begin(change, found, recheck)
            ours = wanted is not None and wanted.stream == begun.home
            if ours:
                begun = replace(begun, final=wire.encode_change(change, self._owner, dict(begun.original)))
            elif not begun.renames:
                begun = replace(begun, final=begun.original)
            move = Move(Hops(self._server, self._lock, begun, self._about, self._log, self._copied))
            if moving and moving.stage.undoable and not moves.still_wanted(change):
                await move.undo()
                return True
            await move.go()
            made = await self._server.stream(begun.home)
            if made is None:
                raise StoppedHalfway("somebody deleted it while it was moved: look at a new plan")
            if ours and not copies.same_make(made.config, dict(begun.final)):
                raise StoppedHalfway(
                    "the move that was interrupted is over, and the values changed since: run the same command again"
                )
            return False

    async def _to_begin(self, change: Change, found: Found, recheck: Recheck) -> Record:
        """Return what a move has to remember that begins now, from a fresh reading."""
        info = await self._server.stream(found.stream)
        if info is None or info.created != found.created:
            raise StoppedHalfway(f"{found.title} was deleted by somebody else meanwhile: run the same command again")
        if change.id.stream == found.stream:
            await recheck(change, info)
        original = copies.forgetting(info.config)
        if found.kind is BUCKET and found.applied:
            original["allow_direct"] = True  # natsmith's buckets have it: it is off where a run was killed
        return Record(
            home=change.id.stream,
            source=found.stream,
            owner=self._owner,
            created=info.created,
            original=original,
            final={},
        )
