"""What is wrong between objects, told before anything is written."""

from __future__ import annotations

from typing import Any

import pytest

from builders import desired, observed
from natsmith.model.observed import Limits
from natsmith.planning.check import check, check_against


def stream(**settings: Any) -> dict[str, Any]:
    return {"streams": {"S": {"subjects": ["s.>"], **settings}}}


def worker(**settings: Any) -> dict[str, Any]:
    return stream(consumers={"w": settings})


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "overlapping subjects": (
        {"streams": {"S": {"subjects": ["s.>"]}, "T": {"subjects": ["s.a"]}}},
        "streams.T.subjects has s.a, but stream S has s.>",
    ),
    "a stream over a bucket": ({"streams": {"S": {"subjects": ["$KV.b.x"]}}, "buckets": {"b": {}}}, "$KV.b"),
    "no subjects": ({"streams": {"S": {}}}, "streams.S has no subjects"),
    "no subject": (stream(subjects=["a..b"]), "which is no subject"),
    "a mirror with subjects": (stream(mirror={"name": "O"}), "a mirror has no subjects"),
    "a window above the age": (stream(maxAgeSeconds=5, duplicateWindowSeconds=9), "must not be above maxAgeSeconds"),
    "sealed with an age": (stream(sealed=True, maxAgeSeconds=5), "a sealed stream keeps everything"),
    "half a discard": (stream(discardNewPerSubject=True), "needs discard: new and maxMessagesPerSubject"),
    "markers with history": ({"buckets": {"b": {"history": 2, "markerSeconds": 5}}}, "unless history is 1"),
    "a filter outside": (worker(filterSubjects=["t.>"]), "stream S stores only s.>"),
    "a filter that is wider": (worker(filterSubjects=[">"]), "stream S stores only s.>"),
    "filters that meet": (worker(filterSubjects=["s.*", "s.a"]), "which meet"),
    "too much backoff": (worker(maxDeliver=2, backoffSeconds=[1, 2]), "above the number of backoffSeconds"),
    "push settings on a pull": (worker(flowControl=True), "is for push consumers"),
    "half a start": (worker(startSequence=5), "belong together"),
    "half a priority": (worker(priorityGroups=["g"]), "belong together"),
    "deliveries without acks": (worker(ackPolicy="none", maxDeliver=3), "without acknowledgements"),
    "dead letters of nothing": (worker(deadLetter={}), "no message ever becomes a dead letter"),
    "more consumers than may be": (
        stream(maxConsumers=1, consumers={"a": {}, "b": {}}),
        "the values give it 2 consumers",
    ),
    "a mirror's setting on no mirror": (stream(mirrorDirect=True), "is for mirrors"),
    "rollups without purges": (stream(allowRollup=True, denyPurge=True), "exclude each other"),
    "a backoff and another wait": (worker(backoffSeconds=[5], ackWaitSeconds=9, maxDeliver=3), "takes its place"),
    "a work queue for two": (
        stream(retention="workqueue", consumers={"a": {}, "b": {}}),
        "in a work queue a message goes to one consumer",
    ),
    "a work queue without acks": (
        stream(retention="workqueue", consumers={"a": {"ackPolicy": "all"}}),
        "needs explicit",
    ),
    "a work queue from the middle": (
        stream(retention="workqueue", consumers={"a": {"deliverPolicy": "new"}}),
        "needs all",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_the_values_alone_show(case: str) -> None:
    """Each mistake is told once, by the key that has it."""
    document, expected = WRONG[case]
    (problem,) = check(desired(document))

    assert expected in problem


def test_a_stream_that_sources_may_filter_what_it_does_not_store_itself() -> None:
    """Its messages come from elsewhere, under their own subjects."""
    assert [] == check(desired(stream(sources=[{"name": "O"}], consumers={"w": {"filterSubjects": ["o.x"]}})))


AGAINST: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "too many replicas": (stream(replicas=3), {}, "streams.S.replicas is 3, but the server is alone"),
    "an old server": (
        stream(allowAtomicPublish=True),
        {"level": 1},
        "needs nats-server 2.12, but the server is 2.15.1",
    ),
    "too many streams": (stream(), {"limits": Limits(streams=0)}, "the account may have 0"),
    "too large": (stream(maxBytes="2Gi"), {"limits": Limits(storage=2**30)}, "the account may hold 1Gi"),
    "one too large": (stream(maxBytes="2Gi"), {"limits": Limits(storage_stream=2**30)}, "allows 1Gi for one in file"),
    "no size": (stream(), {"limits": Limits(max_bytes_required=True)}, "the account requires it"),
    "too many unacknowledged": (worker(), {"limits": Limits(ack_pending=100)}, "is 1000, but the account allows 100"),
}


@pytest.mark.parametrize("case", AGAINST)
def test_what_the_server_cannot_do(case: str) -> None:
    """Limits, versions and replicas are judged before anything is written."""
    document, server, expected = AGAINST[case]
    (problem,) = check_against(desired(document), observed({}, **server), account="app", owner="local")

    assert expected in problem


def test_a_strangers_stream_that_holds_a_wanted_subject() -> None:
    """The server would refuse it halfway."""
    there = observed({"streams": {"T": {"subjects": ["s.a"]}}}, owner="")
    (problem,) = check_against(desired(stream()), there, account="app", owner="local")

    assert "stream T, which the values do not name, holds s.a" in problem
