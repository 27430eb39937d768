"""What a server's answer says about the servers that have a stream."""

from __future__ import annotations

from typing import Any

import pytest

from natsmith.adapters.answers import stream

HERE = {"current": True, "active": 1}
GONE = {"current": False, "active": 60_000_000_000}


@pytest.mark.parametrize(
    ("leader", "replicas", "alone"),
    [
        ("n1", [], False),
        ("n1", [HERE, HERE], False),
        ("n1", [HERE, GONE], False),
        ("n1", [GONE, GONE], True),
        ("n1", [GONE, GONE, HERE, HERE], False),
        ("n1", [GONE, GONE, GONE, HERE], True),
        ("", [HERE, GONE, GONE], True),
        ("", [HERE, HERE, HERE], True),
    ],
)
def test_a_stream_is_alone_without_a_leader_that_hears_a_majority(
    leader: str, replicas: list[dict[str, Any]], alone: bool
) -> None:
    named = [{"name": f"n{number}"} | each for number, each in enumerate(replicas, 2)]
    answer = {"config": {}, "state": {}, "cluster": {"leader": leader, "replicas": named}}

    assert alone is stream(answer).alone


def test_a_stream_of_a_single_server_is_never_alone() -> None:
    assert not stream({"config": {}, "state": {}}).alone
