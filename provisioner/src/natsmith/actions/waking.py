"""Streams of a move that a server did not load: one that is killed while it changes a stream can start without it.

Its files stay, and made again under its name it has its messages, and its consumers are where they were.
So nothing is changed before another stream remembers the move: tests/live/test_moves_unloaded.py.
"""

from __future__ import annotations

from dataclasses import replace

from natsmith.actions import carrying
from natsmith.actions.hands import Hands
from natsmith.adapters import copies
from natsmith.adapters.server import StreamInfo
from natsmith.errors import StoppedHalfway
from natsmith.model.moving import Record


class Waking(Hands):
    """The steps that bring a move back to where it was."""

    async def wake_source(self, kept: Record) -> None:
        """Make the source again; what does not come back, as after a restart what was in memory, the copy has."""
        self.step("wake", stream=kept.source)
        copy = await self.stream(kept.carrier)
        source = await self.server.stream(kept.source)
        if source is None:
            # Parked, since nobody may write to an empty one.
            config = copies.remembering(copies.parked(dict(kept.original)), kept)
            source = await self.server.create_stream(config)
        for each in kept.positions.values():
            await self.server.put_consumer(kept.source, dict(each["config"]), verb="create")
        self.record = replace(self.record, created=source.created)
        await self.update(copies.remembering(copy.config, replace(kept, created=source.created)))

    async def wake_copy(self, kept: Record) -> None:
        """Make the copy again, and have it take the writes if it did already: then it has more than its source."""
        self.step("wake", stream=kept.carrier)
        source = await self.stream(kept.source)
        copy = await self.server.stream(kept.carrier)
        config = copies.copying(dict(kept.final), kept.source, kept)
        if source.config.get("mirror"):
            await self._wake_origin(source, copies.promoted(config, dict(kept.final)))
            return
        copy = copy or await self.server.create_stream(config)
        if copy.last_sequence > source.last_sequence:
            await self.quiet()
            await self.promote_out()

    async def _wake_origin(self, home: StreamInfo, live: dict[str, object]) -> None:
        """Make the copy again from which *home* is being copied back: nobody else has all that was written."""
        copy = await self.server.create_stream(copies.parked(live))
        if copy.last_sequence < home.last_sequence:
            await self.server.delete_stream(self.record.carrier)
            raise StoppedHalfway(
                f"stream {self.record.carrier} is gone, and what {self.record.home} had not got from it: "
                f"look at that one, and delete it to begin anew"
            )
        await self.update(live)

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
