"""Who leads, by what a key says."""

from __future__ import annotations

import json

import pytest

from natsmith.registry.answers import Stored
from natsmith.registry.candidacy import Leader, leader_of

NOW = 1_000_000.0


def stored(*, ago: float = 1, deleted: bool = False, **said: object) -> Stored:
    """Return a value that was written some seconds ago."""
    return Stored(revision=7, at=NOW - ago, payload=json.dumps(said).encode(), deleted=deleted)


def leader(last: Stored | None) -> Leader | None:
    return leader_of("billing", last, now=NOW)


def test_a_lease_that_holds_has_a_leader() -> None:
    """Its token is the revision with which it began, also after it was renewed."""
    assert Leader(group="billing", id="a", token=7, ttl=10, heard=NOW - 9) == leader(stored(ago=9, id="a", ttl=10))
    assert Leader(group="billing", id="a", token=3, ttl=10, heard=NOW - 1) == leader(stored(id="a", ttl=10, token=3))


@pytest.mark.parametrize("last", [None, stored(id="a", ttl=10, deleted=True), stored(ago=10, id="a", ttl=10, token=3)])
def test_a_key_that_is_gone_or_should_be_has_none(last: Stored | None) -> None:
    """A server that comes back after an outage still has the key, with its old token, for a moment."""
    assert leader(last) is None


@pytest.mark.parametrize("said", [True, -3, 1.5, "3", [3], 2**63])
def test_what_is_no_token_or_no_ttl_is_not_taken_for_one(said: object) -> None:
    assert Leader(group="billing", id="a", token=7, ttl=0, heard=NOW - 1) == leader(
        stored(id="a", ttl=said, token=said)
    )


def test_what_is_no_lease_is_shown_since_it_never_goes() -> None:
    assert Leader(group="billing", id="unknown", token=7, ttl=0, heard=NOW - 99) == leader(stored(ago=99))
