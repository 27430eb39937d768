"""The four kinds of object, and what of the settings each of them has.

A new setting is one ``Field`` in stream_settings.py or consumer_settings.py and its name in a kind here.
The JSON Schema, the documentation, reading, comparing and sending follow from it.
"""

from __future__ import annotations

import re
from dataclasses import replace

from natsmith.model import consumer_settings
from natsmith.model.fields import Field
from natsmith.model.kind import Kind
from natsmith.model.stream_settings import (
    ATOMIC,
    BATCHED,
    COMPRESSION,
    COUNTER,
    DENY_DELETE,
    DENY_PURGE,
    DESCRIPTION,
    DIRECT,
    DISCARD,
    DISCARD_PER_SUBJECT,
    DUPLICATE_WINDOW,
    LIMITS_FIELD,
    MARKER,
    MAX_AGE,
    MAX_BYTES,
    MAX_CONSUMERS,
    MAX_MESSAGES,
    MESSAGE_SIZE,
    MESSAGE_TTL,
    METADATA,
    MIRROR,
    MIRROR_DIRECT,
    NO_ACK,
    PER_SUBJECT,
    PERSIST,
    PLACEMENT_FIELD,
    REPLICAS,
    REPUBLISH_FIELD,
    RETENTION,
    ROLLUP,
    SCHEDULES,
    SEALED,
    SOURCES,
    STORAGE,
    SUBJECTS,
    TRANSFORM_FIELD,
)
from natsmith.model.units import Json, Number


def _pin(field: Field, default: Json) -> Field:
    return replace(field, default=default, pinned=True, derived=None)


def _named(field: Field, *subjects: str) -> Field:
    """Return *field* pinned to subjects that follow from the object's name."""
    return replace(field, default=list(subjects), pinned=True, named=True)


def _ttl(field: Field, doc: str) -> Field:
    return replace(field, name="ttlSeconds", doc=doc)


KEYED_NAME = r"^[A-Za-z0-9_-]+$"
STREAM_NAME = r"^[^\s.*>/\\\x00-\x1f\x7f]+$"

# What no kind but a stream lets anyone set, held at the server's defaults.
_UNSET = (
    RETENTION,
    MAX_MESSAGES,
    MAX_CONSUMERS,
    NO_ACK,
    DISCARD_PER_SUBJECT,
    LIMITS_FIELD,
    TRANSFORM_FIELD,
    MIRROR,
    SOURCES,
)
_PINNED_UNSET = tuple(_pin(field, field.default) for field in _UNSET)

BUCKET = Kind(
    word="bucket",
    section="buckets",
    prefix="KV_",
    legal_name=KEYED_NAME,
    name_rule="letters, digits, - and _",
    fields=(
        DESCRIPTION,
        _ttl(MAX_AGE, "Seconds a value lives after its last write; 0 keeps it for ever."),
        replace(
            PER_SUBJECT,
            name="history",
            type=Number(1, 64),
            default=1,
            doc="How many values of a key are kept, the newest included.",
        ),
        replace(MESSAGE_SIZE, name="maxValue", doc="Largest value; 0 is no limit but the server's."),
        MAX_BYTES,
        STORAGE,
        REPLICAS,
        COMPRESSION,
        replace(
            MESSAGE_TTL,
            name="perKeyTTL",
            doc="Let a writer give a key its own time to live; cannot be turned off again.",
        ),
        replace(
            MARKER,
            doc="Seconds a marker stays after a key expired, so that watchers see the expiry; 0 leaves none. Needs history: 1.",
        ),
        PLACEMENT_FIELD,
        REPUBLISH_FIELD,
        METADATA,
        _named(SUBJECTS, "$KV.{name}.>"),
        _pin(DISCARD, "new"),
        _pin(DENY_DELETE, True),
        _pin(ROLLUP, True),
        _pin(DIRECT, True),
        _pin(MIRROR_DIRECT, False),
        replace(DUPLICATE_WINDOW, pinned=True),
        *_PINNED_UNSET,
    ),
)

