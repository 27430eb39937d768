"""Streams of a move that a server did not load: one that is killed while it changes a stream can start without it.

Its files stay, and made again under its name it has its messages, and its consumers are where they were.
A witness remembers the move meanwhile: tests/live/test_moves_unloaded.py.
"""

from __future__ import annotations

from dataclasses import replace

from natsmith.actions import carrying
from natsmith.actions.hands import Hands
from natsmith.adapters import copies
from natsmith.adapters.server import Config, StreamInfo
from natsmith.errors import StoppedHalfway
from natsmith.model.moving import Record


class Waking(Hands):
    """The steps that bring a move back to where it was."""

    async def wake_source(self, kept: Record) -> None:
        """Make the source again; what does not come back, as after a restart what was in memory, the copy has."""
        self.step("wake", stream=kept.source)
        copy = await self.stream(kept.carrier)
        source = await self._source(kept)
        await self.update(copies.remembering(copy.config, replace(kept, created=source.created)))

    async def wake_copy(self, kept: Record) -> None:
        """Make the copy again, and have it take the writes if it did already: then it has more than its source."""
        self.step("wake", stream=kept.carrier)
        home = await self.server.stream(kept.home)
        if home and not kept.renames and home.config.get("mirror"):
            await self._wake_origin(kept, home)
            return
        source = await self._source(kept)
        copy = await self.server.stream(kept.carrier)
        if copy is None:
            config = copies.copying(dict(kept.final), kept.source, replace(kept, created=source.created))
            copy = await self.server.create_stream(config)
        if copy.last_sequence > source.last_sequence:
            await self.quiet()
            await self.promote_out()

    async def _source(self, kept: Record) -> StreamInfo:
        """Return the source, made again if it is not there, with the consumers that it had."""
        source = await self.server.stream(kept.source)
        if source is None:
            # Parked, since nobody may write to an empty one.
            config = copies.remembering(copies.parked(dict(kept.original)), kept)
            source = await self.server.create_stream(config)
        there = {each.name for each in await self.server.consumers(kept.source)}
        for name, each in kept.positions.items():
            if name not in there:
                await self.server.put_consumer(kept.source, dict(each["config"]), verb="create")
        self.record = replace(self.record, created=source.created)
        return source

    async def _wake_origin(self, kept: Record, home: StreamInfo) -> None:
        """Make the copy again from which *home* is being copied back: nobody else has all that was written."""
        live = copies.promoted(copies.copying(dict(kept.final), kept.source, kept), dict(kept.final))
        copy = await self.server.create_stream(copies.parked(live))
        if copy.last_sequence < home.last_sequence:
            await self.server.delete_stream(self.record.carrier)
            raise StoppedHalfway(
                f"stream {self.record.carrier} is gone, and what {self.record.home} had not got from it: "
                f"look at that one, and delete it to begin anew"
            )
        await self.update(live)

    async def begun(self, config: Config, *, unless: int | None = None) -> None:
        """Begin a copy with nothing, *unless* what a server kept of an earlier one reaches a sequence."""
        await self.unasked(config["mirror"]["name"], config["name"])
        made = await self.server.create_stream(config)
        if made.last_sequence and (unless is None or made.last_sequence < unless):
            # What was kept need not be whole; once it is deleted nothing is left of it.
            await self.server.delete_stream(config["name"])
            await self.server.create_stream(config)

    async def unasked(self, origin: str, copy: str) -> None:
        """Delete what an earlier copy got its messages through: a later one of that name would go on where it was."""
        for name in await self.server.copiers(origin, copy):
            await self.server.delete_consumer(origin, name)

    async def quiet(self) -> None:
        """Have nobody answer direct gets for a moment; of an old name from now on."""
        if self.record.renames:
            await self.relay.end()
        else:
            self.relay.hold()

    async def promote_out(self) -> None:
        """Let the copy take the writes."""
        record = self.record = replace(self.record, positions=await carrying.positions(self.server, self.record.source))
        info = await self.stream(record.carrier)
        config = copies.remembering(copies.promoted(info.config, self.final), record)
        direct = bool(self.final.get("allow_direct")) if record.renames else True
        self.step("promote", stream=record.carrier)
        await self.update(config | {"allow_direct": direct})
        if not record.renames:
            await self.relay.to(record.carrier)
