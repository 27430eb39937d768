"""Which copies, and which of their replicas, come nearer, as the server tells it one time after the other."""

from __future__ import annotations

from typing import Any

import pytest

from natsmith.actions import catching_up
from natsmith.actions.catching_up import (
    ALONE_SECONDS,
    BEGIN_SECONDS,
    DEAF_SECONDS,
    HEARS_SECONDS,
    MOMENT,
    NEAR,
    STALL_SECONDS,
    Chase,
    Replicas,
    StandsStill,
)
from natsmith.adapters.server import StreamInfo


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


@pytest.mark.parametrize(
    ("mirror", "seconds"),
    [
        ({}, BEGIN_SECONDS),
        ({"last_sequence": 3, "heard": HEARS_SECONDS}, STALL_SECONDS),
        ({"last_sequence": 3, "heard": 0.5}, DEAF_SECONDS),
        ({"last_sequence": 3, "heard": HEARS_SECONDS, "alone": True}, ALONE_SECONDS),
        ({"last_sequence": 3, "alone": True}, ALONE_SECONDS),
    ],
    ids=["has nothing", "does not grow", "stores nothing of what it hears", "has no quorum", "has no leader"],
)
def test_a_copy_that_never_goes_on_is_given_up_after_its_time(
    monkeypatch: pytest.MonkeyPatch, mirror: dict[str, Any], seconds: float
) -> None:
    now = 100.0
    monkeypatch.setattr(catching_up, "clock", lambda: now)
    origin, copy = StreamInfo(config={}, last_sequence=1000), StreamInfo(config={}, **mirror)
    chase = Chase("a", "b")
    assert not chase.is_over(origin, copy)

    now += seconds
    assert not chase.is_over(origin, copy)
    chase.still_worth_it(origin, copy)
    now += 0.1

    with pytest.raises(StandsStill):
        chase.still_worth_it(origin, copy)
