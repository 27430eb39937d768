"""Where a consumer that is carried to a copy goes on, and what it remembers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from natsmith.adapters import copies
from natsmith.adapters.server import Config, ConsumerInfo
from natsmith.adapters.wire import CARRIED


def consumer(policy: str = "all", **more: Any) -> ConsumerInfo:
    return ConsumerInfo(stream="S", name="c", config={"deliver_policy": policy}, created="then", **more)


@pytest.mark.parametrize(
    ("found", "start"),
    [
        (consumer(ack_floor=7, delivered=9, handed_out=9), 8),
        (consumer("new", delivered=10), 11),
        (consumer("last", ack_floor=12, delivered=13, handed_out=1), 13),
    ],
    ids=["acknowledged", "untouched", "both"],
)
def test_a_consumer_goes_on_where_it_misses_nothing(found: ConsumerInfo, start: int) -> None:
    assert {"deliver_policy": "by_start_sequence", "opt_start_seq": start} == copies.position(found)


def test_a_consumer_of_everything_that_was_not_touched_begins_again() -> None:
    assert {} == copies.position(consumer())


def test_a_carried_consumer_remembers_how_it_began() -> None:
    """Carried twice, it remembers the first beginning."""
    start = {"deliver_policy": "by_start_sequence", "opt_start_seq": 8}
    once = copies.carried({"deliver_policy": "new", "ack_wait": 5, "pause_until": "soon"}, start)
    twice = copies.carried(once, start | {"opt_start_seq": 20})

    assert {"deliver_policy": "new"} == json.loads(once["metadata"][CARRIED])
    assert once["metadata"] == twice["metadata"]
    assert (8, 20, 5) == (once["opt_start_seq"], twice["opt_start_seq"], twice["ack_wait"])
    assert "pause_until" not in once


def test_a_consumer_that_begins_as_before_remembers_nothing() -> None:
    assert {"deliver_policy": "new", "metadata": {}} == copies.carried({"deliver_policy": "new"}, {})


@pytest.mark.parametrize(
    ("config", "sees"),
    [
        ({}, True),
        ({"filter_subject": ">"}, True),
        ({"filter_subjects": ["a.>", "_natsmith.>"]}, True),
        ({"filter_subject": "S.>"}, False),
        ({"filter_subjects": ["S.a", "S.b"]}, False),
    ],
    ids=str,
)
def test_a_consumer_sees_marks_unless_its_filters_keep_them_away(config: Config, sees: bool) -> None:
    assert sees is copies.sees_marks(config, "S")
