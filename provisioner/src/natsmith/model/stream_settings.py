"""The settings of streams, and so of what is made of streams: buckets and object stores pick from these."""

from __future__ import annotations

from natsmith.model.fields import Field, Groups, Settings
from natsmith.model.groups import CONSUMER_LIMITS, ORIGIN, PLACEMENT, REPUBLISH, TRANSFORM
from natsmith.model.units import Count, Flag, Json, Number, Seconds, Size
from natsmith.model.words import Choice, Labels, Text, Texts

STORAGE_FIXED = "a store cannot be converted in place"
MIRROR_FIXED = "a mirror follows one origin from its first message on"


def _duplicate_window(settings: Settings) -> Json:
    # nats-server's own rule, spelled out, since it refuses a window above a lowered age (10052).
    if settings.get("mirror"):
        return 0
    age = settings.get("ttlSeconds", settings.get("maxAgeSeconds", 0))
    return min(120, age) if age else 120


DESCRIPTION = Field(name="description", api="description", type=Text(), default="", doc="A sentence for people.")
STORAGE = Field(
    name="storage",
    api="storage",
    type=Choice(("file", "memory")),
    default="file",
    fixed=STORAGE_FIXED,
    doc="Where entries are kept: file survives a restart, memory does not.",
)
REPLICAS = Field(
    name="replicas",
    api="num_replicas",
    type=Number(1, 5),
    default=1,
    doc="On how many servers every entry is kept; more than 1 needs a NATS cluster.",
)
MAX_BYTES = Field(
    name="maxBytes", api="max_bytes", type=Size(), default=0, loses="limits", doc="Most bytes in all; 0 is no limit."
)
COMPRESSION = Field(
    name="compression",
    api="compression",
    type=Choice(("none", "s2")),
    default="none",
    doc="How file storage is compressed.",
)
PLACEMENT_FIELD = Field(name="placement", api="placement", type=PLACEMENT, default={}, doc="Which servers may keep it.")
REPUBLISH_FIELD = Field(
    name="republish", api="republish", type=REPUBLISH, default={}, doc="Repeat what is stored on another subject."
)
METADATA = Field(
    name="metadata",
    api="metadata",
    type=Labels(),
    default={},
    doc="Text by key, for tools and people; keys that the values do not name are left alone.",
)
MAX_AGE = Field(name="maxAgeSeconds", api="max_age", type=Seconds(), default=0, loses="age")
DUPLICATE_WINDOW = Field(
    name="duplicateWindowSeconds",
    api="duplicate_window",
    type=Seconds(1),
    default=120,
    derived=_duplicate_window,
    doc="How long a message id is remembered; by default 120, or the maximum age where that is less.",
)
DISCARD = Field(
    name="discard",
    api="discard",
    type=Choice(("old", "new")),
    default="old",
    derived=lambda settings: "new" if settings.get("sealed") else "old",
    loses="limits",
    doc="What gives way when a limit is reached: the oldest message, or the new one, which is refused.",
)
RETENTION = Field(
    name="retention",
    api="retention",
    type=Choice(("limits", "interest", "workqueue")),
    default="limits",
    loses="interest",
    fixed="a work queue keeps its messages by another rule from the first one on",
    fixed_if=lambda old, new, level: "workqueue" in (old, new),
    doc="What keeps a message: the limits, the consumers that have not acknowledged it, or one worker's acknowledgement.",
)
MAX_MESSAGES = Field(
    name="maxMessages",
    api="max_msgs",
    type=Count(),
    default=0,
    loses="limits",
    doc="Most messages in all; 0 is no limit.",
)
PER_SUBJECT = Field(
    name="maxMessagesPerSubject",
    api="max_msgs_per_subject",
    type=Count(),
    default=0,
    loses="per_subject",
    doc="Most messages under one subject; 0 is no limit.",
)
MESSAGE_SIZE = Field(
    name="maxMessageSize",
    api="max_msg_size",
    type=Size(2**31 - 1),
    default=0,
    doc="Largest message; 0 is no limit but the server's.",
)
MAX_CONSUMERS = Field(
    name="maxConsumers",
    api="max_consumers",
    type=Count(),
    default=0,
    fixed="servers before 2.12 fix it when the stream begins",
    fixed_if=lambda old, new, level: level < 2,
    doc="Most consumers; 0 is no limit.",
)
DISCARD_PER_SUBJECT = Field(
    name="discardNewPerSubject",
    api="discard_new_per_subject",
    type=Flag(),
    default=False,
    doc="Refuse a new message where its subject is full; needs discard: new and maxMessagesPerSubject.",
)
NO_ACK = Field(name="noAck", api="no_ack", type=Flag(), default=False, doc="Do not answer publishers.")
DENY_DELETE = Field(
    name="denyDelete",
    api="deny_delete",
    type=Flag(),
    default=False,
    derived=lambda settings: bool(settings.get("sealed")),
    latch="the server never takes it back",
    doc="Forbid deleting single messages, for ever.",
)
DENY_PURGE = Field(
    name="denyPurge",
    api="deny_purge",
    type=Flag(),
    default=False,
    derived=lambda settings: bool(settings.get("sealed")),
    latch="the server never takes it back",
    doc="Forbid purging, for ever.",
)
ROLLUP = Field(
    name="allowRollup",
    api="allow_rollup_hdrs",
    type=Flag(),
    default=False,
    # A marker and a schedule replace what is before them, so the server turns this on with them; sealing turns it off.
    derived=lambda settings: (
        bool(settings.get("markerSeconds") or settings.get("allowMessageSchedules")) and not settings.get("sealed")
    ),
    doc="Let one message replace all before it.",
)
DIRECT = Field(
    name="allowDirect", api="allow_direct", type=Flag(), default=False, doc="Let every replica answer reads."
)
MIRROR_DIRECT = Field(
    name="mirrorDirect",
    api="mirror_direct",
    type=Flag(),
    default=False,
    doc="Let a mirror answer reads for its origin; only a mirror can.",
)
MESSAGE_TTL = Field(
    name="allowMessageTTL",
    api="allow_msg_ttl",
    type=Flag(),
    default=False,
    # A marker lives by a per-message TTL, so the server turns these on together.
    derived=lambda settings: bool(settings.get("markerSeconds")),
    latch="the server never takes it back",
    level=1,
    doc="Let a message name its own time to live, for ever.",
)
MARKER = Field(
    name="markerSeconds",
    api="subject_delete_marker_ttl",
    type=Seconds(),
    default=0,
    level=1,
    doc="How long a marker stays after the last message of a subject expired, so that watchers see it; 0 leaves none.",
)
SEALED = Field(
    name="sealed",
    api="sealed",
    type=Flag(),
    default=False,
    latch="a sealed stream cannot be changed again",
    doc="Refuse every change from now on, for ever; a new stream cannot begin sealed.",
)
TRANSFORM_FIELD = Field(
    name="subjectTransform",
    api="subject_transform",
    type=TRANSFORM,
    default={},
    doc="Store messages under another subject than they were sent on.",
)
MIRROR = Field(
    name="mirror",
    api="mirror",
    type=ORIGIN,
    default={},
    fixed=MIRROR_FIXED,
    fixed_if=lambda old, new, level: bool(new) or level < 2,  # taking it away promotes the stream, from 2.12 on
    doc="Be a copy of one other stream; such a stream has no subjects.",
)
SOURCES = Field(
    name="sources",
    api="sources",
    type=Groups(ORIGIN),
    default=[],
    doc="Streams whose messages are copied into this one.",
)
LIMITS_FIELD = Field(
    name="consumerLimits", api="consumer_limits", type=CONSUMER_LIMITS, default={}, doc="What consumers may ask for."
)
COUNTER = Field(
    name="allowMessageCounter",
    api="allow_msg_counter",
    type=Flag(),
    default=False,
    fixed="a stream counts from its first message or never",
    level=2,
    doc="Let messages add to a counter.",
)
ATOMIC = Field(
    name="allowAtomicPublish",
    api="allow_atomic",
    type=Flag(),
    default=False,
    level=2,
    doc="Let several messages be stored together or not at all.",
)
SCHEDULES = Field(
    name="allowMessageSchedules",
    api="allow_msg_schedules",
    type=Flag(),
    default=False,
    latch="the server never takes it back",
    level=2,
    doc="Let a message be delivered later, for ever.",
)
BATCHED = Field(
    name="allowBatchPublish",
    api="allow_batched",
    type=Flag(),
    default=False,
    level=4,
    doc="Let publishers send quick batches.",
)
PERSIST = Field(
    name="persistMode",
    api="persist_mode",
    type=Choice(("default", "async")),
    default="default",
    fixed="the server chooses how it writes when the stream begins",
    level=2,
    doc="Whether a publisher's answer waits for the write (default) or not (async, which can lose the newest messages).",
)
SUBJECTS = Field(
    name="subjects",
    api="subjects",
    type=Texts(),
    default=[],
    doc="What is stored; needed unless it mirrors or sources.",
)
