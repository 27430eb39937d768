"""What status says of stores that are full, or soon will be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from builders import observed
from natsmith.model.observed import Limits
from natsmith.views import standing

VALUES = {"buckets": {"b": {"maxBytes": 1000}, "c": {}}, "streams": {"S": {"subjects": ["s"], "maxBytes": 1000}}}


def told(storage: int = 0, **state: int) -> list[str]:
    """Return the sentences about an account that may hold 1000 bytes in files, and streams that hold so much."""
    held: dict[str, Any] = {name: {"bytes": size} for name, size in state.items()}
    seen = observed(VALUES, limits=Limits(storage=1000), **held)
    return [row.sentence for row in standing.full_rows("APP", replace(seen, storage=storage))]


def test_who_has_room_is_not_told() -> None:
    assert not told(699, KV_b=699, KV_c=10**9)


def test_what_is_nearly_full_is_told_with_what_to_do() -> None:
    assert [
        "account file storage: 70 % of 1000; nearly full; raise accounts.APP.jetstream, or let messages go"
    ] == told(700)
    assert ["bucket b: 98 % of 1000; nearly full; raise its maxBytes, or let messages go"] == told(KV_b=985)


def test_what_is_full_refuses() -> None:
    assert [
        "bucket b: 99 % of 1000; full, what does not fit is refused; raise its maxBytes, or let messages go"
    ] == told(KV_b=995)


def test_a_stream_that_drops_the_oldest_is_never_full() -> None:
    assert not told(S=1000)


def test_without_a_limit_nothing_is_full() -> None:
    seen = replace(observed({}), storage=10**12, memory=10**12)
    assert not list(standing.full_rows("APP", seen))
