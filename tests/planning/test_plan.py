"""What happens to objects and their data."""

from __future__ import annotations

from typing import Any

import pytest

from builders import buckets, desired, observed, planned
from natsmith.model.change import Plan
from natsmith.model.observed import Applied

REGISTRY = {"buckets": {"b": {"ttlSeconds": 60, "history": 5}}}
FULL = {"messages": 100, "bytes": 1000}


def actions(plan: Plan) -> list[tuple[str, str]]:
    return [(change.action, change.title) for change in plan.changes]


def only(plan: Plan) -> Any:
    (change,) = plan.changes
    return change


def test_what_is_missing_is_created() -> None:
    """Streams come before their consumers."""
    wanted = desired({"streams": {"S": {"subjects": ["s.>"], "consumers": {"w": {}}}}, "buckets": {"b": {}}})

    assert [("create", "bucket b"), ("create", "stream S"), ("create", "consumer S/w")] == actions(
        planned(wanted, observed({}))
    )


def test_a_smaller_ttl_expires_what_is_older() -> None:
    """The default policy lets a smaller ttl do what it says, and counts what goes."""
    change = only(planned(buckets(ttlSeconds=20, history=5), observed(REGISTRY, counts={"KV_b:age": 12}, KV_b=FULL)))

    assert ("update", "expires", 12, "") == (change.action, change.fate.word, change.fate.count, change.blocked)


def test_a_larger_ttl_keeps_everything() -> None:
    """Nothing is lost by waiting longer."""
    change = only(planned(buckets(ttlSeconds=90, history=5), observed(REGISTRY, KV_b=FULL)))

    assert "keeps" == change.fate.word


def test_a_smaller_history_needs_consent() -> None:
    """It drops values at once; the refusal prints the consent, and with it the plan goes on."""
    found = observed(REGISTRY, counts={"KV_b:per_subject": 7}, KV_b=FULL)
    refused = only(planned(buckets(ttlSeconds=60, history=2), found))
    wish = {
        "buckets": {"b": {"ttlSeconds": 60, "history": 2}},
        "provisioner": {"consent": {"KV_b": refused.consent}},
    }
    agreed = only(planned(desired(wish), found))

    assert ("drops", 7) == (refused.fate.word, refused.fate.count)
    assert f"--set provisioner.consent.KV_b={refused.consent}" in refused.blocked
    assert refused.consent.startswith("c-")
    assert "" == agreed.blocked


def test_a_consent_is_not_about_counts() -> None:
    """Counts move under traffic; object, wish and kind of loss do not."""
    few = only(planned(buckets(ttlSeconds=60), observed(REGISTRY, counts={"KV_b:per_subject": 1}, KV_b=FULL)))
    many = only(planned(buckets(ttlSeconds=60), observed(REGISTRY, counts={"KV_b:per_subject": 9}, KV_b=FULL)))
    other = only(
        planned(buckets(ttlSeconds=60, history=2), observed(REGISTRY, counts={"KV_b:per_subject": 9}, KV_b=FULL))
    )

    assert few.consent == many.consent
    assert few.consent != other.consent


def test_a_consent_for_another_wish_is_stale() -> None:
    """It is ignored, and the new one is printed."""
    wish = {"buckets": {"b": {"ttlSeconds": 60}}, "provisioner": {"consent": {"KV_b": "c-0123456789"}}}
    change = only(planned(desired(wish), observed(REGISTRY, counts={"KV_b:per_subject": 1}, KV_b=FULL)))

    assert change.blocked


@pytest.mark.parametrize(("loss", "blocked"), [("refuse", True), ("expire", False), ("allow", False)])
def test_the_loss_policy_decides_about_expiry(loss: str, blocked: bool) -> None:
    """`refuse` asks even for what a smaller ttl expires."""
    wish = {"buckets": {"b": {"ttlSeconds": 20, "history": 5}}, "provisioner": {"loss": loss}}
    change = only(planned(desired(wish), observed(REGISTRY, counts={"KV_b:age": 12}, KV_b=FULL)))

    assert blocked is bool(change.blocked)


def test_an_empty_bucket_needs_no_consent() -> None:
    """There is nothing to lose."""
    assert "" == only(planned(buckets(ttlSeconds=60), observed(REGISTRY))).blocked


