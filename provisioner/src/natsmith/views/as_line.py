"""The outcome of an apply as one line of JSON that always fits where Kubernetes keeps it. docs/json.md describes it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from natsmith.errors import Exit
from natsmith.model.outcome import Outcome
from natsmith.model.units import Json
from natsmith.views import as_json, text

MOST_BYTES = 4000
"""Kubernetes keeps 4096 bytes of a termination message."""

LONGEST_TEXT = 1200
LONGEST_OWNER = 400
RESULTS = {
    Exit.DONE: "done",
    Exit.STOPPED_HALFWAY: "stopped halfway",
    Exit.WRONG_VALUES: "wrong values",
    Exit.DECISION_NEEDED: "refused",
    Exit.NOT_READY: "not ready",
}


def outcome(
    code: int, *, owner: str, outcomes: Sequence[Outcome], problems: Sequence[str], under_way: int, seconds: float
) -> bytes:
    """Return how a run ended; what is too long for it is cut, changes before problems.

    *under_way* changes were made in an account whose run was ended before it could say which.
    """
    several = len(outcomes) > 1
    changed = [row.sentence for one in outcomes for row in text.rows(one.plan, only=one.done, several=several)]
    facts = as_json.document(
        "outcome",
        code,
        result=RESULTS[Exit(code)],
        owner=_short(owner, LONGEST_OWNER),
        changes=sum(len(one.done) for one in outcomes) + under_way,
        unchanged=sum(one.plan.unchanged for one in outcomes),
        failed=sum(len(one.failed) for one in outcomes),
        notBegun=sum(len(one.left) for one in outcomes),
        told=sum(len(one.plan.told) for one in outcomes),
        seconds=round(seconds, 3),
    )
    return _fitted(facts, changed, [*text.failures(outcomes), *problems])


def _fitted(facts: dict[str, Json], changed: Sequence[str], problems: Sequence[str]) -> bytes:
    """Return one line with as much of both lists as it can hold; problems matter more."""
    room = MOST_BYTES - len(_line({**facts, "more": len(changed) + len(problems), "changed": [], "problems": []}))
    kept: dict[str, list[str]] = {"changed": [], "problems": []}
    for name, given in (("problems", problems), ("changed", changed)):
        for each in given:
            entry = _short(each, LONGEST_TEXT)
            size = len(_encoded(entry)) + 2  # the comma and the space before it
            if size > room:
                break
            kept[name].append(entry)
            room -= size
    missing = len(changed) + len(problems) - len(kept["changed"]) - len(kept["problems"])
    return _line({**facts, **({"more": missing} if missing else {}), **kept})


def _line(value: Json) -> bytes:
    return _encoded(value) + b"\n"


def _encoded(value: Json) -> bytes:
    # The name of a file may have bytes that are no UTF-8; escaped they are JSON all the same.
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace")


def _short(given: str, most: int) -> str:
    """Return *given*, or as much of it as takes *most* bytes in the line."""
    if len(_encoded(given)) <= most:
        return given
    kept = given[:most]
    while len(_encoded(kept + "…")) > most:
        kept = kept[: len(kept) * 9 // 10]
    return kept + "…"
