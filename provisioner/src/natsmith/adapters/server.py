"""The narrow door to a NATS account: what the verbs need of a server, and nothing else.

``jetstream.JetStream`` is the real one; ``tests/memory.py`` is an honest fake. One contract suite holds both to this page.
Configurations travel as the server's own JSON, so that a field nobody here knows arrives unharmed.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from natsmith.model.observed import Limits

Config: TypeAlias = dict[str, Any]
"""A stream's or consumer's configuration in the server's own JSON."""


class Refused(Exception):
    """The server understood and said no."""

    def __init__(self, *, request: str, code: int, text: str) -> None:
        super().__init__(f"{text} ({code})")
        self.request = request
        """The API call, such as ``STREAM.UPDATE.KV_sessions``."""
        self.code = code
        """The server's ``err_code``."""
        self.text = text


WRONG_LAST_SEQUENCE = 10071
WRITTEN_TOGETHER = 10164
"""What a cluster says instead while somebody else's write of the same subject is under way."""

NO_ROOM = {
    10002: "the account's limit is reached: raise what accounts.NAME.jetstream gives it",
    10023: "the server's own limit is reached: raise nats.jetstream.maxFileStore, or nats.jetstream.memory",
    10028: "the limit of memory is reached: raise nats.jetstream.memory",
    10047: "the limit of file storage is reached: raise nats.jetstream.maxFileStore",
    10077: "the stream or the disk is full: look at the server's log",
}
"""Codes of the server that mean a full store, and what to do about each."""

STORE_NOT_CREATED = 10049
STREAM_NOT_FOUND = 10059
CONSUMER_NOT_FOUND = 10014
NO_MESSAGE = 10037


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The account as the server sees it."""

    version: str
    level: int
    clustered: bool
    limits: Limits
    streams: int = 0
    consumers: int = 0
    memory: int = 0
    """Bytes of memory that are in use or reserved; so, too, of file storage."""

    storage: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamInfo:
    """A stream and its state."""

    config: Config
    created: str = ""
    messages: int = 0
    bytes: int = 0
    first_sequence: int = 0
    last_sequence: int = 0
    first_time: str = ""
    consumers: int = 0
    deleted: int = 0
    """How many sequences between the first and the last have no message."""

    gaps: frozenset[int] = frozenset()
    """Which they are, where that was asked for."""

    lag: int | None = None
    """For a mirror: how many messages it is behind, as far as it knows."""

    lags: Mapping[str, int] = field(default_factory=dict)
    """How many writes each replica that is there, and does not lead, has yet to get."""

    offline: tuple[str, ...] = ()
    """Servers that have a replica and are not there."""

    alone: bool = False
    """Whether nothing can be stored: nobody leads it, or who does hears of too few others."""

    heard: float | None = None
    """For a mirror that has begun: how many seconds ago it heard of what it copies."""

    now: str = ""

    @property
    def copying(self) -> bool:
        """Whether it is a mirror that has begun."""
        return self.heard is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerInfo:
    """A consumer and its state."""

    stream: str
    name: str
    config: Config
    created: str = ""
    delivered: int = 0
    """The stream sequence of the newest message it has handed out."""

    ack_floor: int = 0
    handed_out: int = 0
    """How many messages it has handed out."""

    pending: int = 0
    ack_pending: int = 0
    redelivered: int = 0
    now: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A stored message."""

    subject: str
    sequence: int
    time: str
    payload: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Server(Protocol):
    """One account on one server.

    A method raises ``Refused`` when the server says no, ``errors.NotReady`` when it does not answer in time,
    and ``errors.DecisionNeeded`` when the user may not ask.
    """

    async def account(self) -> Account:
        """Return the server's version and the account's limits."""

    async def streams(self) -> list[StreamInfo]:
        """Return every stream of the account."""

    async def stream(self, name: str, *, gaps: bool = False) -> StreamInfo | None:
        """Return one stream, with its gaps where they are asked for, or None where there is none."""

    async def create_stream(self, config: Config) -> StreamInfo:
        """Create a stream. An existing one with the very same configuration is returned as it is."""

    async def update_stream(self, config: Config) -> StreamInfo:
        """Make *config* the whole configuration of an existing stream."""

    async def delete_stream(self, name: str) -> None:
        """Delete a stream, its messages and its consumers; one that is gone already is no error."""

    async def purge_stream(self, name: str, *, subject: str = "", before: int = 0) -> int:
        """Remove messages of *subject* with a sequence below *before* (0: all) and return how many."""

    async def delete_message(self, stream: str, sequence: int) -> None:
        """Remove one message; one that is gone already is no error."""

    async def consumers(self, stream: str) -> list[ConsumerInfo]:
        """Return every consumer of a stream."""

    async def copiers(self, stream: str, into: str) -> list[str]:
        """Return the consumers of *stream* through which *into* copies it, where a server shows them."""

    async def consumer(self, stream: str, name: str) -> ConsumerInfo | None:
        """Return one consumer, or None where there is none."""

    async def put_consumer(self, stream: str, config: Config, *, verb: Literal["create", "update"]) -> ConsumerInfo:
        """Create or update the consumer that ``config["durable_name"]`` names."""

    async def delete_consumer(self, stream: str, name: str) -> None:
        """Delete a consumer; one that is gone already is no error."""

    async def pause_consumer(self, stream: str, name: str, until: str) -> None:
        """Keep a consumer from handing out anything until a time by the server's clock; with none, no longer."""

    async def reset_consumer(self, stream: str, name: str, sequence: int) -> None:
        """Make a consumer go on at a sequence, with its configuration as it is; servers before 2.14 cannot."""

    async def subject_counts(self, stream: str) -> Mapping[str, int]:
        """Return how many messages each subject of a stream holds."""

    async def count_since(self, stream: str, time: str) -> int | None:
        """Return how many messages were stored at or after *time*, or None where the stream does not let anyone ask."""

    async def publish(
        self, subject: str, payload: bytes, *, expect: int | None = None, ttl: int | None = None, patient: bool = True
    ) -> int:
        """Store a message and return its sequence; who is *patient* waits for a stream that was made just now.

        With *expect*, only if the subject's newest message has that sequence (0: has none): else ``Refused`` with
        ``WRONG_LAST_SEQUENCE`` or ``WRITTEN_TOGETHER``. With *ttl*, the message goes after that many seconds.
        """

    async def last(self, stream: str, subject: str) -> Message | None:
        """Return the newest message of a subject, or None."""

    def relay(self, stream: str, *, through: str) -> AbstractAsyncContextManager[Relay]:
        """Hear the direct gets of *stream* for a block; they go on to it, or to *through*, as the relay is told."""


class Relay(Protocol):
    """Direct gets of a stream that cannot answer them itself for a while; a client notices nothing but the delay."""

    @property
    def passed(self) -> int:
        """How many were passed on."""

    def hold(self) -> None:
        """Keep direct gets until it is clear who answers them."""

    async def to(self, stream: str) -> None:
        """Pass on what was held, and what comes, to *stream*."""

    def rest(self) -> None:
        """Pass nothing on: the stream answers itself."""

    async def end(self) -> None:
        """Hear nothing any more, so that who asks is told at once that nobody answers."""


class Application(Protocol):
    """One account as an application's user has it, with no rights but that user's; it raises what ``Server`` raises."""

    @property
    def who(self) -> str:
        """The user, as a person reads it."""

    async def put(self, bucket: str, key: str, value: bytes) -> None:
        """Put *value* as client libraries do."""

    async def get(self, bucket: str, key: str, *, direct: bool) -> bytes | None:
        """Return the value of *key*, or None, as client libraries do: from any replica where *direct*."""