def test_storage_cannot_change_in_place() -> None:
    """The plan says why, what else there is, and that this version does not move."""
    change = only(planned(buckets(storage="memory", ttlSeconds=60, history=5), observed(REGISTRY, KV_b=FULL)))

    assert ("move", "moves", 100) == (change.action, change.fate.word, change.fate.count)
    assert "a store cannot be converted in place" in change.blocked
    assert "buckets.b.onImmutable: replace" in change.blocked


def test_replacing_needs_consent_and_brings_the_consumers_back() -> None:
    """Consumers die with their stream, so they are created after it."""
    there = {"streams": {"S": {"subjects": ["s"], "consumers": {"w": {}}}}}
    wish = {
        "streams": {"S": {"subjects": ["s"], "storage": "memory", "onImmutable": "replace", "consumers": {"w": {}}}}
    }
    refused = planned(desired(wish), observed(there, S=FULL))
    agreed = planned(
        desired({**wish, "provisioner": {"consent": {"S": refused.changes[0].consent}}}), observed(there, S=FULL)
    )

    assert ("drops", 100) == (refused.changes[0].fate.word, refused.changes[0].fate.count)
    assert refused.changes[0].blocked
    assert [("replace", "stream S"), ("create", "consumer S/w")] == actions(agreed)
    assert () == agreed.blocked


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


def test_an_empty_stream_with_consumers_of_others_is_not_replaced_lightly() -> None:
    """Another owner's go with it never, nobody's only with a word."""
    there = {"streams": {"S": {"subjects": ["s"], "consumers": {"theirs": {}}}}}
    wish = {"streams": {"S": {"subjects": ["s"], "storage": "memory", "onImmutable": "replace"}}}
    others = Applied(owner="team/other")

    foreign = only(planned(desired(wish), observed(there, S={"consumers": 1}, S__theirs={"applied": others})))
    nobodys = only(planned(desired(wish), observed(there, S={"consumers": 1}, S__theirs={"applied": None})))

    assert "consumers of team/other would go with it" in foreign.blocked
    assert "" == foreign.consent
    assert ("drops", 1, "consumers that nobody provisioned") == (
        nobodys.fate.word,
        nobodys.fate.count,
        nobodys.fate.noun,
    )
    assert nobodys.consent


def test_a_consent_counts_once() -> None:
    """After it was used, the same loss needs a new one: a file may keep the old without harm."""
    before, after = (
        only(
            planned(
                buckets(ttlSeconds=60),
                observed(
                    REGISTRY,
                    counts={"KV_b:per_subject": 7},
                    KV_b={**FULL, "applied": Applied(owner="local", consents=used)},
                ),
            )
        )
        for used in (0, 1)
    )

    assert before.consent != after.consent


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


def test_pruning_needs_consent_where_there_is_data() -> None:
    """`prune: true` removes orphans; those that hold something wait for a word."""
    wish = desired({"provisioner": {"prune": True}})

    assert ("delete", "") == (
        only(planned(wish, observed(REGISTRY))).action,
        only(planned(wish, observed(REGISTRY))).blocked,
    )
    assert only(planned(wish, observed(REGISTRY, KV_b=FULL))).blocked


def test_strangers_are_never_pruned() -> None:
    """What natsmith did not make under this owner is none of its business."""
    wish = desired({"provisioner": {"prune": True}})

    assert () == planned(wish, observed(REGISTRY, owner="")).changes
    assert () == planned(wish, observed(REGISTRY, owner="team/other")).changes


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


def test_what_a_later_natsmith_applied_is_left_to_it() -> None:
    """Writing would lose what only the later one knows."""
    found = observed(REGISTRY, KV_b={"applied": Applied(owner="local", newer=2)})

    assert "use that version" in only(planned(desired(REGISTRY), found)).blocked


def test_a_sealed_stream_cannot_change_any_more() -> None:
    """Whatever differs, the server refuses it."""
    change = only(
        planned(
            desired({"streams": {"S": {"subjects": ["s"], "maxAgeSeconds": 9}}}),
            observed({"streams": {"S": {"subjects": ["s"], "sealed": True}}}),
        )
    )

    assert "a sealed stream cannot be changed again" in change.blocked


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
