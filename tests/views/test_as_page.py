"""What the page and its API show of what was seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from builders import NOW, desired, observed
from natsmith.model.observed import Limits, Observed
from natsmith.model.outcome import Past
from natsmith.planning.plan import plan
from natsmith.views import as_json, as_page

VALUES = {"buckets": {"b": {"ttlSeconds": 60}}, "objectStores": {"files": {"ttlSeconds": 9}}}


def past(*rows: str) -> Past:
    return Past(
        time=NOW, owner="default/dev", version="1", who="me@here", seconds=1, result="done", rows=rows, count=len(rows)
    )


def rows(seen: Observed, wanted: Mapping[str, Any], *pasts: Past) -> dict[str, dict[str, Any]]:
    """Return what is shown of objects, by name."""
    made = plan(desired(wanted), seen, account="app", owner="local")
    return {each["name"]: each for each in as_page.objects(seen, made, pasts)}


def test_what_is_as_it_should_be_differs_in_nothing() -> None:
    """An object store's time to live is shown like a bucket's."""
    shown = rows(observed(VALUES), VALUES)

    assert ([], 60, 60) == (shown["b"]["differs"], shown["b"]["ttl"], shown["b"]["desiredTtl"])
    assert ("object store", 9) == (shown["files"]["kind"], shown["files"]["ttl"])


def test_a_ttl_that_differs_is_shown_twice() -> None:
    """As it is, and as it should be."""
    shown = rows(observed(VALUES), {**VALUES, "buckets": {"b": {"ttlSeconds": 5}}})["b"]

    assert (60, 5, ["ttlSeconds 60 -> 5"]) == (shown["ttl"], shown["desiredTtl"], shown["differs"])


def test_what_is_not_there_is_shown_with_what_it_should_be() -> None:
    """It holds nothing yet."""
    shown = rows(observed({}), VALUES)["b"]

    assert (None, 60, 0, ["it is not there"]) == (shown["ttl"], shown["desiredTtl"], shown["entries"], shown["differs"])


def test_the_oldest_entry_is_as_old_as_the_server_says() -> None:
    """Our own clock has no say, and an empty bucket has none."""
    seen = observed(VALUES, KV_b={"messages": 2, "first_time": "2026-01-01T11:59:30Z"})

    shown = rows(seen, VALUES)
    assert (30.0, 1767268770.0, None) == (shown["b"]["age"], shown["b"]["oldest"], shown["files"]["oldest"])
    assert 1767268800.0 == as_page.now(seen)


def test_the_last_change_is_the_newest_run_that_named_it() -> None:
    """A name that only begins like another's is not meant."""
    shown = rows(
        observed(VALUES), VALUES, past("create bucket bb"), past("update bucket b: ttlSeconds 1 -> 60"), past()
    )

    assert ("me@here", "update bucket b: ttlSeconds 1 -> 60") == (shown["b"]["last"]["who"], shown["b"]["last"]["what"])


def test_without_values_nothing_is_known_to_differ() -> None:
    """Nor what should be."""
    [first, *_] = as_page.objects(observed(VALUES), None, ())

    assert ([], first["ttl"], None) == (first["differs"], first["desiredTtl"], first["named"])


@pytest.mark.parametrize("owner", ["local", "somebody/else"])
def test_what_the_values_do_not_name_is_not_as_they_say(owner: str) -> None:
    """Whether it is ours from before or another's; the consumers of a stream are neither."""
    stray = {"S": {"subjects": ["s"], "consumers": {"c": {}}}}
    seen = observed({**VALUES, "streams": stray}, owner=owner)
    made = plan(desired(VALUES), seen, account="app", owner="local")
    [consumer] = as_page.consumers(seen, made)
    shown = rows(seen, VALUES)

    assert (True, True, False, False) == tuple(
        each["named"] for each in (shown["b"], shown["files"], shown["S"], consumer)
    )


def test_a_plan_says_what_it_does_to_the_data() -> None:
    """A change, its fate, and why it waits for a decision."""
    seen = observed(VALUES, KV_b={"messages": 4}, counts={"KV_b:age": 3})
    [change] = as_page.changes(
        plan(desired({**VALUES, "buckets": {"b": {"ttlSeconds": 5}}}), seen, account="app", owner="local")
    )["changes"]

    assert ("update", "bucket b", False) == (change["action"], change["title"], change["harmless"])
    assert "expires" in change["fate"]


def test_what_is_only_told_is_no_change() -> None:
    """Apply would not do it: an object that the values do not name any more stays."""
    shown = as_page.changes(plan(desired({}), observed(VALUES), account="app", owner="local"))

    assert (0, 2, {"orphan"}) == (shown["count"], shown["told"], {each["action"] for each in shown["changes"]})


def test_consumers_are_named_with_their_stream() -> None:
    """And their lag is what waits for them."""
    document = {"streams": {"S": {"subjects": ["s"], "consumers": {"c": {}}}}}
    seen = observed(document, S__c={"pending": 5, "ack_pending": 2, "redelivered": 1})

    [shown] = as_page.consumers(seen, None)
    assert ("S/c", 5, 2, 1) == (shown["key"], shown["pending"], shown["unacknowledged"], shown["redelivered"])


def test_limits_are_shown_with_what_is_used() -> None:
    """-1 is none."""
    seen = replace(observed({}, limits=Limits(storage=10)), storage=7, all_streams=3)

    assert ([7, 10], [3, -1]) == (as_json.limits(seen)["storage"], as_json.limits(seen)["streams"])


def test_a_long_plan_is_cut_where_that_is_asked_for() -> None:
    """And still says how many changes there are."""
    made = plan(
        desired({"buckets": {f"b{number}": {} for number in range(9)}}), observed({}), account="app", owner="local"
    )
    shown = as_page.changes(made, most=2)

    assert (2, 9, 0) == (len(shown["changes"]), shown["count"], shown["blocked"])
