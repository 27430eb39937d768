"""What differs, and why."""

from __future__ import annotations

import pytest

from builders import buckets, desired, observed, planned
from natsmith.model.change import Plan


def differences(plan: Plan) -> list[tuple[str, object, object, str]]:
    return [(each.path, each.old, each.new, each.reason) for change in plan.changes for each in change.differences]


def test_what_is_as_wanted_has_no_difference() -> None:
    """The same values on both sides plan to nothing."""
    same = {"buckets": {"b": {"ttlSeconds": 30}}, "streams": {"S": {"subjects": ["s.>"], "consumers": {"w": {}}}}}

    assert () == planned(desired(same), observed(same)).changes


def test_a_setting_that_the_values_changed() -> None:
    """The server still has what was applied, so it is the values that moved."""
    plan = planned(buckets(ttlSeconds=60), observed({"buckets": {"b": {"ttlSeconds": 30}}}))

    assert [("ttlSeconds", 30, 60, "values changed")] == differences(plan)


def test_a_setting_that_somebody_changed_on_the_server() -> None:
    """The values still say what was applied, so it is the server that moved."""
    was = {"buckets": {"b": {"ttlSeconds": 30}}}
    plan = planned(buckets(ttlSeconds=30), observed({"buckets": {"b": {"ttlSeconds": 5}}}, applied=was))

    assert [("ttlSeconds", 5, 30, "drift")] == differences(plan)


def test_a_setting_that_both_changed() -> None:
    """Neither side is what was applied."""
    was = {"buckets": {"b": {"ttlSeconds": 30}}}
    plan = planned(buckets(ttlSeconds=60), observed({"buckets": {"b": {"ttlSeconds": 5}}}, applied=was))

    assert [("ttlSeconds", 5, 60, "drift, and values changed")] == differences(plan)


def test_a_setting_taken_out_of_the_values_returns_to_its_default() -> None:
    """What nobody says any more is what nobody said before."""
    plan = planned(buckets(ttlSeconds=30), observed({"buckets": {"b": {"ttlSeconds": 30, "history": 5}}}))

    assert [("history", 5, 1, "values changed")] == differences(plan)


def test_an_adopted_object_gives_no_reason_that_it_cannot_know() -> None:
    """Nobody remembers what was applied to a hand-made bucket."""
    plan = planned(buckets(ttlSeconds=30), observed({"buckets": {"b": {}}}, owner=""))

    assert [("ttlSeconds", 0, 30, "not set by natsmith before")] == differences(plan)


def test_the_duplicate_window_follows_the_ttl_without_a_line_of_its_own() -> None:
    """What follows from another change is not worth a reader's time; alone it is."""
    plan = planned(buckets(ttlSeconds=20), observed({"buckets": {"b": {"ttlSeconds": 60}}}))

    assert ["ttlSeconds"] == [path for path, *_ in differences(plan)]


def test_other_peoples_metadata_is_left_alone() -> None:
    """Keys that the values never named are no difference; named ones are."""
    plan = planned(
        buckets(metadata={"team": "a"}),
        observed({"buckets": {"b": {"metadata": {"team": "b", "tool": "x"}}}}, applied={}),
    )

    assert [("metadata", {"team": "b"}, {"team": "a"}, "drift, and values changed")] == differences(plan)


def test_a_metadata_key_taken_out_of_the_values_goes() -> None:
    """It was ours, so it is ours to remove."""
    was = {"buckets": {"b": {"metadata": {"team": "a"}}}}
    plan = planned(buckets(), observed({"buckets": {"b": {"metadata": {"team": "a", "tool": "x"}}}}, applied=was))

    assert [("metadata", {"team": "a"}, {}, "values changed")] == differences(plan)


def test_a_raw_field_is_compared_as_given() -> None:
    """What the server adds inside it is no difference."""
    there = observed({"buckets": {"b": {"config": {"future": {"a": 1, "b": 2}}}}}, applied={})

    assert [] == differences(planned(buckets(config={"future": {"a": 1}}), there))
    assert ["config.future"] == [path for path, *_ in differences(planned(buckets(config={"future": {"a": 2}}), there))]


def test_a_raw_field_taken_out_of_the_values_is_taken_off_the_server() -> None:
    """It was ours: the server's default holds again."""
    plan = planned(buckets(), observed({"buckets": {"b": {"config": {"future": 1}}}}))

    assert [("config.future", 1, None, "values changed")] == differences(plan)


def test_a_raw_field_that_the_model_knows_keeps_its_rules() -> None:
    """`config: {storage: memory}` cannot change in place either."""
    found = observed({"buckets": {"b": {"config": {"storage": "file"}}}})
    (change,) = planned(buckets(config={"storage": "memory"}), found).changes

    assert "move" == change.action
    assert "a store cannot be converted in place" in change.blocked


@pytest.mark.parametrize("latch", ["perKeyTTL"])
def test_a_latch_stays_on_where_nobody_mentions_it(latch: str) -> None:
    """It cannot be turned off, so silence means as it is; asked off, it is told and nothing is done."""
    there = observed({"buckets": {"b": {latch: True}}})

    silent = planned(buckets(), there)
    asked = planned(buckets(**{latch: False}), there)

    assert [] == differences(silent)
    assert [] == list(silent.told)
    assert [] == differences(asked)
    assert [("latched", "bucket b", latch)] == [(c.action, c.title, c.differences[0].path) for c in asked.told]


def test_a_raw_list_is_compared_as_given_too() -> None:
    """What the server leaves out of its entries, or writes another way, is no difference."""
    given = {"sources": [{"name": "O", "filter_subject": "", "opt_start_time": "2026-01-01T01:00:00+01:00"}]}
    said = {"sources": [{"name": "O", "opt_start_time": "2026-01-01T00:00:00Z"}]}
    there = observed({"streams": {"S": {"config": said}}}, applied={"streams": {"S": {"config": given}}})

    assert [] == differences(planned(desired({"streams": {"S": {"config": given}}}), there))
