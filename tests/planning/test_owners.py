"""Whose an object is: adopted, another's, taken over, or in no values any more."""

from __future__ import annotations

from builders import desired, observed, planned
from natsmith.model.observed import Applied
from planning.changes import FULL, REGISTRY, only


def test_an_object_without_owner_is_adopted() -> None:
    """The values name it, so it is theirs from now on; the plan says so."""
    change = only(planned(desired(REGISTRY), observed(REGISTRY, owner="")))

    assert ("adopt", "keeps") == (change.action, change.fate.word)
    assert "it has no owner" in change.note


def test_another_owners_object_is_refused() -> None:
    """Two releases do not fight over one bucket."""
    change = only(planned(desired(REGISTRY), observed(REGISTRY, owner="team/other")))

    assert "it belongs to team/other, and this run is local" in change.blocked


def test_another_owners_object_is_taken_over_on_request() -> None:
    """`adopt: true` says that it is meant."""
    wish = {"buckets": {"b": {"ttlSeconds": 60, "history": 5, "adopt": True}}}
    change = only(planned(desired(wish), observed(REGISTRY, owner="team/other")))

    assert ("adopt", "") == (change.action, change.blocked)
    assert "taken over from team/other" in change.note


def test_wiped_metadata_is_drift_and_put_back() -> None:
    """The state bucket still knows the owner, so it is no stranger's object."""
    change = only(planned(desired(REGISTRY), observed(REGISTRY, KV_b={"stamped": False})))

    assert "stamp" == change.action
    assert "drift" in change.note


def test_what_the_values_no_longer_name_is_only_told() -> None:
    """Forgetting a bucket in a file does not delete it."""
    plan = planned(desired({}), observed(REGISTRY, KV_b=FULL))

    assert () == plan.changes
    assert [("orphan", "bucket b")] == [(change.action, change.title) for change in plan.told]


def test_strangers_are_never_pruned() -> None:
    """What natsmith did not make under this owner is none of its business."""
    wish = desired({"provisioner": {"prune": True}})

    assert () == planned(wish, observed(REGISTRY, owner="")).changes
    assert () == planned(wish, observed(REGISTRY, owner="team/other")).changes


def test_what_a_later_natsmith_applied_is_left_to_it() -> None:
    """Writing would lose what only the later one knows."""
    found = observed(REGISTRY, KV_b={"applied": Applied(owner="local", newer=2)})

    assert "use that version" in only(planned(desired(REGISTRY), found)).blocked
