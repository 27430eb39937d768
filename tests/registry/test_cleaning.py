"""Which entries are cleaned away, by what they say, their age and their bucket."""

from __future__ import annotations

import json

import pytest

from natsmith.registry.bucket import Bucket
from natsmith.registry.cleaning import reason
from natsmith.registry.found import Found, found

NOW = 1_000_000.0
EXPIRING = Bucket(name="b", ttl=30)
KEEPING = Bucket(name="b")


def entry(*, age: float, status: str = "healthy", ttl: int = 0, kept: float = 0) -> Found:
    """Return an entry that was written *age* seconds ago."""
    said = json.dumps({"v": 1, "status": status, "ttl": ttl}).encode()
    return found("payments.a", said, revision=1, at=NOW - age, kept=kept)


@pytest.mark.parametrize(
    ("bucket", "one", "expected"),
    [
        (EXPIRING, entry(age=34), ""),
        (EXPIRING, entry(age=36), "stale since 6 s"),
        (EXPIRING, entry(age=36, ttl=60), "stale since 6 s"),
        (EXPIRING, entry(age=16, ttl=10), "stale since 6 s"),
        (EXPIRING, entry(age=36, kept=-1), "stale since 6 s; no TTL: the server would keep it for ever"),
        (KEEPING, entry(age=34), ""),
        (KEEPING, entry(age=36), "stale since 6 s; no TTL: the server would keep it for ever"),
        (KEEPING, entry(age=36, kept=60), ""),
        (KEEPING, entry(age=16, ttl=10, kept=10), "stale since 6 s"),
        (KEEPING, entry(age=0, status="shutdown"), "shut down"),
        (EXPIRING, entry(age=1, status="draining"), ""),
        (EXPIRING, entry(age=1, status="DOWN"), "shut down"),
        (EXPIRING, entry(age=14, status="unhealthy"), ""),
        (EXPIRING, entry(age=16, status="unhealthy"), "unhealthy and not heard for 16 s"),
        (EXPIRING, entry(age=-5), ""),
    ],
)
def test_a_reason_says_why_an_entry_goes(bucket: Bucket, one: Found, expected: str) -> None:
    """Who is heard stays, also when it says that it is unhealthy."""
    assert expected == reason(one, bucket, NOW)


def test_what_is_not_understood_goes_only_when_it_is_stale_and_that_is_asked_for() -> None:
    young, old = (found("x", b"?", revision=1, at=NOW - age) for age in (1, 99))

    assert ["", "", ""] == [
        reason(old, EXPIRING, NOW),
        *(reason(young, EXPIRING, NOW, unread=each) for each in (False, True)),
    ]
    assert "stale since 69 s" == reason(old, EXPIRING, NOW, unread=True)
