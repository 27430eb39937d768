"""The outcome of an apply in one line: what it says, and what is cut when it would be too long."""

from __future__ import annotations

import json
from typing import Any

import pytest

from builders import desired, observed, planned
from natsmith.errors import Exit
from natsmith.model.outcome import Outcome
from natsmith.views import as_line
from natsmith.views.as_line import MOST_BYTES


def created(count: int, **settings: Any) -> Outcome:
    """Return the outcome of a run that made so many buckets."""
    wanted = desired({"buckets": {f"b{number}": {"ttlSeconds": 30, **settings} for number in range(count)}})
    plan = planned(wanted, observed({}))
    return Outcome(plan=plan, done=plan.changes, seconds=0.4)


def line(code: Exit = Exit.DONE, **given: Any) -> dict[str, Any]:
    """Return what the line says, which is always one and never too long."""
    facts = {"owner": "ns/rel", "outcomes": [], "problems": [], "under_way": 0, "seconds": 0.4123, **given}
    written = as_line.outcome(code, **facts)
    assert len(written) <= MOST_BYTES
    assert written.endswith(b"\n")
    assert 1 == written.count(b"\n")
    told: dict[str, Any] = json.loads(written)
    return told


def test_what_was_done_is_told() -> None:
    assert {
        "version": 1,
        "kind": "outcome",
        "exitCode": 0,
        "result": "done",
        "owner": "ns/rel",
        "changes": 1,
        "unchanged": 0,
        "failed": 0,
        "notBegun": 0,
        "told": 0,
        "seconds": 0.412,
        "changed": ["create bucket b0: ttlSeconds 30"],
        "problems": [],
    } == line(outcomes=[created(1)])


@pytest.mark.parametrize(
    ("code", "result"),
    [
        (Exit.STOPPED_HALFWAY, "stopped halfway"),
        (Exit.WRONG_VALUES, "wrong values"),
        (Exit.DECISION_NEEDED, "refused"),
        (Exit.NOT_READY, "not ready"),
    ],
)
def test_each_exit_code_has_its_word(code: Exit, result: str) -> None:
    told = line(code, problems=["it is so"])
    assert (int(code), result, ["it is so"]) == (told["exitCode"], told["result"], told["problems"])


def test_what_failed_is_a_problem() -> None:
    made = created(3).plan.changes
    half = Outcome(plan=created(3).plan, done=made[:1], failed=((made[1], "no room"),), left=made[2:])

    told = line(Exit.STOPPED_HALFWAY, outcomes=[half])

    assert (1, 1, 1) == (told["changes"], told["failed"], told["notBegun"])
    assert ["bucket b1: no room"] == told["problems"]


def test_a_run_that_was_ended_counts_what_it_had_done() -> None:
    assert 7 == line(Exit.STOPPED_HALFWAY, under_way=7)["changes"]


def test_a_long_list_is_cut_and_what_is_missing_is_counted() -> None:
    told = line(outcomes=[created(1000)])

    assert 1000 == told["changes"]
    assert 1000 == len(told["changed"]) + told["more"]
    assert len(told["changed"]) > 50


def test_problems_get_the_room_first() -> None:
    problems = [f"problem {number}: " + "x" * 80 for number in range(30)]

    told = line(Exit.STOPPED_HALFWAY, outcomes=[created(1000)], problems=problems)

    assert problems == told["problems"]
    assert 0 < len(told["changed"]) < 30
    assert 1000 == len(told["changed"]) + told["more"]


@pytest.mark.parametrize("letter", ["x", "é", "日", "🙂", '"', "\x00", "\udcff"])
def test_the_first_problem_is_told_however_long_it_is(letter: str) -> None:
    told = line(Exit.WRONG_VALUES, problems=[letter * 100_000] * 3, owner=letter * 10_000)

    assert told["problems"][0].startswith(letter)
    assert told["problems"][0].endswith("…")
    assert 3 == len(told["problems"]) + told.get("more", 0)
