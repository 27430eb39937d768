"""A stream in memory: its messages, its consumers, and what time and limits take away."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from memory_config import refuse
from natsmith.adapters.server import Config, ConsumerInfo, Message, StreamInfo
from natsmith.model.units import NANOS, parse_time
from natsmith.planning.subjects import within

OVERHEAD = 16
"""Bytes that a stored message takes beside its subject and payload."""

MARKER = "Nats-Marker-Reason"


@dataclass
class Consumer:
    """A consumer that hands out nothing: its configuration and where it would begin."""

    config: Config
    created: str
    begins: int

    @property
    def filters(self) -> list[str]:
        """The subjects that it hands out."""
        return filters(self.config)

    def wants(self, message: Message) -> bool:
        """Return whether it would hand out *message*."""
        return message.sequence >= self.begins and any(within(message.subject, each) for each in self.filters)


@dataclass
class Stream:
    """A stream and all it holds."""

    config: Config
    created: str
    last: int = 0
    """The sequence of the newest message that it ever held."""

    messages: list[Message] = field(default_factory=list)
    consumers: dict[str, Consumer] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How much its messages take."""
        return sum(size_of(each.subject, each.payload) for each in self.messages)

    def takes(self, subject: str) -> bool:
        """Return whether a message on *subject* would be stored here."""
        return any(within(subject, each) for each in self.config.get("subjects", []))

    def of(self, subject: str) -> list[Message]:
        """Return the messages whose subjects *subject* matches."""
        return [each for each in self.messages if within(each.subject, subject)]

    def drop(self, gone: list[Message]) -> None:
        """Remove messages."""
        sequences = {each.sequence for each in gone}
        self.messages = [each for each in self.messages if each.sequence not in sequences]

    def append(self, now: datetime, subject: str, payload: bytes, headers: Mapping[str, str]) -> int:
        """Store a message at the end; older ones give way to it."""
        self.last += 1
        message = Message(subject=subject, sequence=self.last, time=written(now), payload=payload, headers=headers)
        self.messages.append(message)
        self.trim()
        return self.last

    def ttl(self, seconds: int) -> str:
        """Return the time to live that a message gets: with history not less than a marker's."""
        marker = self.config.get("subject_delete_marker_ttl", 0) // NANOS
        return f"{seconds}s" if self.config["max_msgs_per_subject"] == 1 or seconds >= marker else str(marker)

    def expire(self, now: datetime) -> None:
        """Let go of what is too old, and leave markers where the stream wants them."""
        marker = self.config.get("subject_delete_marker_ttl", 0) // NANOS
        gone = [each for each in self.messages if self._expires(each) <= now]
        self.drop(gone)
        bare = {each.subject for each in gone if MARKER not in each.headers} - {each.subject for each in self.messages}
        for subject in sorted(bare) if marker else ():
            self.append(now, subject, b"", {MARKER: "MaxAge", "Nats-TTL": f"{marker}s", "Nats-Rollup": "sub"})

    def _expires(self, message: Message) -> datetime:
        ages = [self.config["max_age"] / NANOS] if self.config["max_age"] else []
        if "Nats-TTL" in message.headers:
            ages.append(int(message.headers["Nats-TTL"].removesuffix("s")))
        return parse_time(message.time) + timedelta(seconds=min(ages)) if ages else datetime.max.replace(tzinfo=UTC)

    def trim(self) -> None:
        """Let go of what the limits do not allow; with ``discard: new`` the stream's own limits take nothing back."""
        config = self.config
        per_subject = config["max_msgs_per_subject"]
        if per_subject > 0:
            for subject in {each.subject for each in self.messages}:
                self.drop(self.of(subject)[:-per_subject])
        if config["retention"] == "interest":
            wanted = self.consumers.values()
            self.drop([each for each in self.messages if not any(consumer.wants(each) for consumer in wanted)])
        while config["discard"] == "old" and self._full():
            self.drop(self.messages[:1])

    def _full(self) -> bool:
        config = self.config
        return bool(0 < config["max_msgs"] < len(self.messages) or 0 < config["max_bytes"] < self.size)

    def first_wanted(self, config: Config) -> int:
        """Return the sequence at which a new consumer begins."""
        policy = config["deliver_policy"]
        if policy == "by_start_sequence":
            return int(config["opt_start_seq"])
        if policy == "by_start_time":
            return next((each.sequence for each in self.since(config["opt_start_time"])), self.last + 1)
        return self.last + 1 if policy == "new" else 1

    def since(self, time: str) -> list[Message]:
        """Return the messages that are not older than *time*."""
        return [each for each in self.messages if parse_time(each.time) >= parse_time(time)]

    def info(self, now: datetime, *, gaps: bool = False) -> StreamInfo:
        """Return what the server tells of it."""
        held = self.messages
        there = {each.sequence for each in held}
        missing = frozenset(range(held[0].sequence, self.last + 1) if held else ()) - there
        return StreamInfo(
            config=json.loads(json.dumps(self.config)),
            created=self.created,
            messages=len(held),
            bytes=self.size,
            first_sequence=held[0].sequence if held else self.last + 1 if self.last else 0,
            last_sequence=self.last,
            first_time=held[0].time if held else "",
            consumers=len(self.consumers),
            deleted=len(missing),
            gaps=missing if gaps else frozenset(),
            lag=0 if self.config.get("mirror") else None,
            now=written(now),
        )

    def consumer_info(self, name: str, now: datetime) -> ConsumerInfo:
        """Return what the server tells of one of its consumers."""
        consumer = self.consumers[name]
        return ConsumerInfo(
            stream=self.config["name"],
            name=name,
            config=json.loads(json.dumps(consumer.config)),
            created=consumer.created,
            delivered=consumer.begins - 1,
            ack_floor=consumer.begins - 1,
            pending=sum(consumer.wants(each) for each in self.messages),
            now=written(now),
        )


def filters(config: Config) -> list[str]:
    """Return the subjects that a consumer's configuration asks for."""
    return config.get("filter_subjects") or [config.get("filter_subject") or ">"]


def size_of(subject: str, payload: bytes) -> int:
    """Return how much a message takes."""
    return OVERHEAD + len(subject) + len(payload)


def written(moment: datetime) -> str:
    """Return a time as the server writes it."""
    return moment.isoformat().replace("+00:00", "Z")


def refuse_no_room(call: str, stream: Stream, subject: str, payload: bytes) -> None:
    """Refuse a message that a stream does not take: it is sealed, or full and the new one gives way."""
    config, before = stream.config, stream.of(subject)
    if config["sealed"]:
        refuse(call, 10109, "invalid operation on sealed stream")
    if 0 < config["max_msg_size"] < len(payload):
        refuse(call, 10054, "message size exceeds maximum allowed")
    if config["discard"] == "old":
        return
    if config.get("discard_new_per_subject") and len(before) >= config["max_msgs_per_subject"]:
        refuse(call, 10077, "maximum messages per subject exceeded")
    # Where a subject is full, the new message takes the place of its oldest.
    freed = before[:1] if len(before) >= config["max_msgs_per_subject"] > 0 else []
    if 0 < config["max_msgs"] <= len(stream.messages) - len(freed):
        refuse(call, 10077, "maximum messages exceeded")
    room = config["max_bytes"] - stream.size + sum(size_of(each.subject, each.payload) for each in freed)
    if config["max_bytes"] > 0 and room < size_of(subject, payload):
        refuse(call, 10077, "maximum bytes exceeded")
