"""Lines for people: what is cut off a terminal, and how a verify is summed up."""

from __future__ import annotations

import pytest

from builders import desired, observed, planned
from natsmith.model.outcome import How, Proof
from natsmith.views import text


def shown(count: int, room: int | None) -> list[str]:
    """Return the sentences for so many new buckets, where there is *room*."""
    plan = planned(desired({"buckets": {f"b{number}": {} for number in range(count)}}), observed({}))
    groups = [text.change_rows(plan, each) for each in plan.changes]
    return [row.sentence for row in text.at_most(room, groups, "natsmith history tells")]


def test_a_few_changes_are_all_shown() -> None:
    assert [f"create bucket b{number}" for number in range(3)] == shown(3, 3)


def test_a_terminal_has_room_for_all() -> None:
    assert 1000 == len(shown(1000, None))


def test_many_changes_are_cut_and_counted() -> None:
    lines = shown(1000, 20)

    assert 21 == len(lines)
    assert "and 980 more changes: natsmith history tells" == lines[-1]


def test_a_change_is_shown_whole_or_not_at_all() -> None:
    """A change with two differences has two rows, and the first one alone would mislead."""
    wanted = desired({"buckets": {f"b{number}": {"ttlSeconds": 60, "history": 2} for number in range(3)}})
    have = observed({"buckets": {f"b{number}": {"ttlSeconds": 30} for number in range(3)}})
    plan = planned(wanted, have)
    groups = [text.change_rows(plan, each) for each in plan.changes]

    lines = [row.sentence for row in text.at_most(3, groups, "look")]
    assert ["update bucket b0", "update bucket b0", "and 2 more changes"] == [each.partition(":")[0] for each in lines]


def test_the_first_change_is_always_shown() -> None:
    assert ["create bucket b0", "and 1 more change: natsmith history tells"] == shown(2, 0)


def proof(result: str, how: How = "twin") -> Proof:
    return Proof(title="bucket b", how=how, result=result, text="")  # type: ignore[arg-type]  # a word of three


@pytest.mark.parametrize(
    ("differ", "proofs", "expected"),
    [
        (0, [], "Everything is as the values say."),
        (
            0,
            [proof("holds"), proof("holds"), proof("holds", "as an application")],
            "Everything is as the values say. Expiry holds in 2 proofs. Applications put and get in 1 bucket.",
        ),
        (
            0,
            [proof("not observed", "as an application")],
            "Everything is as the values say. 1 not observed.",
        ),
        (
            0,
            [proof("not observed", "passive")],
            "Everything is as the values say. 1 not observed. Add --prove to see an expiry happen.",
        ),
        (
            1,
            [proof("fails"), proof("fails", "as an application")],
            "Not as it should be: 1 object not as the values say and 1 expiry not at work and "
            "1 bucket of no use to an application. See `natsmith plan`, or `natsmith apply` to restore it.",
        ),
        (
            0,
            [proof("fails", "as an application")],
            "Not as it should be: 1 bucket of no use to an application. "
            "Mend the user's rights or the bucket's limits, as named above.",
        ),
    ],
)
def test_a_verify_is_summed_up(differ: int, proofs: list[Proof], expected: str) -> None:
    assert expected == text.verdict(differ, proofs)
