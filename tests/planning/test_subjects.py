"""Which subjects meet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natsmith.planning.subjects import SubjectIndex, meet, within

WORDS = st.sampled_from(["a", "b", "*"])
SUBJECTS = st.builds(
    lambda words, rest: ".".join([*words, *rest]), st.lists(WORDS, min_size=1, max_size=3), st.sampled_from([[], [">"]])
)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.c", False),
        ("a.*", "a.c", True),
        ("a.>", "a.b.c", True),
        ("a.>", "a", False),
        ("a.*", "a.b.c", False),
        ("*.b", "a.*", True),
        (">", "a", True),
        ("$KV.x.>", "$KV.xy.>", False),
    ],
)
def test_meeting(one: str, other: str, expected: bool) -> None:
    """Two subjects meet when a message could match both."""
    assert expected is meet(one, other) is meet(other, one)


@pytest.mark.parametrize(
    ("inner", "outer", "expected"),
    [
        ("a.b", "a.>", True),
        ("a.>", "a.*", False),
        ("a.*", "a.b", False),
        ("a.*.c", "a.>", True),
        ("a.>", "a.>", True),
        ("a", "a.>", False),
    ],
)
def test_being_within(inner: str, outer: str, expected: bool) -> None:
    """A filter is within a subject when it can match nothing else."""
    assert expected is within(inner, outer)


@given(st.lists(SUBJECTS, max_size=6, unique=True), SUBJECTS)
def test_the_index_finds_what_asking_each_one_finds(held: list[str], asked: str) -> None:
    """It is only faster."""
    index: SubjectIndex[str] = SubjectIndex()
    for subject in held:
        index.add(subject, subject)

    assert {subject for subject in held if meet(subject, asked)} == {owner for owner, _ in index.meeting(asked)}
