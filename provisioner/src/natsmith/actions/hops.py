"""The steps of a move: out into a copy, and back from there; each can be repeated by whoever comes next."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from natsmith.actions import carrying
from natsmith.actions.lease import Lease, clock
from natsmith.actions.switching import Copied, Switch, Told, TooSlow, alike, both, caught_up, telling
from natsmith.adapters import copies
from natsmith.adapters.server import Config, Refused, Relay, Server, StreamInfo
from natsmith.errors import DecisionNeeded, StoppedHalfway
from natsmith.log import Log
from natsmith.model.moving import Record, parking, room

LEFT_SECONDS = 5.0
"""What has to be left, beside the time of a copy, when the way back begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What a move has to know beside what it moves."""

    resets: bool
    """Whether a consumer can be told where to go on."""

    until: float
    """When the run has to be over, by ``lease.clock``."""


class Hops:
    """The steps of one move."""

    def __init__(
        self, server: Server, lock: Lease, record: Record, about: Circumstances, log: Log, copied: Copied
    ) -> None:
        self.server, self.lock, self.record, self.about = server, lock, record, about
        self.log, self._copied = log, copied
        self.relay: Relay
        """Hears the direct gets of the source while the move goes on."""

        self.refused: Refused | None = None
        """Why the new stream could not be what was wanted, so that the old one is made again."""

        self._began = clock()

    @property
    def final(self) -> Config:
        """What the stream becomes."""
        return dict(self.record.final)

    async def begin(self) -> None:
        """Begin to copy; a copy answers no direct gets, since it may be behind."""
        source = await self._stream(self.record.source)
        original = copies.forgetting(source.config)
        if self.record.original.get("allow_direct"):
            original["allow_direct"] = True  # it was off for a moment when an earlier run was killed
        self.record = replace(self.record, created=source.created, original=original)
        await self._fits()
        config = copies.copying(
            self.final,
            self.record.source,
            temporary_one=not self.record.renames,
            record=self.record,
        )
        self.step("copy", into=config["name"])
        await self._unheard(original, lambda: self.server.create_stream(config))

    async def _unheard(self, origin: Config, change: Callable[[], Awaitable[object]]) -> None:
        """Make a change to a mirror while its origin answers no direct gets; or it would begin to answer for it."""
        if not origin.get("allow_direct"):
            await change()
            return
        self.relay.hold()
        await self._update(origin | {"allow_direct": False})
        try:
            await change()
        finally:
            await self._update(origin)
            await self.relay.to(origin["name"])
        if origin["name"] == self.record.source:
            self.relay.rest()

    async def _fits(self) -> None:
        """Make what it becomes for a moment, empty: what the server refuses is known before anything is moved."""
        name = room(self.record.home)
        await self.server.delete_stream(name)  # of an earlier run that was killed
        wanted = {key: value for key, value in self.final.items() if key not in copies.ONLY_PROMOTED}
        self.step("try", stream=name)
        try:
            await self.server.create_stream(wanted | {"name": name, "subjects": [name], "allow_direct": False})
        finally:
            await self.server.delete_stream(name)
        await carrying.permitted(self.server, self.record, resets=self.about.resets)

    async def drain_and_switch_out(self) -> None:
        """Let the copy take the writes when it has nearly everything and no consumer waits for an answer."""
        source, copy = self.record.source, self.record.carrier
        began, told = clock(), self._told_of(source, copy)
        info = await self._stream(copy)
        await self._direct_again()
        if info.config.get("mirror_direct"):
            # A server that restarts makes copies answer for what they copy.
            await self._unheard(dict(self.record.original), lambda: self._update(info.config))
        await caught_up(self.server, source, copy, until=self.about.until, told=told)
        self._in_time(clock() - max(began, self._began))
        await carrying.drain(self.server, source, self.lock)
        await caught_up(self.server, source, copy, until=self.about.until, told=told)
        await self.switch_out()

    async def switch_out(self) -> None:
        """Let the copy take the writes."""
        source, copy = self.record.source, self.record.carrier
        self.relay.hold()

        async def promote() -> None:
            positions = await carrying.positions(self.server, source)
            self.record = replace(self.record, positions=positions)
            info = await self._stream(copy)
            config = copies.remembering(copies.promoted(info.config, self.final), self.record)
            if self.record.renames:
                config |= {"allow_direct": bool(self.final.get("allow_direct"))}
            self.step("promote", stream=copy)
            await self._update(config)
            if self.record.renames:
                self.relay.rest()

        await self._switch(source, copy, dict(self.record.original), promote)

    async def _switch(self, source: str, copy: str, live: Config, promote: Callable[[], Awaitable[None]]) -> None:
        switch = Switch(self.server, self.lock, source, copy, live)
        self.step("park", stream=source)
        try:
            await switch.run(promote)
        except (TooSlow, Refused, DecisionNeeded, asyncio.CancelledError):
            # Writers wait: before anything else they are let in again; unless the copy has their subjects already.
            self.step("unpark", stream=source)
            await self._let_in(live)
            await self.relay.to(source)
            raise
        self.log.info("move.switched", of=self.record.home, to=copy, pause_ms=round(switch.pause * 1000, 1))

    async def leave(self) -> None:
        """Delete the source, which takes no writes any more; what was removed from it meanwhile goes from the copy too."""
        await alike(self.server, self.record.source, self.record.carrier)
        self.step("delete", stream=self.record.source)
        await self.server.delete_stream(self.record.source)

    async def make_anew(self) -> None:
        """Make the new stream, as a copy, and its consumers, which go on with what arrives."""
        through = await self._stream(self.record.carrier)
        config = copies.copying(
            self.final,
            self.record.carrier,
            temporary_one=False,
            record=self.record,
        )
        self.relay.hold()
        if through.config.get("allow_direct"):
            await self._update(through.config | {"allow_direct": False})
        self.step("return", stream=self.record.home)
        try:
            await self.server.create_stream(config)
            await self._consumers()
        except Refused as refusal:
            await self._fall_back(refusal)

    async def _consumers(self, *, whole: bool = False) -> None:
        await carrying.carry(self.server, self.record, self.lock, resets=self.about.resets, whole=whole)

    async def _fall_back(self, refusal: Refused) -> None:
        """Make what it was before instead of what the server refuses: that fitted."""
        if self.refused is not None:
            raise refusal
        self.refused = refusal
        self.record = replace(self.record, final=dict(self.record.original))
        await self.server.delete_stream(self.record.home)

    async def switch_back(self) -> None:
        """Let the new stream take the writes when it has everything."""
        through, home = self.record.carrier, self.record.home
        info, back = await both(self.server, through, home)
        if not copies.same_make(back.config, self.final):
            # The values changed since it was begun; what was copied back so far is made anew.
            if copies.is_parked(info):
                await self._update(copies.promoted(info.config, self.final))
            self.step("delete", stream=home)
            await self.server.delete_stream(home)
            return
        try:
            await self._consumers()
        except Refused as refusal:
            await self._fall_back(refusal)
            return
        info, back = await both(self.server, through, home)
        live = copies.promoted(info.config, self.final) | {"allow_direct": True}
        if not copies.is_parked(info):
            await self._answering(live, back)
            await caught_up(self.server, through, home, until=None, told=self._told_of(through, home))
            await self._pruned(live, back)
            await alike(self.server, through, home)
        self.relay.hold()

        async def promote() -> None:
            mirror = await self._stream(home)
            config = copies.promoted(mirror.config, self.final)
            config |= {"allow_direct": bool(self.final.get("allow_direct"))}
            config |= {"max_consumers": self.final.get("max_consumers", -1)}
            self.step("promote", stream=home)
            await self._update(config)
            await self.relay.to(home)

        await self._switch(through, home, live, promote)

    async def _answering(self, live: Config, back: StreamInfo) -> None:
        """Let the temporary stream answer direct gets, and the copy of it none."""
        if back.config.get("mirror_direct"):
            await self._unheard(live, lambda: self._update(back.config))
        else:
            await self._update(live)
        await self.relay.to(self.record.carrier)

    async def _pruned(self, live: Config, back: StreamInfo) -> None:
        """Let the new stream drop earlier values of a key as it will: while it was copied nobody may take it for a bucket."""
        most = self.final.get("max_msgs_per_subject") or -1
        if most > 0:
            await self._unheard(live, lambda: self._update(back.config | {"max_msgs_per_subject": most}))

    async def clear(self) -> None:
        """Let consumers go on, and delete the temporary stream."""
        await self._consumers(whole=True)
        await carrying.counted(self.server, self.record)
        await carrying.worked_off(self.server, self.record)
        await carrying.resume(self.server, self.record.home)
        self.step("delete", stream=self.record.carrier)
        await self.server.delete_stream(self.record.carrier)

    async def finish(self, kept: Record) -> None:
        """Make the last settings, which keep nobody from anything that the move needed."""
        self.relay.rest()
        home = await self._stream(self.record.home)
        final = self.final if copies.same_make(home.config, self.final) else dict(kept.final)
        if self.record.renames:
            await self._consumers(whole=True)
            final = copies.renamed(final, self.record.source)
        self.step("finish", stream=self.record.home)
        await self._update(copies.forgetting(final))
        await carrying.resume(self.server, self.record.home)

    async def unpark(self) -> None:
        """Let writers in again where they were."""
        self.step("unpark", stream=self.record.source)
        await self._let_in(dict(self.record.original))

    async def _let_in(self, live: Config) -> None:
        """Make a stream what it was before it was parked, without the mark; one whose subjects the copy has stays."""
        with contextlib.suppress(Refused):
            await self._update(live)
            await self.server.purge_stream(live["name"], subject=parking(live["name"]))

    async def forget_copy(self) -> None:
        """Go back to how it was before the copy."""
        await carrying.resume(self.server, self.record.source)
        await self._direct_again()
        self.step("delete", stream=self.record.carrier)
        await self.server.delete_stream(self.record.carrier)
        await self.server.delete_stream(room(self.record.home))

    async def _direct_again(self) -> None:
        """Let the source answer direct gets again, if a run was killed in the moment that it did not."""
        source = await self._stream(self.record.source)
        if self.record.original.get("allow_direct") and not source.config.get("allow_direct"):
            await self._update(dict(self.record.original))

    async def _stream(self, name: str) -> StreamInfo:
        info = await self.server.stream(name)
        if info is None:
            raise StoppedHalfway(f"stream {name} was deleted by somebody else meanwhile: look at a new plan")
        return info

    async def _update(self, config: Config) -> None:
        self.lock.check()
        await self.server.update_stream(copies.as_request(config))

    def step(self, step: str, **fields: object) -> None:
        self.lock.check()
        self.log.info("move.step", of=self.record.home, step=step, **fields)

    def _told_of(self, source: str, copy: str) -> Told:
        return telling(self.log, self._copied, self.record.home, source, copy)

    def _in_time(self, seconds: float) -> None:
        """Raise before the point of no return if the way back would not fit in what is left of the time."""
        left = self.about.until - clock()
        need = LEFT_SECONDS if self.record.renames else LEFT_SECONDS + 1.5 * seconds
        if left < need:
            raise DecisionNeeded(
                f"copying took {seconds:.0f} s, and of the time that the run may take {left:.0f} s are left, which is too "
                "little to copy back: allow more time"
            )
