"""A move of what a stream holds: what it is called while it lasts, and how far it came.

Everything that has to be known to go on with it stands on the server, in the metadata of the stream that copies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

METADATA = "natsmith.move"
TEMPORARY = "natsmith_move_"
PARKING = "_natsmith.park."
COPYING = "_natsmith.api"
"""Where a copy asks for what it copies, and natsmith passes that on.

A copy that asks a server itself answers direct gets for what it copies, however little it has yet.
"""

ANSWERS = "$JSC.R."
"""Where a server that copies waits for answers."""

FORMAT = 1


def temporary(stream: str) -> str:
    """Return the name of the stream through which *stream* moves."""
    return TEMPORARY + stream


def room(stream: str) -> str:
    """Return the name of the stream that shows whether there is room for *stream*, and then witnesses that it moves."""
    return f"natsmith_room_{stream}"


def parking(stream: str) -> str:
    """Return the only subject of *stream* while nothing may be written to it."""
    return PARKING + stream


class Stage(StrEnum):
    """How far a move came; each value says where the messages are and whether writes flow."""

    ANNOUNCED = "it is about to be copied, and works as before"
    COPYING = "it is being copied, and works as before"
    PARKED = "writes are refused for a moment, while the last messages are copied"
    FORGOTTEN = (
        "its server started without the stream, which is made again; what does not come back is taken from the copy"
    )
    UNLOADED = "its server started without the copy, which is made again before anything can be written"
    SWITCHED = "the copy takes the writes; the old stream is about to be deleted"
    AWAY = "the copy takes the writes; the stream is about to be made anew"
    RETURNING = "the copy takes the writes, and is being copied back"
    RETURN_PARKED = "writes are refused for a moment, while the last messages are copied back"
    HOME = "the new stream takes the writes; the copy is about to be deleted"
    FINISHING = "the new stream takes the writes; its last settings are about to be made"
    BROKEN = "somebody else deleted or made a part of it"

    @property
    def undoable(self) -> bool:
        """Whether nothing but the copy has to go for everything to be as it was."""
        return self in {Stage.ANNOUNCED, Stage.COPYING, Stage.PARKED}

    @property
    def writes_flow(self) -> bool:
        """Whether publishers are answered."""
        return self not in {Stage.PARKED, Stage.RETURN_PARKED, Stage.FORGOTTEN, Stage.UNLOADED, Stage.BROKEN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the copying stream remembers of a move."""

    home: str
    """The stream that there will be in the end."""

    source: str
    """The stream that there was: the same, or that of the old name."""

    owner: str
    created: str
    """When the source was created: another one of its name is not ours to touch."""

    original: Mapping[str, Any]
    """The source's configuration, in the server's JSON; so is what it becomes."""

    final: Mapping[str, Any]

    positions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The durable consumers of the source by name: each one's configuration, and where it goes on."""

    @property
    def renames(self) -> bool:
        """Whether the stream gets another name, and so needs no temporary one."""
        return self.source != self.home

    @property
    def becomes_queue(self) -> bool:
        """Whether messages were kept that a work queue would not have any more."""
        return self.final.get("retention") == "workqueue" != self.original.get("retention")

    @property
    def carrier(self) -> str:
        """The stream that copies, and remembers this."""
        return self.home if self.renames else temporary(self.home)

    def as_json(self) -> dict[str, Any]:
        """Return the form that is stored."""
        return {
            "v": FORMAT,
            "home": self.home,
            "source": self.source,
            "owner": self.owner,
            "created": self.created,
            "original": dict(self.original),
            "final": dict(self.final),
            "positions": {name: dict(each) for name, each in self.positions.items()},
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Record | None:
        """Return a record from its stored form, or None where it is not one."""
        match stored:
            case {
                "v": 1,
                "home": str(home),
                "source": str(source),
                "owner": str(owner),
                "created": str(created),
                "original": dict(original),
                "final": dict(final),
                "positions": dict(positions),
            }:
                return cls(
                    home=home,
                    source=source,
                    owner=owner,
                    created=created,
                    original=original,
                    final=final,
                    positions=positions,
                )
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moving:
    """A move that was begun and has not ended."""

    record: Record
    stage: Stage
    messages: int = 0
    """How many messages there are, where they are now."""

    copied: int = 0
    """How many of them are where they are copied to."""

    @property
    def at(self) -> str:
        """The stream that has all messages."""
        if self.stage.undoable or self.stage is Stage.UNLOADED:
            return self.record.source
        return self.record.home if self.stage in {Stage.HOME, Stage.FINISHING} else self.record.carrier
