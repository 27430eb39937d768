"""Which replicas of a copy keep up, as the leader tells their lags one after the other."""

from __future__ import annotations

import pytest

from natsmith.actions.catching_up import MOMENT, NEAR, Replicas


@pytest.mark.parametrize(
    ("lags", "keeps_up"),
    [
        ([0], True),
        ([3], False),
        ([3, 3], False),
        ([3, 9, 40], False),
        ([40, 9], True),
        ([9, 40, 30, 35], True),
        ([0, 3, 5], True),
        ([NEAR * 3, NEAR * 2], False),
        ([NEAR * 3, NEAR], True),
    ],
    ids=str,
)
def test_one_keeps_up_that_comes_nearer_again_and_again(lags: list[int], keeps_up: bool) -> None:
    """One that is stuck or empty only falls behind, however little that is at first."""
    replicas = Replicas()

    for number, lag in enumerate(lags):
        kept_up = replicas.keep_up({"a": lag, "b": 0}, 100 + number / 10)

    assert keeps_up is kept_up


def test_who_came_nearer_once_is_not_believed_for_ever() -> None:
    replicas = Replicas()
    assert not replicas.keep_up({"a": 7}, 100)
    assert replicas.keep_up({"a": 5}, 100.1)

    assert not replicas.keep_up({"a": 6}, 100.1 + MOMENT)


def test_one_server_alone_has_nobody_to_wait_for() -> None:
    assert Replicas().keep_up({}, 100)
