"""The steps of a move: out into a copy, and back from there; each can be repeated by whoever comes next."""

from __future__ import annotations

from dataclasses import replace

from natsmith.actions import carrying
from natsmith.actions.catching_up import StandsStill, TooSlow, both, caught_up
from natsmith.actions.switching import Incomplete, alike
from natsmith.actions.waking import Waking
from natsmith.adapters import copies, wire
from natsmith.adapters.server import Refused, StreamInfo
from natsmith.clock import clock
from natsmith.errors import DecisionNeeded, NatsmithError, StoppedHalfway
from natsmith.model.moving import Record, room

ANEW = 5
"""How often a copy that stands still is made anew; a server that comes back lets the first or second one begin."""


class Hops(Waking):
    """The steps of one move."""

    begun_anew = 0

    async def begin(self) -> None:
        """Begin to copy."""
        source = await self.stream(self.record.source)
        original = copies.forgetting(source.config)
        if copies.is_parked(source):  # nothing remembers why: what it is to be like is all that is known
            original = copies.promoted(original, self.final)
            original["allow_direct"] = bool(self.record.original.get("allow_direct"))
        positions = await carrying.positions(self.server, self.record.source)
        self.record = replace(self.record, created=source.created, original=original, positions=positions)
        if copies.too_long(self.record):
            raise DecisionNeeded(
                f"its {len(positions)} consumers are more than can be remembered while it moves: remove some first"
            )
        await self._fits()
        witness = copies.witness(self.record)
        self.step("announce", stream=witness["name"])
        await self.server.create_stream(witness)
        config = copies.copying(self.final, self.record.source, self.record)
        self.step("copy", into=config["name"])
        await self.begun(config)

    async def _fits(self) -> None:
        """Make what it becomes for a moment, empty: what the server refuses is known before anything is moved."""
        name = room(self.record.home)
        left = await self.server.stream(name)  # of an earlier run that was killed, or somebody's
        if left and not wire.applied_of(left.config.get("metadata") or {}):
            raise DecisionNeeded(f"there is a stream {name}, which natsmith did not make: delete or rename it")
        await self.server.delete_stream(name)
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
        began, told = clock(), self.told_of(source, copy)
        try:
            await caught_up(self.server, source, copy, until=self.about.until, told=told)
            self.in_time(clock() - began)
            await carrying.drain(self.server, source, self.lock)
            await caught_up(self.server, source, copy, until=self.about.until, told=told)
        except StandsStill as error:
            await self._copy_anew(error)
            raise
        await self.switch_out()

    async def _copy_anew(self, error: NatsmithError) -> None:
        """Begin the copy with nothing, of which *error* tells that it does not go on."""
        self._anew(error)
        self.step("delete", stream=self.record.carrier)
        await self.server.delete_stream(self.record.carrier)
        self.step("copy", into=self.record.carrier)
        await self.begun(copies.copying(self.final, self.record.source, self.record))

    def _anew(self, error: NatsmithError) -> None:
        """Raise *error* as the last one when a copy was begun too often."""
        self.begun_anew += 1
        if self.begun_anew > ANEW:
            raise StoppedHalfway(str(error)) from error

    async def switch_out(self) -> None:
        """Let the copy take the writes."""
        await self.quiet()
        try:
            await self.switch(self.record.source, self.record.carrier, dict(self.record.original), self.promote_out)
        except StandsStill as error:
            await self._copy_anew(error)
            raise
        except Incomplete as error:
            self._anew(error)
            raise TooSlow(str(error)) from error  # while it is parked a key keeps values that its copy drops

    async def leave(self) -> None:
        """Delete the source, which takes no writes any more; what was removed from it meanwhile goes from the copy too.

        From then on only the copy knows of the move, and is not changed before another one does.
        """
        if not self.record.renames:
            await self.relay.to(self.record.carrier)
        await alike(self.server, self.record.source, self.record.carrier)
        carrier = await self.stream(self.record.carrier)
        positions = await carrying.positions(self.server, self.record.source)
        changed = positions != self.record.positions  # a run was killed here, and its consumers went on
        self.record = replace(self.record, positions=positions)
        if changed:
            await self.update(copies.remembering(carrier.config, self.record))
        self.step("delete", stream=self.record.source)
        await self.server.delete_stream(self.record.source)

    async def make_anew(self, kept: Record) -> None:
        """Make the new stream, as a copy, and its consumers, which go on with what arrives."""
        through = await self.stream(self.record.carrier)
        await self.relay.to(self.record.carrier)
        parked = copies.is_parked(through)  # there was one which had everything, and may have taken writes
        config = copies.copying(dict(kept.final) if parked else self.final, self.record.carrier, self.record)
        self.step("return", stream=self.record.home)
        try:
            await self.begun(config, unless=through.last_sequence if parked else None)
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
        await self._away()

    async def _away(self) -> None:
        """Delete what was copied back, which is made anew; nobody but it would remember a copy that is not loaded."""
        info = await self.stream(self.record.carrier)
        if copies.is_parked(info):
            await self.update(copies.promoted(info.config, self.final) | {"allow_direct": True})
        await self.relay.to(self.record.carrier)
        self.step("delete", stream=self.record.home)
        await self.server.delete_stream(self.record.home)

    async def switch_back(self) -> None:
        """Let the new stream take the writes when it has everything."""
        through, home = self.record.carrier, self.record.home
        info, back = await both(self.server, through, home)
        if copies.is_parked(info) and back.last_sequence > info.last_sequence:
            await self._promote_back()  # it has taken writes already, and its server did not load what it was then
            return
        if not copies.same_make(back.config, self.final):
            await self._away()  # the values changed since it was begun
            return
        try:
            await self._consumers()
        except Refused as refusal:
            await self._fall_back(refusal)
            return
        info, back = await both(self.server, through, home)
        live = copies.promoted(info.config, self.final) | {"allow_direct": True}
        try:
            if not copies.is_parked(info):
                await self.relay.to(through)
                await caught_up(self.server, through, home, until=None, told=self.told_of(through, home))
                await self._pruned(back)
                await alike(self.server, through, home)
            self.relay.hold()
            await self.switch(through, home, live, self._promote_back)
        except StandsStill as error:
            await self._away()
            self._anew(error)
            raise
        except Incomplete as error:
            await self._away()
            raise TooSlow(str(error)) from error  # it is copied back anew

    async def _promote_back(self) -> None:
        home = await self.stream(self.record.home)
        config = copies.promoted(home.config, self.final)
        config |= {"allow_direct": bool(self.final.get("allow_direct"))}
        config |= {"max_consumers": self.final.get("max_consumers", -1)}
        self.step("promote", stream=self.record.home)
        await self.update(config)
        await self.relay.to(self.record.home)

    async def _pruned(self, back: StreamInfo) -> None:
        """Let the new stream drop earlier values of a key as it will: while it was copied nobody may take it for a bucket."""
        most = self.final.get("max_msgs_per_subject") or -1
        if most > 0:
            await self.update(back.config | {"max_msgs_per_subject": most})

    async def clear(self) -> None:
        """Let consumers go on, and delete the temporary stream."""
        await carrying.worked_off(self.server, self.record)
        await self._consumers(whole=True)
        await carrying.counted(self.server, self.record)
        await carrying.let_go(self.server, self.record)
        await carrying.resume(self.server, self.record.home)
        await self.server.delete_stream(room(self.record.home))
        self.step("delete", stream=self.record.carrier)
        await self.server.delete_stream(self.record.carrier)

    async def finish(self, kept: Record) -> None:
        """Make the last settings, which keep nobody from anything that the move needed."""
        self.relay.rest()
        home = await self.stream(self.record.home)
        final = self.final if copies.same_make(home.config, self.final) else dict(kept.final)
        if self.record.renames:
            await carrying.worked_off(self.server, self.record)
            await self._consumers(whole=True)
            await self.server.delete_stream(room(self.record.home))
            final = copies.renamed(final, self.record.source)
        self.step("finish", stream=self.record.home)
        await self.update(copies.forgetting(final))
        await carrying.resume(self.server, self.record.home)

    async def unpark(self) -> None:
        """Let writers in again where they were."""
        self.step("unpark", stream=self.record.source)
        await self.let_in(dict(self.record.original))

    async def forget_copy(self) -> None:
        """Go back to how it was before the copy."""
        await carrying.resume(self.server, self.record.source)
        if copies.is_parked(await self.stream(self.record.source)):
            await self.unpark()
        self.step("delete", stream=self.record.carrier)
        await self.server.delete_stream(self.record.carrier)
        await self.unasked(self.record.source, self.record.carrier)
        await self.server.delete_stream(room(self.record.home))
