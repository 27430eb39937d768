"""What a doctor concludes: each fact that is wrong has one answer that says so."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from natsmith.registry.bucket import Bucket
from natsmith.registry.findings import Facts, Measured, Trouble, findings
from natsmith.registry.found import Found, found

NOW = 1_000_000.0
BUCKET = Bucket(name="b", ttl=30, per_key=True)
ELECTIONS = Bucket(name="e", per_key=True)


def entry(said: Any, *, age: float = 1, kept: float = 0, key: str = "payments.a") -> Found:
    """Return an entry that was written *age* seconds ago."""
    payload = said if isinstance(said, bytes) else json.dumps({"v": 1, **said}).encode()
    return found(key, payload, revision=1, at=NOW - age, kept=kept)


HEALTHY = Facts(
    server="nats-server 2.15.1",
    name="b",
    bucket=BUCKET,
    now=NOW,
    found=[entry({})],
    intervals={"payments.a": (10.0, 30.0)},
    measured=Measured(promised=30, by="the bucket's TTL", took=30.2),
    elections="e",
    elections_bucket=ELECTIONS,
)


def test_a_registry_that_works_has_nothing_but_good_answers() -> None:
    assert {"good"} == {each.result for each in findings(HEALTHY)}


@pytest.mark.parametrize(
    ("facts", "result", "about", "says"),
    [
        (
            {"bucket": None, "trouble": Trouble("there is no bucket b", "provision it")},
            "bad",
            "bucket",
            "there is no bucket b",
        ),
        ({"bucket": Bucket(name="b")}, "bad", "ttl", "keeps what a dead service wrote"),
        ({"bucket": replace(BUCKET, memory=True)}, "careful", "storage", "in memory"),
        (
            {"bucket": replace(BUCKET, history=10), "found": [entry({}, kept=10)]},
            "careful",
            "history",
            "an older one that lives longer is back, for 30 s at most",
        ),
        (
            {"bucket": replace(BUCKET, marker=60), "found": [entry({}, kept=10)]},
            "bad",
            "markers",
            "raises every shorter TTL",
        ),
        ({"bucket": replace(BUCKET, marker=60)}, "careful", "markers", "longer than the 30 s"),
        ({"unreadable": Trouble("the user may not", "grant it")}, "bad", "entries", "the user may not"),
        ({"found": [entry({}, age=31)]}, "careful", "entries", "payments.a is stale"),
        ({"found": [entry({}, kept=-1)]}, "bad", "entries", "payments.a never expires"),
        ({"found": [entry(b"?")] * 5}, "careful", "entries", "and 2 more are not understood: payments.a: it is not"),
        ({"found": [entry({"v": 2})]}, "careful", "entries", "a newer format than 1"),
        ({"found": [entry(b"{}")]}, "careful", "entries", "the shape of before natsmith"),
        ({"intervals": {"x": (40.0, 30.0)}}, "bad", "heartbeats", "it comes and goes"),
        ({"intervals": {"x": (20.0, 30.0), "y": (1.0, 30.0)}}, "careful", "heartbeats", "2 entries"),
        ({"skew": 3600.0}, "careful", "clock", "3600 s ahead of the server's"),
        ({"skew": -3600.0}, "careful", "clock", "3600 s behind the server's"),
        (
            {"measured": Measured(why_not=Trouble("that takes long", "wait"))},
            "careful",
            "expiry",
            "not measured: that takes long",
        ),
        ({"measured": Measured(promised=30, by="x")}, "bad", "expiry", "there still after 35 s"),
        ({"measured": Measured(promised=30, by="x", took=3.0)}, "bad", "expiry", "gone after 3.0 s"),
        ({"elections_bucket": replace(ELECTIONS, history=5)}, "bad", "elections", "keeps 5 values"),
        ({"elections_bucket": replace(ELECTIONS, ttl=5)}, "bad", "elections", "drops every entry after 5 s"),
        ({"elections_bucket": replace(ELECTIONS, memory=True)}, "bad", "elections", "in memory"),
        ({"elections_bucket": replace(ELECTIONS, per_key=False)}, "bad", "elections", "does not allow it"),
        (
            {"elections_bucket": None, "elections_trouble": Trouble("may not", "grant it")},
            "careful",
            "elections",
            "may not",
        ),
    ],
)
def test_one_fact_that_is_wrong_is_one_answer(facts: dict[str, Any], result: str, about: str, says: str) -> None:
    wrong = [each for each in findings(replace(HEALTHY, **facts)) if each.result != "good"]

    assert [(result, about)] == [(each.result, each.about) for each in wrong]
    assert says in wrong[0].text
    assert wrong[0].cure


def test_without_a_ttl_of_the_bucket_an_older_value_is_back_for_good() -> None:
    facts = replace(HEALTHY, bucket=replace(BUCKET, ttl=0, history=10), found=[entry({}, kept=10)])

    assert ["ttl", "history"] == [each.about for each in findings(facts) if each.result == "bad"]


def test_nothing_else_is_asked_of_a_bucket_that_is_not_there() -> None:
    assert ["server", "bucket"] == [each.about for each in findings(replace(HEALTHY, bucket=None))]
