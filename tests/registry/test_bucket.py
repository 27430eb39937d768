"""How entries expire in a bucket, and what its settings rule out."""

from __future__ import annotations

from typing import Any

import pytest

from natsmith.errors import DecisionNeeded, WrongValues
from natsmith.registry.bucket import GRACE_SECONDS, NANO, Bucket, bucket_of
from natsmith.registry.entry import DEFAULT_TTL, Instance


@pytest.mark.parametrize(
    ("settings", "ttl", "expected"),
    [
        ({"ttl": 30.0}, None, ("bucket", 30)),
        ({"ttl": 30.0}, 30, ("bucket", 30)),
        ({"ttl": 30.0, "per_key": True}, 10, ("key", 10)),
        ({"per_key": True}, None, ("key", DEFAULT_TTL)),
        ({"per_key": True, "marker": 10.0}, 10, ("key", 10)),
        ({}, None, ("readers", DEFAULT_TTL)),
        ({"per_key": True, "history": 2}, None, ("readers", DEFAULT_TTL)),
        ({"per_key": True, "marker": 60.0}, None, ("readers", DEFAULT_TTL)),
    ],
)
def test_how_an_entry_expires(settings: dict[str, Any], ttl: int | None, expected: tuple[str, int]) -> None:
    expiry = Bucket(name="b", **settings).expiry(ttl)

    assert expected == (expiry.by, expiry.seconds)
    assert f"{expected[1]} s by" in str(expiry)


@pytest.mark.parametrize(
    ("settings", "ttl", "why"),
    [
        ({}, 10, "the bucket does not allow it"),
        ({"per_key": True, "history": 2}, 10, "it keeps 2 values of a key"),
        ({"per_key": True, "marker": 11.0}, 10, "its markers stay 11 s"),
        ({"ttl": 30.0, "per_key": True}, 31, "drops every entry after 30 s"),
        ({"ttl": 30.0}, 10, "the bucket does not allow it"),
        ({}, 0, "must be whole seconds"),
        ({}, True, "must be whole seconds"),
        ({}, 1.5, "must be whole seconds"),
        ({"per_key": True}, 2**31, "must be 2147483647 s at most: readers take no longer one"),
    ],
)
def test_a_ttl_that_would_not_be_true_is_refused(settings: dict[str, Any], ttl: Any, why: str) -> None:
    with pytest.raises(WrongValues, match=why):
        Bucket(name="b", **settings).expiry(ttl)


@pytest.mark.parametrize(
    ("settings", "ttl", "seconds"),
    [
        ({"ttl": 30.0}, 0, 30),
        ({"ttl": 30.0}, 10, 10),
        ({"ttl": 30.0}, 60, 30),
        ({"per_key": True}, 10, 10),
        ({"per_key": True}, 0, DEFAULT_TTL + GRACE_SECONDS),
        ({"history": 5}, 10, 10 + GRACE_SECONDS),
        ({}, 0, DEFAULT_TTL + GRACE_SECONDS),
    ],
)
def test_when_an_instance_is_gone_for_readers(settings: dict[str, Any], ttl: int, seconds: float) -> None:
    assert seconds == Bucket(name="b", **settings).lives(Instance(service="s", id="i", ttl=ttl))


def test_what_the_server_tells_of_a_bucket() -> None:
    config = {"subjects": ["$KV.b.>"], "max_age": 30 * NANO, "max_msgs_per_subject": 10, "storage": "memory"}

    found = bucket_of("b", {"created": "c", "config": config, "state": {"messages": 3, "last_seq": 9}})

    assert Bucket(name="b", created="c", ttl=30, history=10, memory=True, entries=3, last_revision=9) == found


@pytest.mark.parametrize(
    ("others", "alone"),
    [
        ([], False),
        ([{"active": NANO}, {"active": 60 * NANO}], False),
        ([{"active": 2 * NANO}, {"active": 60 * NANO}], True),
        ([{"active": NANO, "offline": True}, {"offline": True}], True),
        ([{"active": NANO}, {"active": NANO}, {"offline": True}, {"offline": True}], False),
        ([{"active": NANO}, {"offline": True}, {"offline": True}, {"offline": True}], True),
    ],
)
def test_who_leads_a_bucket_and_whether_enough_others_hear_it(others: list[dict[str, Any]], alone: bool) -> None:
    config = {"subjects": ["$KV.b.>"]}
    cluster = {"leader": "n1", "leader_since": "2026-01-01T00:00:00Z", "replicas": others}

    found = bucket_of("b", {"config": config, "state": {}, "cluster": cluster})

    assert ("n1 2026-01-01T00:00:00Z", alone) == (found.led, found.alone)
    assert ("", False) == (bucket_of("b", {"config": config, "state": {}}).led, Bucket(name="b").alone)


@pytest.mark.parametrize("config", [{"subjects": ["other"]}, {"subjects": ["$KV.b.>"], "mirror": {"name": "x"}}, {}])
def test_a_stream_that_is_no_bucket_is_named(config: dict[str, Any]) -> None:
    with pytest.raises(DecisionNeeded, match="the stream KV_b is no bucket that can be written to"):
        bucket_of("b", {"config": config, "state": {}})
