"""What becomes of a move that was interrupted, and of what is renamed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from builders import NOW, desired, observed, planned
from natsmith.model.change import Change
from natsmith.model.desired import Id
from natsmith.model.moving import Moving, Record, Stage
from natsmith.model.observed import Observed

MOVE = {"provisioner": {"onImmutable": "move"}}
FULL = {"messages": 100, "bytes": 2_000_000}


def stream(**settings: Any) -> dict[str, Any]:
    return {"streams": {"S": {"subjects": ["S.>"], **settings}}, **MOVE}


MEMORY, FILE = stream(storage="memory"), stream(storage="file")


def only(wanted: Mapping[str, Any], found: Observed) -> Change:
    """Return the only change of the plan."""
    (change,) = planned(desired(wanted), found).changes
    return change


# -- What was interrupted


def under_way(stage: Stage, *, original: str = "memory", final: str = "file") -> Observed:
    """Return a server on which S is being moved."""
    before = observed(stream(storage=original), S=FULL)
    found = before.objects[Id("S")]
    record = Record(
        home="S", source="S", owner="local", created=NOW, original={"storage": original}, final={"storage": final}
    )
    moving = replace(found, moving=Moving(record=record, stage=stage, messages=100))
    return replace(before, objects={Id("S"): moving})


@pytest.mark.parametrize(
    ("stage", "wanted", "what"),
    [
        (Stage.COPYING, FILE, "goes on"),
        (Stage.COPYING, MEMORY, "is undone"),
        (Stage.PARKED, FILE, "goes on"),
        (Stage.PARKED, MEMORY, "is undone"),
        (Stage.SWITCHED, MEMORY, "is ended"),
        (Stage.AWAY, MEMORY, "is ended"),
        (Stage.RETURNING, FILE, "goes on"),
        (Stage.HOME, FILE, "goes on"),
    ],
)
def test_what_was_begun_is_brought_to_an_end(stage: Stage, wanted: dict[str, Any], what: str) -> None:
    """The values say to which, as long as there is a choice."""
    change = only(wanted, under_way(stage))

    assert ("move", "") == (change.action, change.blocked)
    assert f"a move was interrupted and {what}: {stage.value}" == change.note


def test_what_was_begun_is_brought_to_an_end_though_nobody_names_it() -> None:
    changes = planned(desired({"buckets": {"b": {}}, **MOVE}), under_way(Stage.PARKED)).changes

    assert ["move stream S"] == [f"{each.action} {each.title}" for each in changes if each.id == Id("S")]


def test_what_somebody_broke_is_looked_at_by_people() -> None:
    blocked = only(FILE, under_way(Stage.BROKEN)).blocked

    assert "somebody deleted or made a part of it meanwhile" in blocked
    assert "Look at it, and delete natsmith_move_S to begin anew" in blocked


# -- What is renamed

RENAMED = {"streams": {"T": {"subjects": ["S.>"], "renamedFrom": "S"}}, **MOVE}


def test_writers_are_told_of_the_new_name() -> None:
    assert any("give them the new one" in each for each in only(RENAMED, observed(FILE, S=FULL)).seen)


def test_what_is_renamed_may_not_be_possible_either() -> None:
    blocked = only(RENAMED, observed(FILE, level=1, S=FULL)).blocked

    assert "cannot make a copy take the place of a stream" in blocked
    assert blocked.endswith("or take renamedFrom away to begin empty")


def test_the_old_name_begins_empty_only_on_purpose() -> None:
    """What it held went on under another name, which the refusal gives."""
    found = observed({"streams": {"T": {"subjects": ["S.>"]}}}, T={**FULL, "renamed_from": "S"})
    (change,) = [each for each in planned(desired(FILE), found).changes if each.id == Id("S")]
    both = {"streams": {"S": {"subjects": ["other"]}, "T": {"subjects": ["S.>"]}}, **MOVE}

    assert "to carry them back, set streams.S.renamedFrom: T" in change.blocked
    assert not any(each.blocked for each in planned(desired(both), found).changes)
