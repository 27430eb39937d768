"""What a change does to data: what it keeps, what it drops, and how much."""

from __future__ import annotations

from typing import Any

import pytest

from builders import buckets, desired, observed, planned
from planning.changes import FULL, REGISTRY, only


def test_a_smaller_ttl_expires_what_is_older() -> None:
    """The default policy lets a smaller ttl do what it says, and counts what goes."""
    change = only(planned(buckets(ttlSeconds=20, history=5), observed(REGISTRY, counts={"KV_b:age": 12}, KV_b=FULL)))

    assert ("update", "expires", 12, "") == (change.action, change.fate.word, change.fate.count, change.blocked)


def test_a_larger_ttl_keeps_everything() -> None:
    """Nothing is lost by waiting longer."""
    change = only(planned(buckets(ttlSeconds=90, history=5), observed(REGISTRY, KV_b=FULL)))

    assert "keeps" == change.fate.word


INTEREST = {"subjects": ["s.>"], "retention": "interest"}
WAITING: dict[str, Any] = {"S__w": {"pending": 8, "ack_pending": 2}}


@pytest.mark.parametrize(
    "wish",
    [
        {"streams": {"S": INTEREST}, "provisioner": {"prune": True}},
        {"streams": {"S": {**INTEREST, "consumers": {"w": {"ackPolicy": "all", "onImmutable": "replace"}}}}},
        {"streams": {"S": {**INTEREST, "consumers": {"w": {"filterSubjects": ["s.y"]}}}}},
        {"streams": {"S": {**INTEREST, "consumers": {"w": {"inactiveThresholdSeconds": 1}}}}},
    ],
    ids=["removed", "replaced", "narrowed", "allowed to vanish"],
)
def test_a_consumer_that_waits_for_less_drops_what_is_kept_for_it(wish: dict[str, Any]) -> None:
    """With `retention: interest` the messages go with the last one that waits for them."""
    change = only(planned(desired(wish), observed({"streams": {"S": {**INTEREST, "consumers": {"w": {}}}}}, **WAITING)))

    assert ("drops", 10, "messages", True) == (
        change.fate.word,
        change.fate.count,
        change.fate.noun,
        change.fate.about,
    )
    assert change.blocked


def test_interest_that_is_asked_for_raw_is_interest() -> None:
    """`config: {retention: interest}` keeps messages for consumers just as the setting does."""
    raw = {"subjects": ["s.>"], "config": {"retention": "interest"}}
    wish = {"streams": {"S": raw}, "provisioner": {"prune": True}}

    assert only(
        planned(desired(wish), observed({"streams": {"S": {**raw, "consumers": {"w": {}}}}}, **WAITING))
    ).blocked


def test_a_wider_filter_drops_nothing() -> None:
    """Whoever waited still waits."""
    there = {"streams": {"S": {**INTEREST, "consumers": {"w": {"filterSubjects": ["s.y"]}}}}}
    wish = {"streams": {"S": {**INTEREST, "consumers": {"w": {"filterSubjects": ["s.>"]}}}}}

    assert "" == only(planned(desired(wish), observed(there, **WAITING))).blocked


def test_interest_without_consumers_drops_everything() -> None:
    """Nobody is interested, so nothing stays."""
    change = only(
        planned(
            desired({"streams": {"S": {"subjects": ["s"], "retention": "interest"}}}),
            observed({"streams": {"S": {"subjects": ["s"]}}}, S=FULL),
        )
    )

    assert ("drops", 100, False) == (change.fate.word, change.fate.count, change.fate.about)


@pytest.mark.parametrize(
    ("before", "after", "word", "count"),
    [
        ({}, {"maxMessages": 40}, "drops", 60),
        ({"discard": "new"}, {"discard": "new", "maxMessages": 40}, "keeps", 0),
        ({"discard": "new", "maxMessages": 40}, {"maxMessages": 40}, "drops", 60),
        ({"maxMessages": 40}, {}, "keeps", 0),
        ({}, {"maxBytes": 500}, "drops", 50),
    ],
)
def test_limits_drop_only_where_the_oldest_gives_way(
    before: dict[str, Any], after: dict[str, Any], word: str, count: int
) -> None:
    """With `discard: new` the server refuses new messages instead; turning it to old is what drops then."""
    change = only(
        planned(
            desired({"streams": {"S": {"subjects": ["s"], **after}}}),
            observed({"streams": {"S": {"subjects": ["s"], **before}}}, S=FULL),
        )
    )

    assert (word, count) == (change.fate.word, change.fate.count)