OBJECT_STORE = Kind(
    word="object store",
    section="objectStores",
    prefix="OBJ_",
    legal_name=KEYED_NAME,
    name_rule="letters, digits, - and _",
    fields=(
        DESCRIPTION,
        _ttl(MAX_AGE, "Seconds an object lives after it was stored; 0 keeps it for ever."),
        MAX_BYTES,
        STORAGE,
        REPLICAS,
        COMPRESSION,
        PLACEMENT_FIELD,
        METADATA,
        _named(SUBJECTS, "$O.{name}.C.>", "$O.{name}.M.>"),
        _pin(DISCARD, "new"),
        _pin(ROLLUP, True),
        _pin(DIRECT, True),
        _pin(MIRROR_DIRECT, False),
        replace(DUPLICATE_WINDOW, pinned=True),
        _pin(PER_SUBJECT, 0),
        _pin(MESSAGE_SIZE, 0),
        *_PINNED_UNSET,
    ),
)

STREAM = Kind(
    word="stream",
    section="streams",
    legal_name=STREAM_NAME,
    name_rule="anything but spaces, dots, *, > and slashes",
    fields=(
        DESCRIPTION,
        SUBJECTS,
        replace(MAX_AGE, doc="Seconds a message is kept; 0 keeps it for ever."),
        MAX_BYTES,
        MAX_MESSAGES,
        PER_SUBJECT,
        MESSAGE_SIZE,
        RETENTION,
        DISCARD,
        DISCARD_PER_SUBJECT,
        STORAGE,
        REPLICAS,
        COMPRESSION,
        DUPLICATE_WINDOW,
        MAX_CONSUMERS,
        LIMITS_FIELD,
        DIRECT,
        MIRROR_DIRECT,
        ROLLUP,
        DENY_DELETE,
        DENY_PURGE,
        MESSAGE_TTL,
        MARKER,
        NO_ACK,
        SEALED,
        PLACEMENT_FIELD,
        REPUBLISH_FIELD,
        TRANSFORM_FIELD,
        MIRROR,
        SOURCES,
        COUNTER,
        ATOMIC,
        BATCHED,
        SCHEDULES,
        PERSIST,
        METADATA,
    ),
)

CONSUMER = Kind(
    word="consumer",
    section="consumers",
    legal_name=STREAM_NAME,
    name_rule="anything but spaces, dots, *, > and slashes",
    fields=consumer_settings.FIELDS,
)

STREAM_KINDS = (BUCKET, STREAM, OBJECT_STORE)
KINDS = (*STREAM_KINDS, CONSUMER)
KIND_BY_WORD = {kind.word: kind for kind in KINDS}

PROFILES: dict[str, dict[str, Json]] = {
    "serviceRegistry": {"ttlSeconds": 30, "history": 1, "maxValue": 2**20, "perKeyTTL": True},
    "sessionCache": {"ttlSeconds": 300, "history": 1},
    "election": {"ttlSeconds": 0, "history": 1, "perKeyTTL": True},
}
"""Settings of a bucket for a purpose; what the values say wins over them."""

PROFILE_DOCS = {
    "serviceRegistry": "services that are gone when they stop writing",
    "sessionCache": "sessions that end five minutes after their last use",
    "election": "leases whose holders name their own time to live",
}

RESERVED = "natsmith_"
"""What the names of natsmith's own objects begin with."""


def stream_name(kind: Kind, name: str) -> str:
    """Return the name of the stream that an object is on the server."""
    return kind.prefix + name


def kind_of_stream(stream: str, subjects: object) -> tuple[Kind, str]:
    """Return what a stream is, and its name as values write it.

    A stream is a bucket or an object store when its name and its subjects both say so.
    """
    for kind in (BUCKET, OBJECT_STORE):
        name = stream.removeprefix(kind.prefix)
        legal = name != stream and re.fullmatch(kind.legal_name, name)
        if legal and subjects == kind.by_name["subjects"].default_for(name, {}):
            return kind, name
    return STREAM, stream
