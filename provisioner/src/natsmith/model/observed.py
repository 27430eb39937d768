"""What the server has: objects as they were found, and what an account may hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from natsmith.model.desired import Id
from natsmith.model.fields import Settings
from natsmith.model.kind import Kind
from natsmith.model.moving import Moving
from natsmith.model.resources import CONSUMER
from natsmith.model.units import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What natsmith last made of an object, as the object itself or the state bucket remembers it."""

    owner: str
    settings: Settings = field(default_factory=dict)
    config: Mapping[str, Json] = field(default_factory=dict)
    consents: int = 0
    """How many losses were consented to: a consent counts once, so a later loss of the same kind needs a new one."""

    newer: int = 0
    """The format's number where a later natsmith wrote it and this one cannot read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One object as the server has it."""

    kind: Kind
    name: str
    stream: str
    settings: Settings
    config: Mapping[str, Json] = field(default_factory=dict)
    """Raw fields that the model does not know, or that the values pass on raw."""

    applied: Applied | None = None
    stamped: bool = True
    """Whether ``applied`` stands in the object's own metadata, not only in the state bucket."""

    created: str = ""
    messages: int = 0
    bytes: int = 0
    last_sequence: int = 0
    first_time: str = ""
    """When the oldest message was stored, by the server's clock."""

    now: str = field(default="", compare=False)
    """The server's clock when it answered."""

    consumers: int = 0
    delivered: int = 0
    """For a consumer: how many of the stream's messages it has handed out."""

    pending: int = 0
    ack_pending: int = 0
    redelivered: int = 0
    """For a consumer: how many messages it has handed out more than once and nobody has acknowledged yet."""

    offline: tuple[str, ...] = field(default=(), compare=False)
    """Servers that have a replica of it and are not there."""

    renamed_from: str = ""
    """The stream that it was moved from under another name."""

    moving: Moving | None = None
    """For a stream: a move that was begun and has not ended; the settings are those from before it."""

    @property
    def id(self) -> Id:
        """What it is called on the server."""
        return Id(self.stream, self.name if self.kind is CONSUMER else "")

    @property
    def label(self) -> str:
        """Its name among objects of its kind."""
        return str(self.id) if self.kind is CONSUMER else self.name

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{self.kind.word} {self.label}"

    def get(self, name: str) -> Json:
        """Return a setting, default included; where it is read raw for the values' sake, what that says."""
        api = self.kind.by_name[name].api
        if api in self.config:
            return self.kind.by_name[name].type.decode(self.config[api])
        return self.kind.get(self.name, self.settings, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the account may hold; -1 is no limit."""

    memory: int = -1
    storage: int = -1
    streams: int = -1
    consumers: int = -1
    memory_stream: int = -1
    storage_stream: int = -1
    ack_pending: int = -1
    max_bytes_required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One account on one server, read at one time."""

    objects: Mapping[Id, Found] = field(default_factory=dict)
    limits: Limits = Limits()
    version: str = ""
    level: int = 1
    """The server's API level."""

    clustered: bool = False
    own: int = field(default=0, compare=False)
    """How many streams of the account are natsmith's own: its state bucket, or twins of a proof."""

    strangers: frozenset[str] = frozenset()
    """Streams that have a name of natsmith's own and are not its."""

    memory: int = field(default=0, compare=False)
    """Bytes of memory that the account uses or has reserved; so, too, of file storage."""

    storage: int = field(default=0, compare=False)
    all_streams: int = field(default=0, compare=False)
    """How many streams the account has, natsmith's own and all; so, too, of consumers."""

    all_consumers: int = field(default=0, compare=False)
    counts: Mapping[tuple[Id, str], int] = field(default_factory=dict)
    """Answers to the questions that a plan had about data: how many messages a change of a field would destroy."""

    def consumers_of(self, stream: str) -> list[Found]:
        """Return the consumers of a stream that were read."""
        return [each for each in self.objects.values() if each.kind is CONSUMER and each.stream == stream]

    @property
    def streams(self) -> tuple[str, ...]:
        """The names of everything that is a stream on the server."""
        return tuple(key.stream for key in self.objects if not key.consumer)
