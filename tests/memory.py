"""A server in memory, for tests: the same Protocol, the same refusals, the same destruction, a clock that tests turn.

It copies nothing for mirrors and sources, and its consumers hand out nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Literal

import memory_config
from memory_config import refuse
from memory_stream import Consumer, Stream, filters, refuse_no_room, written
from natsmith.adapters.server import (
    STREAM_NOT_FOUND,
    WRONG_LAST_SEQUENCE,
    Account,
    Config,
    ConsumerInfo,
    Message,
    Relay,
    StreamInfo,
)
from natsmith.errors import DecisionNeeded, NotReady, Unheard
from natsmith.model.observed import Limits
from natsmith.planning.subjects import meet


class MemoryServer:
    """One account in memory; see ``natsmith.adapters.server.Server``."""

    def __init__(self, *, level: int = 5, limits: Limits | None = None, clustered: bool = False) -> None:
        self.now = datetime(2026, 1, 1, 12, tzinfo=UTC)
        """The server's clock; a test adds to it, and what is too old is gone."""

        self.writes: list[str] = []
        """Every call that would change something, refused ones too, such as ``STREAM.CREATE.KV_x``."""

        self.deny: set[str] = set()
        """The API calls that the user may not make, such as ``STREAM.UPDATE``."""

        self.die_after: int | None = None
        """After how many writes the server answers nothing any more."""

        self.info = Account(version="2.15.1", level=level, clustered=clustered, limits=limits or Limits())
        self._streams: dict[str, Stream] = {}

    async def _enter(self, call: str, *, writes: bool = False) -> None:
        await asyncio.sleep(0)  # a real request lets others run too: whoever counts on no interleaving must fail
        if self.die_after is not None and len(self.writes) >= self.die_after:
            raise NotReady(f"memory did not answer {call} within 5 s: run the same command again")
        if any(f"{call}.".startswith(f"{each}.") for each in self.deny):
            raise DecisionNeeded(f"user test may not publish on $JS.API.{call} at memory: grant it")
        if writes:
            self.writes.append(call)
        for stream in self._streams.values():
            stream.expire(self.now)

    def _stream(self, name: str, call: str) -> Stream:
        if name not in self._streams:
            refuse(call, STREAM_NOT_FOUND, "stream not found")
        return self._streams[name]

    async def close(self) -> None:
        """Do nothing: there is no connection."""

    async def account(self) -> Account:
        """Return what the test set."""
        await self._enter("INFO")
        return self.info

    # -- Streams

    async def streams(self) -> list[StreamInfo]:
        """Return every stream."""
        await self._enter("STREAM.LIST")
        return [self._streams[name].info(self.now) for name in sorted(self._streams)]

    async def stream(self, name: str, *, gaps: bool = False) -> StreamInfo | None:
        """Return one stream, or None."""
        await self._enter(f"STREAM.INFO.{name}")
        return self._streams[name].info(self.now, gaps=gaps) if name in self._streams else None

    async def create_stream(self, config: Config) -> StreamInfo:
        """Create a stream."""
        call = f"STREAM.CREATE.{config['name']}"
        await self._enter(call, writes=True)
        accepted = memory_config.stream(call, config)
        old = self._streams.get(config["name"])
        if old and old.config != accepted:
            refuse(call, 10058, "stream name already in use with a different configuration")
        if old:
            return old.info(self.now)
        if len(self._streams) >= self.info.limits.streams >= 0:
            refuse(call, 10027, "maximum number of streams reached")
        self._refuse_overlap(call, accepted)
        stream = Stream(accepted, written(self.now), last=max(0, accepted.get("first_seq", 0) - 1))
        self._streams[config["name"]] = stream
        return stream.info(self.now)

    async def update_stream(self, config: Config) -> StreamInfo:
        """Change a stream; what no longer fits its limits is gone."""
        call = f"STREAM.UPDATE.{config['name']}"
        await self._enter(call, writes=True)
        stream = self._stream(config["name"], call)
        accepted = memory_config.stream(call, config, stream.config)
        self._refuse_overlap(call, accepted)
        stream.config = accepted
        stream.expire(self.now)
        stream.trim()
        return stream.info(self.now)

    def _refuse_overlap(self, call: str, config: Config) -> None:
        others = (each.config for name, each in self._streams.items() if name != config["name"])
        taken = [subject for other in others for subject in other.get("subjects", [])]
        if any(meet(mine, other) for mine in config.get("subjects", []) for other in taken):
            refuse(call, 10065, "subjects overlap with an existing stream")

    async def delete_stream(self, name: str) -> None:
        """Delete a stream with all it holds."""
        await self._enter(f"STREAM.DELETE.{name}", writes=True)
        self._streams.pop(name, None)

    async def purge_stream(self, name: str, *, subject: str = "", before: int = 0) -> int:
        """Remove messages."""
        call = f"STREAM.PURGE.{name}"
        await self._enter(call, writes=True)
        stream = self._stream(name, call)
        if stream.config["deny_purge"]:
            refuse(call, 10110, "stream purge not permitted")
        gone = [each for each in stream.of(subject or ">") if not before or each.sequence < before]
        stream.drop(gone)
        return len(gone)

    async def delete_message(self, stream: str, sequence: int) -> None:
        """Remove one message."""
        call = f"STREAM.MSG.DELETE.{stream}"
        await self._enter(call, writes=True)
        if stream in self._streams:
            found = self._streams[stream]
            if found.config["deny_delete"]:
                refuse(call, 10057, "message delete not permitted")
            found.drop([each for each in found.messages if each.sequence == sequence])

    # -- Consumers

    async def consumers(self, stream: str) -> list[ConsumerInfo]:
        """Return every consumer of a stream."""
        await self._enter(f"CONSUMER.LIST.{stream}")
        found = self._streams.get(stream)
        return [found.consumer_info(name, self.now) for name in sorted(found.consumers)] if found else []

    async def copiers(self, stream: str, into: str) -> list[str]:
        """Return nothing: no copy runs here."""
        return []

    async def consumer(self, stream: str, name: str) -> ConsumerInfo | None:
        """Return one consumer, or None."""
        await self._enter(f"CONSUMER.INFO.{stream}.{name}")
        found = self._streams.get(stream)
        return found.consumer_info(name, self.now) if found and name in found.consumers else None

    async def put_consumer(self, stream: str, config: Config, *, verb: Literal["create", "update"]) -> ConsumerInfo:
        """Create or update a consumer."""
        name = config["durable_name"]
        call = f"CONSUMER.CREATE.{stream}.{name}"
        await self._enter(call, writes=True)
        found = self._stream(stream, call)
        old = found.consumers.get(name)
        accepted = memory_config.consumer(call, config, found.config, old.config if old and verb == "update" else None)
        if verb == "update" and not old:
            refuse(call, 10149, "consumer does not exist")
        if verb == "create" and old and old.config != accepted:
            refuse(call, 10148, "consumer already exists")
        if not old and len(found.consumers) >= found.config["max_consumers"] > 0:
            refuse(call, 10026, "maximum consumers limit reached")
        others = [each for key, each in found.consumers.items() if key != name]
        if found.config["retention"] == "workqueue":
            _refuse_shared(call, filters(accepted), [subject for each in others for subject in each.filters])
        begins = old.begins if old else found.first_wanted(accepted)
        found.consumers[name] = Consumer(accepted, old.created if old else written(self.now), begins)
        return found.consumer_info(name, self.now)

    async def delete_consumer(self, stream: str, name: str) -> None:
        """Delete a consumer."""
        await self._enter(f"CONSUMER.DELETE.{stream}.{name}", writes=True)
        if stream in self._streams:
            self._streams[stream].consumers.pop(name, None)
            self._streams[stream].trim()

    async def pause_consumer(self, stream: str, name: str, until: str) -> None:
        """Pause a consumer, or let it go on."""
        await self._enter(f"CONSUMER.PAUSE.{stream}.{name}", writes=True)
        if stream in self._streams and name in self._streams[stream].consumers:
            config = self._streams[stream].consumers[name].config
            config.pop("pause_until", None)
            config.update({"pause_until": until} if until else {})

    async def reset_consumer(self, stream: str, name: str, sequence: int) -> None:
        """Make a consumer go on at a sequence."""
        call = f"CONSUMER.RESET.{stream}.{name}"
        await self._enter(call, writes=True)
        consumer = self._streams[stream].consumers[name]
        if consumer.config["deliver_policy"] != "all":
            refuse(call, 10204, "invalid reset: not allowed")
        consumer.begins = sequence

    # -- Messages

    async def subject_counts(self, stream: str) -> Mapping[str, int]:
        """Return how many messages each subject holds."""
        await self._enter(f"STREAM.INFO.{stream}")
        found = self._streams.get(stream)
        return Counter(each.subject for each in found.messages) if found else {}

    async def count_since(self, stream: str, time: str) -> int | None:
        """Return how many messages are not older than *time*."""
        await self._enter(f"CONSUMER.CREATE.{stream}.count")
        found = self._streams.get(stream)
        if found is None or found.config["retention"] == "workqueue":
            return None
        full = 0 < found.config["max_consumers"] <= len(found.consumers)
        return None if full else len(found.since(time))

    async def publish(
        self, subject: str, payload: bytes, *, expect: int | None = None, ttl: int | None = None, patient: bool = True
    ) -> int:
        """Store a message in the stream that takes its subject."""
        call = f"publish on {subject}"
        await self._enter(call, writes=True)
        stream = next((each for each in self._streams.values() if each.takes(subject)), None)
        if stream is None:
            raise Unheard(f"nobody answers {subject} at memory: run the same command when somebody does")
        before = stream.of(subject)
        latest = before[-1].sequence if before else 0
        if ttl is not None and not stream.config["allow_msg_ttl"]:
            refuse(call, 10166, "per-message TTL is disabled")
        if expect is not None and expect != latest:
            refuse(call, WRONG_LAST_SEQUENCE, f"wrong last sequence: {latest}")
        refuse_no_room(call, stream, subject, payload)
        headers = {} if expect is None else {"Nats-Expected-Last-Subject-Sequence": str(expect)}
        if ttl is not None:
            headers["Nats-TTL"] = stream.ttl(ttl)
        return stream.append(self.now, subject, payload, headers)

    async def last(self, stream: str, subject: str) -> Message | None:
        """Return the newest message of a subject, or None."""
        await self._enter(f"STREAM.MSG.GET.{stream}")
        found = self._streams[stream].of(subject) if stream in self._streams else []
        return found[-1] if found else None

    @asynccontextmanager
    async def relay(self, stream: str, *, through: str) -> AsyncIterator[Relay]:
        """Hear nothing: no client asks here."""
        await self._enter(f"DIRECT.GET.{stream}")
        await self._enter(f"DIRECT.GET.{through}")
        yield Silent()


class Silent:
    """A relay that nobody asks anything."""

    passed = 0

    def hold(self) -> None:
        """Keep nothing."""

    async def to(self, stream: str) -> None:
        """Pass nothing on."""

    def rest(self) -> None:
        """Go on with nothing."""

    async def end(self) -> None:
        """End nothing."""


def _refuse_shared(call: str, mine: list[str], theirs: list[str]) -> None:
    if theirs and ">" in mine:
        refuse(call, 10099, "multiple non-filtered consumers not allowed on workqueue stream")
    if any(meet(a, b) for a in mine for b in theirs):
        refuse(call, 10100, "filtered consumer not unique on workqueue stream")
