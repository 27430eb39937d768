"""Documents of values, generated: what a user could write that is right by itself."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from natsmith.model.fields import Field
from natsmith.model.kind import Kind
from natsmith.model.resources import BUCKET, CONSUMER, OBJECT_STORE, STREAM
from natsmith.model.units import Count, Flag, Number, Seconds, SecondsList, Size
from natsmith.model.words import Choice, Labels, Text, Texts, Time

NAMES = st.sampled_from(["a", "b", "c"])
WORDS = st.sampled_from(["", "x", "some words"])

APART = {
    "sealed",  # nothing can be changed after it, and no stream begins with it
    "mirror",  # needs an origin and no subjects
    "mirrorDirect",
    "sources",
    "subjects",  # two streams may not meet
    "filterSubjects",
    "subjectTransform",  # the three take subjects of their own grammar
    "republish",
    "placement",  # needs a cluster
    "replicas",
    "discardNewPerSubject",  # needs two others
    "markerSeconds",  # needs history 1
    "duplicateWindowSeconds",  # bounded by the age
    "allowMessageCounter",  # excludes several others on the server
    "allowMessageSchedules",
    "retention",
    "consumerLimits",
    "deliverSubject",
    "deliverGroup",
    "flowControl",
    "idleHeartbeatSeconds",
    "rateLimitBitsPerSecond",
    "priorityGroups",
    "priorityPolicy",
    "priorityTimeoutSeconds",
    "deliverPolicy",
    "startSequence",
    "startTime",
    "ackPolicy",
    "backoffSeconds",
    "sampleFrequency",
    "inactiveThresholdSeconds",
}
"""Settings with rules between each other, which tests/planning/test_check.py and the live suite go through."""


def value(field: Field) -> st.SearchStrategy[Any]:
    """Return values that a user could write for *field*."""
    match field.type:
        case Flag():
            return st.booleans()
        case Choice(words):
            return st.sampled_from(words)
        case Seconds(least):
            return st.integers(least, 100_000)
        case SecondsList():
            return st.lists(st.integers(1, 100), max_size=3)
        case Size():
            return st.one_of(st.integers(0, 2**30), st.sampled_from(["1Ki", "512Mi", "1Gi"]))
        case Count():
            return st.integers(0, 10_000)
        case Number(least, most):
            return st.integers(least, min(most, 1000))
        case Labels():
            return st.dictionaries(st.sampled_from(["team", "tier", "a.b"]), WORDS, max_size=2)
        case Text() | Time():
            return WORDS
        case Texts():
            return st.lists(st.sampled_from(["x", "y"]), max_size=2, unique=True)
    raise ValueError(f"no strategy for {field.name}")


def settings(kind: Kind) -> st.SearchStrategy[dict[str, Any]]:
    """Return any settings of *kind* that go together."""
    free = {field.name: value(field) for field in kind.fields if not field.pinned and field.name not in APART}
    return st.fixed_dictionaries({}, optional=free)


def streams() -> st.SearchStrategy[dict[str, Any]]:
    """Return streams with subjects of their own, and consumers."""
    consumers = st.dictionaries(NAMES, settings(CONSUMER), max_size=2)
    bodies = st.dictionaries(NAMES, st.tuples(settings(STREAM), consumers), max_size=2)
    return bodies.map(
        lambda found: {
            name: {"subjects": [f"{name}.>"], **body, **({"consumers": workers} if workers else {})}
            for name, (body, workers) in found.items()
        }
    )


DOCUMENTS = st.fixed_dictionaries(
    {
        "buckets": st.dictionaries(NAMES, settings(BUCKET), max_size=2),
        "streams": streams(),
        "objectStores": st.dictionaries(NAMES, settings(OBJECT_STORE), max_size=1),
    }
)
