"""What a plan does to objects, in which order, and what it refuses."""

from __future__ import annotations

from builders import buckets, desired, observed, planned
from planning.changes import FULL, REGISTRY, actions, only


def test_what_is_missing_is_created() -> None:
    """Streams come before their consumers."""
    wanted = desired({"streams": {"S": {"subjects": ["s.>"], "consumers": {"w": {}}}}, "buckets": {"b": {}}})

    assert [("create", "bucket b"), ("create", "stream S"), ("create", "consumer S/w")] == actions(
        planned(wanted, observed({}))
    )


def test_storage_cannot_change_in_place() -> None:
    """The plan says why, what else there is, and that this version does not move."""
    change = only(planned(buckets(storage="memory", ttlSeconds=60, history=5), observed(REGISTRY, KV_b=FULL)))

    assert ("move", "moves", 100) == (change.action, change.fate.word, change.fate.count)
    assert "a store cannot be converted in place" in change.blocked
    assert "buckets.b.onImmutable: replace" in change.blocked


def test_a_renamed_bucket_is_planned_as_a_move() -> None:
    """The data goes along, and the old one is no orphan."""
    renamed = {**REGISTRY["buckets"]["b"], "renamedFrom": "b"}
    plan = planned(desired({"buckets": {"c": renamed}}), observed(REGISTRY, KV_b=FULL))

    assert [("move", "bucket c")] == actions(plan)
    assert ("moves", 100) == (plan.changes[0].fate.word, plan.changes[0].fate.count)
    assert "" == plan.changes[0].blocked
    assert "writers and readers of the old name" in " ".join(plan.changes[0].seen)
    assert () == plan.told


def test_a_renamed_bucket_whose_old_one_is_gone_is_created() -> None:
    """The move is over, or it never began."""
    assert [("create", "bucket c")] == actions(planned(desired({"buckets": {"c": {"renamedFrom": "b"}}}), observed({})))


def test_a_sealed_stream_cannot_change_any_more() -> None:
    """Whatever differs, the server refuses it."""
    change = only(
        planned(
            desired({"streams": {"S": {"subjects": ["s"], "maxAgeSeconds": 9}}}),
            observed({"streams": {"S": {"subjects": ["s"], "sealed": True}}}),
        )
    )

    assert "a sealed stream cannot be changed again" in change.blocked


def test_the_digest_is_the_plan() -> None:
    """It stays while the plan stays, whatever the counts, and changes with it."""
    one = planned(buckets(ttlSeconds=20, history=5), observed(REGISTRY, counts={"KV_b:age": 1}, KV_b=FULL))
    same = planned(buckets(ttlSeconds=20, history=5), observed(REGISTRY, counts={"KV_b:age": 2}, KV_b=FULL))
    other = planned(buckets(ttlSeconds=21, history=5), observed(REGISTRY, counts={"KV_b:age": 1}, KV_b=FULL))

    assert one.digest == same.digest != other.digest


def test_the_digest_covers_what_is_created() -> None:
    """`--expect` lets nothing through that was not seen."""
    assert planned(buckets(ttlSeconds=30), observed({})).digest != planned(buckets(ttlSeconds=1), observed({})).digest


def test_history_with_keys_that_expire_by_themselves_is_warned_about() -> None:
    """An expired newest value shows the one before it again."""
    plan = planned(buckets(perKeyTTL=True, history=10, ttlSeconds=30), observed({}))

    assert 1 == len(plan.warnings)
    assert "buckets.b: perKeyTTL with history 10" in plan.warnings[0]


def test_a_sealed_stream_is_not_replaced_by_one_that_cannot_begin() -> None:
    """It would be deleted, and then there would be none."""
    wish = {"streams": {"S": {"subjects": ["s"], "storage": "memory", "sealed": True, "onImmutable": "replace"}}}
    change = only(planned(desired(wish), observed({"streams": {"S": {"subjects": ["s"]}}})))

    assert "a new stream cannot begin sealed" in change.blocked


def test_in_a_work_queue_a_filter_gets_narrower_before_another_consumer_comes() -> None:
    """The server refuses filters that meet, even for a moment."""
    queue = {"subjects": ["w.>"], "retention": "workqueue"}
    there = {"streams": {"S": {**queue, "consumers": {"a": {"filterSubjects": ["w.>"]}}}}}
    wish = {
        "streams": {"S": {**queue, "consumers": {"a": {"filterSubjects": ["w.a"]}, "b": {"filterSubjects": ["w.b"]}}}}
    }
    plan = planned(desired(wish), observed(there))

    assert [["update S/a"], ["create S/b"]] == [[f"{c.action} {c.label}" for c in stage] for stage in plan.stages]
