"""Whether something can be moved, what the plan says of it, and what becomes of a move that was interrupted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from builders import desired, observed, planned
from natsmith.model.change import Change
from natsmith.model.desired import Id
from natsmith.model.observed import Limits, Observed
from natsmith.planning import moves

MOVE = {"provisioner": {"onImmutable": "move"}}
FULL = {"messages": 100, "bytes": 2_000_000}
DIRECT = {"allowDirect": True}


def stream(**settings: Any) -> dict[str, Any]:
    return {"streams": {"S": {"subjects": ["S.>"], **settings}}, **MOVE}


def bucket(**settings: Any) -> dict[str, Any]:
    return {"buckets": {"b": settings}, **MOVE}


MEMORY, FILE = stream(storage="memory"), stream(storage="file")


def only(wanted: Mapping[str, Any], found: Observed) -> Change:
    """Return the change of the stream among those of the plan."""
    (change,) = [each for each in planned(desired(wanted), found).changes if not each.id.consumer]
    return change


def why_not(wanted: Mapping[str, Any], found: Observed) -> str:
    change = only(wanted, found)
    assert "move" == change.action
    return change.blocked


# -- What is moved


def test_what_cannot_change_in_place_moves_where_that_is_asked_for() -> None:
    """Everything that is there moves along, and nobody has to agree to a loss."""
    change = only(FILE, observed(MEMORY, S=FULL))

    assert ("move", "moves", 100, "", "") == (
        change.action,
        change.fate.word,
        change.fate.count,
        change.blocked,
        change.consent,
    )


def test_an_object_may_say_for_itself_that_it_moves() -> None:
    """What the policy says for all holds for the others."""
    wanted = {"streams": {"S": {"subjects": ["S.>"], "storage": "file", "onImmutable": "move"}}}

    assert ("move", "") == ((change := only(wanted, observed(MEMORY, S=FULL))).action, change.blocked)


def test_a_loss_on_the_way_needs_consent_as_without_a_move() -> None:
    """Lowering the history drops values, whether they move or not."""
    before, after = bucket(storage="memory", history=5), bucket(storage="file", history=1)
    change = only(after, observed(before, KV_b=FULL, counts={"KV_b:per_subject": 7}))

    assert "it loses data; to agree to exactly this loss" in change.blocked


def test_the_plan_says_what_everybody_sees() -> None:
    """How long, how much room, what writers, readers and each consumer notice."""
    consumer: dict[str, Any] = {"consumers": {"c": {}}}
    before, after = stream(storage="memory", **DIRECT, **consumer), stream(storage="file", **DIRECT, **consumer)
    change = only(after, observed(before, S=FULL, S__c={"pending": 7, "ack_pending": 2}))

    told = "\n".join(change.seen)
    assert "takes at most 10 s, and needs up to 3907Ki of file storage meanwhile" in told
    assert "writers get no responders twice" in told
    assert "direct reads are answered all the time" in told
    assert "other reads, new watchers and listings fail while it is copied back" in told
    assert "consumer c goes on at its ack floor" in told
    assert "7 pending, and of 2 unacknowledged" in told


def test_a_stream_without_direct_reads_is_not_promised_any() -> None:
    assert not any("direct reads" in each for each in only(FILE, observed(MEMORY, S=FULL)).seen)


@pytest.mark.parametrize(
    ("before", "after", "memory", "storage"),
    [("memory", "file", 0, 4_000_000), ("file", "memory", 2_000_000, 2_000_000)],
)
def test_a_move_needs_room_for_its_copies(before: str, after: str, memory: int, storage: int) -> None:
    """It goes through a file, whatever its ends are."""
    found = observed(stream(storage=before), S=FULL).objects[Id("S")]
    need = moves.needs(found, desired(stream(storage=after)).resources[0])

    assert (memory, storage) == (need.memory, need.storage)


def test_a_rename_needs_room_for_one_copy_and_half_the_time() -> None:
    found = observed(FILE, S={"messages": 100, "bytes": 2_000_000_000}).objects[Id("S")]
    here = moves.needs(found, desired(MEMORY).resources[0])
    renamed = moves.needs(
        found, desired({"streams": {"T": {"subjects": ["S.>"], "renamedFrom": "S"}}, **MOVE}).resources[0]
    )

    assert (0, 2_000_000_000) == (renamed.memory, renamed.storage)
    assert (here.seconds - moves.LEAST_SECONDS) / 2 == renamed.seconds - moves.LEAST_SECONDS


def test_many_small_messages_take_time_as_well() -> None:
    found = observed(MEMORY, S={"messages": 2_000_000, "bytes": 1}).objects[Id("S")]

    assert 200 <= moves.needs(found, desired(FILE).resources[0]).seconds


# -- What is refused


@pytest.mark.parametrize(
    ("level", "markers", "why"),
    [
        (1, 0, "the server is 2.15.1, and one before 2.12 cannot"),
        (2, 60, "before 2.14 a copy stands still while markers come and go"),
        (3, 60, "before 2.14 a copy stands still while markers come and go"),
        (2, 0, ""),
        (4, 60, ""),
    ],
)
def test_a_server_has_to_be_able_to(level: int, markers: int, why: str) -> None:
    before, after = (bucket(storage=each, markerSeconds=markers) for each in ("memory", "file"))
    blocked = why_not(after, observed(before, level=level, KV_b=FULL))

    assert why in blocked
    assert bool(why) == bool(blocked)


@pytest.mark.parametrize(
    "settings",
    [
        {"allowMessageCounter": True},
        {"allowMessageSchedules": True},
        {"sources": [{"name": "O"}]},
    ],
    ids=lambda each: str(*each),
)
def test_what_a_copy_cannot_be_is_refused(settings: dict[str, Any]) -> None:
    blocked = why_not(stream(storage="file", **settings), observed(stream(storage="memory", **settings), S=FULL))

    assert f"its messages cannot be moved: {next(iter(settings))} is set, and " in blocked
    assert blocked.endswith(
        "; or leave storage as the server has it, or set streams.S.onImmutable: replace to lose messages"
    )


def test_the_name_that_it_needs_has_to_be_free() -> None:
    found = replace(observed(MEMORY, S=FULL), strangers=frozenset({"natsmith_move_S"}))

    assert "there is a stream natsmith_move_S, which natsmith did not make" in why_not(FILE, found)


@pytest.mark.parametrize("copies", [{"mirror": {"name": "S"}}, {"sources": [{"name": "S"}]}], ids=str)
def test_who_copies_it_would_lose_its_place(copies: dict[str, Any]) -> None:
    before, after = ({**each, "streams": {**each["streams"], "M": copies}} for each in (MEMORY, FILE))

    assert "stream M copies it, and would lose its place" in why_not(after, observed(before, S=FULL))


@pytest.mark.parametrize(("subject", "free"), [("*.park.S", False), ("_natsmith.>", False), ("S.>", True)])
def test_its_subjects_may_not_take_the_mark(subject: str, free: bool) -> None:
    before, after = (
        {"streams": {"S": {"subjects": [subject], "storage": each}}, **MOVE} for each in ("memory", "file")
    )
    blocked = why_not(after, observed(before, S=FULL))

    assert free == ("so writes could not be kept away from it" not in blocked)


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        (Limits(storage=3_000_000), "needs up to 3907Ki of file storage"),
        (Limits(storage=4_000_000), ""),
        (Limits(memory=0), ""),
        (Limits(), ""),
    ],
    ids=str,
)
def test_an_account_has_to_have_room(limits: Limits, why: str) -> None:
    assert why in (blocked := why_not(FILE, observed(MEMORY, S=FULL, limits=limits)))
    assert bool(why) == bool(blocked)


def test_what_others_have_reserved_is_no_room() -> None:
    found = replace(observed(MEMORY, S=FULL, limits=Limits(storage=9_000_000)), storage=6_000_000)

    assert "of file storage for a while, and the account has 5860Ki of 8790Ki in use or reserved" in why_not(
        FILE, found
    )


@pytest.mark.parametrize(
    ("consumers", "why"),
    [
        ({"c": {"filterSubjects": ["S.a"]}, "d": {"filterSubjects": ["S.b"]}}, ""),
        ({"c": {"filterSubjects": ["S.a"]}, "d": {}}, "take the same messages"),
        ({"c": {"ackPolicy": "all"}}, "does not acknowledge each message"),
        ({"c": {"deliverPolicy": "new"}}, "does not begin with the first"),
    ],
    ids=str,
)
def test_consumers_have_to_fit_into_a_work_queue(consumers: dict[str, Any], why: str) -> None:
    before, after = (stream(retention=each, consumers=consumers) for each in ("limits", "workqueue"))

    assert why in (blocked := why_not(after, observed(before, S=FULL)))
    assert bool(why) == bool(blocked)


def test_a_consumer_that_nobody_names_may_not_fit_into_a_work_queue() -> None:
    before, after = stream(retention="limits", consumers={"c": {}}), stream(retention="workqueue")

    assert "consumer S/c is not in the values, and a work queue may refuse it" in why_not(
        after, observed(before, S=FULL)
    )


def test_clients_of_a_foreign_bucket_could_be_misled() -> None:
    """Nobody knows whether they use direct get, so the owner has to agree; the consent lets it move."""
    direct = observed(bucket(storage="memory"), owner="", KV_b=FULL)
    b = direct.objects[Id("KV_b")]
    found = replace(direct, objects={b.id: replace(b, settings={**b.settings, "allowDirect": False})})
    refused = only(bucket(storage="file"), found)
    policy = {"provisioner": {"onImmutable": "move", "consent": {"KV_b": refused.consent}}}

    assert "its clients do not use direct get, which is off" in refused.blocked
    assert f"--set provisioner.consent.KV_b={refused.consent}" in refused.blocked
    assert "" == only({**bucket(storage="file"), **policy}, found).blocked
    assert "" == only(bucket(storage="file"), direct).blocked
