"""Carrying changes out, one write each: from a fresh reading, never after the lease, and with each answer compared."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

from natsmith.actions import carrying, state
from natsmith.actions.hands import Circumstances
from natsmith.actions.lease import Lease
from natsmith.actions.mover import Mover
from natsmith.actions.observe import IN_FLIGHT, count
from natsmith.adapters import wire
from natsmith.adapters.server import (
    NO_ROOM,
    STORE_NOT_CREATED,
    Config,
    ConsumerInfo,
    Refused,
    Server,
    StreamInfo,
)
from natsmith.adapters.wire import STARTS
from natsmith.errors import NatsmithError, StoppedHalfway
from natsmith.log import Log
from natsmith.model.change import Change, Plan
from natsmith.model.desired import Desired, Id, Resource
from natsmith.model.moving import temporary
from natsmith.model.observed import Observed
from natsmith.model.resources import CONSUMER
from natsmith.planning import moves
from natsmith.planning.compare import compare
from natsmith.planning.consent import asks
from natsmith.planning.plan import again


class Progress:
    """Told how far a run is; this one does nothing with it."""

    def changes(self, done: int, of: int) -> None:
        """Hear how many changes are done, and of how many."""

    def copied(self, stream: str, done: int, of: int) -> None:
        """Hear how many messages of a stream that moves are copied, and of how many."""


class Run:
    """One carrying-out: what is done, what failed, what is left."""

    def __init__(
        self,
        server: Server,
        lock: Lease,
        made: Plan,
        desired: Desired,
        observed: Observed,
        *,
        log: Log,
        progress: Progress,
        until: float,
    ) -> None:
        self.server, self.lock, self.plan, self.progress = server, lock, made, progress
        self.desired, self.observed = desired, observed
        self._around = Circumstances(resets=observed.level >= moves.RESETS, until=until)
        self._mover = Mover(server, lock, made.owner, self._around, log, progress.copied)
        self._moved: set[str] = set()
        """Streams that were moved: their consumers are others now, with the same names."""

        self.done: list[Change] = []
        self.failed: list[tuple[Change, str]] = []
        self.first_error: NatsmithError | None = None
        self.count = len(made.changes)
        self.wrote = False
        """Whether a change that failed had done part of its work: a deletion before a creation."""

        self.sequences: dict[str, int] = {}
        """Where streams that were deleted to be replaced had stopped counting."""

        self.created: dict[str, str] = {}
        """When each written object was created, by its name on the server."""

    @property
    def in_order(self) -> tuple[Change, ...]:
        """What is done, in the order of the plan."""
        done = {id(change) for change in self.done}
        return tuple(change for change in self.plan.changes if id(change) in done)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why changes failed, each with its object."""
        return tuple(f"{change.title}: {why}" for change, why in self.failed)

    @property
    def left(self) -> tuple[Change, ...]:
        begun = {id(change) for change in self.done} | {id(change) for change, _ in self.failed}
        return tuple(change for change in self.plan.changes if id(change) not in begun)

    async def all(self) -> None:
        """Carry the stages out; after a failure no new change is begun, and those under way are awaited."""
        if any(change.action == "create" and change.kind is not CONSUMER for change in self.plan.changes):
            self.sequences = await state.sequences(self.server)
        for stage in self.plan.stages:
            waiting = iter(stage)
            await asyncio.gather(*(self._some(waiting) for _ in range(min(IN_FLIGHT, len(stage)))))
            if self.failed:
                return

    async def _some(self, waiting: Iterator[Change]) -> None:
        for change in waiting:
            if self.failed:
                return
            await self._one(change)

    async def _one(self, change: Change) -> None:
        try:
            self.lock.check()
            await self._carry_out(change)
        except Refused as refusal:
            self.failed.append((change, f"the server refused {refusal.request}: {refusal}{_cure(change, refusal)}"))
        except NatsmithError as error:
            error = self._cause(error)
            self.first_error = self.first_error or error
            self.failed.append((change, str(error)))
        else:
            self.done.append(change)
            self.progress.changes(len(self.done), self.count)

    def _cause(self, error: NatsmithError) -> NatsmithError:
        """Return why a change failed: a run that was paused past its lease finds its requests timed out as well."""
        try:
            self.lock.check()
        except StoppedHalfway as lost:
            return lost
        return error

    async def _carry_out(self, change: Change) -> None:
        steps: dict[str, Callable[[Change], Awaitable[None]]] = {
            "create": self._create,
            "update": self._update,
            "adopt": self._update,
            "stamp": self._update,
            "move": self._move,
            "replace": self._replace,
            "delete": self._delete,
        }
        await steps[change.action](change)

    async def _create(self, change: Change) -> None:
        wanted = _wanted(change)
        config = wire.encode(wanted, self.plan.owner)
        if wanted.kind is CONSUMER:
            # A stand-in of it knows where it was, if somebody was killed while making it anew.
            if Id(wanted.stream, temporary(wanted.name)) in self.observed.objects:
                await self._anew(wanted, config)
            else:
                self._keep(await self.server.put_consumer(wanted.stream, config, verb="create"), config, wanted)
            return
        last = 0 if config.get("mirror") else self.sequences.get(wanted.stream)  # a mirror counts as its origin does
        if last:
            config["first_seq"] = last + 1
        self._keep(await self.server.create_stream(config), config, wanted)
        if last:
            with contextlib.suppress(NatsmithError, Refused):  # it stays known, and is of no use any more
                await state.forget_sequence(self.server, wanted.stream)

    async def _update(self, change: Change) -> None:
        wanted = _wanted(change)
        # Read again right before: the newest configuration is what unknown fields are kept from.
        info = await self._read(change)
        if info is None:
            raise StoppedHalfway(f"{change.title} was deleted by somebody else meanwhile: run the same command again")
        await self._recheck(change, info)
        config = wire.encode_change(change, self.plan.owner, info.config)
        self.lock.check()  # the reading took time, and the lease may have run out in it
        echo: StreamInfo | ConsumerInfo
        if wanted.kind is CONSUMER:
            echo = await self.server.put_consumer(wanted.stream, config, verb="update")
        else:
            echo = await self.server.update_stream(config)
        self._keep(echo, config, wanted)

    async def _move(self, change: Change) -> None:
        if change.kind is CONSUMER:
            await self._move_consumer(change)
            return
        self.wrote = True
        self._moved |= {each.stream for each in (change.id, change.found.id if change.found else change.id)}
        undone = await self._mover.move(change, self._recheck)
        if undone and change.desired:
            await self._update(replace(change, action="update"))  # what can change in place, and nothing else
            return
        info = await self._read(change)
        if info and change.desired:
            self._keep(info, info.config, change.desired)

    async def _move_consumer(self, change: Change) -> None:
        wanted = _wanted(change)
        info = await self._read(change)
        if info is not None:
            await self._recheck(change, info)
        await self._anew(wanted, wire.encode(wanted, self.plan.owner))

    async def _anew(self, wanted: Resource, config: Config) -> None:
        echo = await carrying.anew(self.server, wanted.stream, config, self.lock, resets=self._around.resets)
        self._keep(echo, {key: value for key, value in config.items() if key not in STARTS}, wanted)

    async def _replace(self, change: Change) -> None:
        """Delete and create; a stream goes on counting where the old one stopped, or watchers would skip what is new.

        The state bucket keeps where that was, so that a run which is stopped in between loses nothing by it.
        """
        info = await self._read(change)
        if info is not None:
            await self._recheck(change, info)
            if isinstance(info, StreamInfo) and info.last_sequence:
                self.sequences[change.id.stream] = info.last_sequence
                self.lock.check()
                await state.keep_sequence(self.server, change.id.stream, info.last_sequence)
            await self._remove(info)
        self.lock.check()
        await self._create(change)

    async def _delete(self, change: Change) -> None:
        info = await self._read(change)
        if info is not None:
            await self._recheck(change, info)
            await self._remove(info)

    async def _remove(self, info: StreamInfo | ConsumerInfo) -> None:
        self.lock.check()
        if isinstance(info, ConsumerInfo):
            await self.server.delete_consumer(info.stream, info.name)
        else:
            await self.server.delete_stream(info.config["name"])
        self.wrote = True

    async def _read(self, change: Change) -> StreamInfo | ConsumerInfo | None:
        """Return the object as it is right now."""
        if change.kind is CONSUMER:
            return await self.server.consumer(change.id.stream, change.id.consumer)
        return await self.server.stream(change.id.stream)

    async def _recheck(self, change: Change, info: StreamInfo | ConsumerInfo) -> None:
        """Raise StoppedHalfway if the object changed since the plan so that writing would lose what nobody agreed to."""
        fresh, was, observed = wire.decode(info, change.desired), change.found, self.observed
        if was and fresh.applied is None and fresh.created == was.created:
            fresh = replace(fresh, applied=was.applied, stamped=was.stamped)  # the state bucket still knows it
        for each in change.differences:
            if asks(each) == "per_subject":
                number = await count(self.server, fresh, "per_subject", each.new)
                observed = replace(observed, counts={**observed.counts, (fresh.id, "per_subject"): number or 0})
        now = again(change, fresh, self.desired, observed, owner=self.plan.owner)
        if change.action in {"replace", "delete", "move"}:
            moved = change.kind is CONSUMER and change.id.stream in self._moved
            another = was is None or (fresh.created != was.created and not moved)
            others = change.action == "delete" and (fresh.applied is None or fresh.applied.owner != self.plan.owner)
            if now is None or now.action != change.action or another or others:
                raise StoppedHalfway(
                    "it is another object than the plan was about, or needs this no more. "
                    "Nothing was done to it; look at a new plan"
                )
        if now and now.blocked:
            raise StoppedHalfway(
                f"it changed since the plan: {now.blocked}. Nothing was done to it; look at a new plan"
            )

    def _keep(self, echo: StreamInfo | ConsumerInfo, sent: Config, wanted: Resource) -> None:
        """Compare what the server says it has now with what it was asked for: old servers drop what they do not know."""
        self.wrote = True
        self.created[str(wanted.id)] = echo.created
        if wire.kept(sent, echo.config):
            return
        dropped = [each.path for each in compare(wanted, wire.decode(echo, wanted)).differences]
        if dropped:
            raise StoppedHalfway(
                f"the server took the request but did not keep {', '.join(dropped)} as asked: "
                "it does not know them, or other settings exclude them; upgrade it, or leave them out"
            )


def _cure(change: Change, refusal: Refused) -> str:
    """Return what to do about a refused change."""
    if refusal.code in NO_ROOM:
        return f"; {NO_ROOM[refusal.code]}, or remove messages"
    if refusal.code == STORE_NOT_CREATED:
        return "; its disk may be full: look at the server's log"
    return f"; correct it in {change.desired.where}" if change.desired else ""


def _wanted(change: Change) -> Resource:
    if change.desired is None:
        raise ValueError(f"{change.action} of {change.title} has nothing that is wanted")
    return change.desired
