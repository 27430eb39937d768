"""What may be passed on raw."""

from __future__ import annotations

from typing import Any

import pytest

from natsmith.model.reading import read

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another case": ({"MAX_MSGS": 2}, "write max_msgs"),
    "another case of what is kept": ({"Metadata": {}}, "write metadata"),
    "what is kept": ({"name": "x"}, "it comes from its key in the values"),
    "a number for subjects": ({"subjects": 5}, "is of a wrong type"),
    "numbers in subjects": ({"subjects": [1]}, "must be text"),
    "nothing in subjects": ({"subjects": [None]}, "must be text"),
    "true for sources": ({"sources": True}, "is of a wrong type"),
    "a list for a name": ({"sources": [{"name": ["x"]}]}, "must be text"),
    "a word for a number": ({"max_msgs": "many"}, "must be a whole number"),
    "a word for a time": ({"mirror": {"name": "x", "opt_start_time": "abc"}}, "must be a time"),
    "a number for a word": ({"storage": 5}, "must be one of the server's words"),
    "numbers in tags": ({"placement": {"tags": [1]}}, "must be text"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_may_not_be_passed_on(case: str) -> None:
    """A raw field keeps the rules of the setting that it is."""
    config, expected = WRONG[case]
    _, problems = read({"streams": {"S": {"subjects": ["s"], "config": config}}})

    assert 1 == len(problems), problems
    assert expected in problems[0]
    assert problems[0].startswith("streams.S.config.")


def test_what_nobody_knows_is_passed_on() -> None:
    """A later server's field needs no release of ours, nor does a later word of a known one."""
    config = {
        "from_the_future": {"a": [1]},
        "retention": "newer",
        "max_age": 1_500_000_000,
        "consumer_limits": {"inactive_threshold": 1_500_000_000},
    }
    desired, problems = read({"streams": {"S": {"subjects": ["s"], "config": config}}})

    assert [] == problems
    assert config == desired.resources[0].config


def test_a_consumers_single_filter_is_said_as_a_setting() -> None:
    """Passed on raw it would be taken away, and the consumer would get everything."""
    _, problems = read({"streams": {"S": {"subjects": ["s"], "consumers": {"w": {"config": {"filter_subject": "s"}}}}}})

    assert [
        "streams.S.consumers.w.config.filter_subject cannot be passed on: it comes from filterSubjects:"
    ] == problems


@pytest.mark.parametrize(
    ("key", "meant"), [("Loss", "loss"), ("lose", "loss"), ("prunes", "prune"), ("onimmutable", "onImmutable")]
)
def test_a_slip_in_the_policy_is_no_silence(key: str, meant: str) -> None:
    """`Loss: refuse` must not leave the data to the default."""
    _, problems = read({"provisioner": {key: "refuse"}})

    assert [f"provisioner.{key} is not a key that natsmith knows: did you mean {meant}?"] == problems


@pytest.mark.parametrize(
    "key", ["mode", "connection", "image", "resources", "backoffLimit", "serviceAccount", "tolerations"]
)
def test_the_charts_own_keys_are_left_alone(key: str) -> None:
    """They stand beside ours under provisioner."""
    assert [] == read({"provisioner": {key: {}}})[1]
