"""In which order changes are safe."""

from __future__ import annotations

from builders import desired, observed, planned
from natsmith.model.change import Plan


def stages(plan: Plan) -> list[list[str]]:
    return [sorted(f"{change.action} {change.label}" for change in stage) for stage in plan.stages]


def test_a_subject_is_given_up_before_it_is_taken() -> None:
    """The server refuses two streams with one subject."""
    there = {"streams": {"A": {"subjects": ["x", "y"]}, "B": {"subjects": ["z"]}}}
    wanted = {"streams": {"B": {"subjects": ["z", "y"]}, "A": {"subjects": ["x"]}}}

    assert [["update A"], ["update B"]] == stages(planned(desired(wanted), observed(there)))


def test_an_origin_comes_before_its_mirror() -> None:
    """A mirror of nothing would wait."""
    wanted = {"streams": {"M": {"mirror": {"name": "O"}}, "O": {"subjects": ["o"]}}}

    assert [["create O"], ["create M"]] == stages(planned(desired(wanted), observed({})))


def test_a_removed_stream_goes_last() -> None:
    """Nothing waits for it, and a failure before keeps it."""
    wanted = {"streams": {"A": {"subjects": ["a"]}}, "provisioner": {"prune": True}}

    assert [["create A"], ["delete B"]] == stages(
        planned(desired(wanted), observed({"streams": {"B": {"subjects": ["b"]}}}))
    )


def test_a_removed_stream_goes_first_where_its_subject_is_wanted() -> None:
    """Otherwise the new one could not be created."""
    wanted = {"streams": {"A": {"subjects": ["s.>"]}}, "provisioner": {"prune": True}}

    assert [["delete B"], ["create A"]] == stages(
        planned(desired(wanted), observed({"streams": {"B": {"subjects": ["s.x"]}}}))
    )


def test_a_consumer_is_removed_after_its_successor_is_there() -> None:
    """A stream may keep its messages only for its consumers."""
    there = {"streams": {"S": {"subjects": ["s"], "consumers": {"old": {}}}}}
    wanted = {"streams": {"S": {"subjects": ["s"], "consumers": {"new": {}}}}, "provisioner": {"prune": True}}

    assert [["create S/new"], ["delete S/old"]] == stages(planned(desired(wanted), observed(there)))


def test_in_a_work_queue_a_consumer_is_removed_first() -> None:
    """The filters of two may not meet there."""
    queue = {"subjects": ["s"], "retention": "workqueue"}
    there = {"streams": {"S": {**queue, "consumers": {"old": {}}}}}
    wanted = {"streams": {"S": {**queue, "consumers": {"new": {}}}}, "provisioner": {"prune": True}}

    assert [["delete S/old"], ["create S/new"]] == stages(planned(desired(wanted), observed(there)))


def test_streams_that_change_places_are_refused() -> None:
    """The server would refuse whichever came first."""
    there = {"streams": {"A": {"subjects": ["x"]}, "B": {"subjects": ["y"]}}}
    wanted = {"streams": {"A": {"subjects": ["y"]}, "B": {"subjects": ["x"]}}}
    plan = planned(desired(wanted), observed(there))

    assert ["A", "B"] == sorted(change.label for change in plan.blocked)
    assert "no order of single changes" in plan.blocked[0].blocked
