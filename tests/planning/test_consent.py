"""What loses data waits for the owner's word, and which word that is."""

from __future__ import annotations

import pytest

from builders import buckets, desired, observed, planned
from natsmith.model.observed import Applied
from planning.changes import FULL, REGISTRY, actions, only


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


def test_pruning_needs_consent_where_there_is_data() -> None:
    """`prune: true` removes orphans; those that hold something wait for a word."""
    wish = desired({"provisioner": {"prune": True}})

    assert ("delete", "") == (
        only(planned(wish, observed(REGISTRY))).action,
        only(planned(wish, observed(REGISTRY))).blocked,
    )
    assert only(planned(wish, observed(REGISTRY, KV_b=FULL))).blocked
