"""Numbers and times on their way between the server's form and natsmith's."""

from __future__ import annotations

import json

import pytest

from natsmith.adapters.wire import remembered_map
from natsmith.model.units import Exact, Seconds, SecondsList, utc
from natsmith.model.words import Time

LARGEST = 2**63 - 1


@pytest.mark.parametrize("raw", [1, -1, 10**9 + 1, 1_500_000_000, 1234567890123456789, LARGEST - 1, LARGEST])
def test_a_part_of_a_second_is_sent_back_to_the_nanosecond(raw: int) -> None:
    """A float would forget the last digits of a long age."""
    assert raw == Seconds().encode(Seconds().decode(raw))
    assert [raw] == SecondsList().encode(SecondsList().decode([raw]))


def test_whole_seconds_are_whole_numbers() -> None:
    """Which is what the values write."""
    assert [0, 90] == SecondsList().decode([0, 90 * 10**9])
    assert type(Seconds().decode(90 * 10**9)) is int


def test_nearly_whole_is_not_whole() -> None:
    """Else a difference of a nanosecond in a century would be none."""
    nearly = Seconds().decode(3_000_000_000 * 10**9 + 1)

    assert 3_000_000_000 != nearly
    assert nearly != 3_000_000_000.0
    assert nearly == Exact(3_000_000_000 * 10**9 + 1)
    assert Exact(1) != Exact(2)
    assert len({Exact(1), Exact(1), Exact(2)}) == 2


def test_a_part_of_a_second_reckons_and_shows_as_a_number() -> None:
    """Plans compare it, and a reader of JSON gets a number."""
    assert 1 < Exact(1_500_000_000) < 2
    assert 1 == int(Exact(1_500_000_000))
    assert ("1.5", "1.5", "1.5") == (
        Seconds().show(Exact(1_500_000_000)),
        f"{Exact(1_500_000_000)}",
        json.dumps(Exact(1_500_000_000)),
    )
    assert "9223372036.854775807" == Seconds().show(Exact(LARGEST))
    assert "[0.1, 2]" == SecondsList().show([Exact(100_000_000), 2])


def test_a_part_of_a_second_is_none_that_values_may_say() -> None:
    """However near it is to a whole one."""
    with pytest.raises(ValueError, match=r"is 0\.5, but must be whole seconds"):
        Seconds().read(Exact(500_000_000))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
        ("2026-01-31T12:00:00.120Z", "2026-01-31T12:00:00.12Z"),
        ("2026-01-31T12:00:00.999999999Z", "2026-01-31T12:00:00.999999999Z"),
        ("2026-01-31T12:00:00.1234567899Z", "2026-01-31T12:00:00.123456789Z"),
        ("2026-01-01T00:30:00.000000001+01:00", "2025-12-31T23:30:00.000000001Z"),
    ],
)
def test_a_time_is_in_utc_with_nine_digits(given: str, kept: str) -> None:
    """As many as the server counts, written one way, so that two of the same moment are equal."""
    assert kept == utc(given)
    assert kept == Time().decode(given) == Time().read(given)


def test_a_raw_time_that_cannot_be_read_stays_for_the_server_to_judge() -> None:
    """It can only come from the values' config."""
    assert "yesterday" == Time().decode("yesterday")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "5",
        "{",
        "[" * 200_000,
        '{"a":' * 200_000,
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": "\\ud83d"}',
        b"\xff",
    ],
    ids=lambda text: repr(text)[:20],
)
def test_what_is_no_map_says_nothing(text: str | bytes) -> None:
    """Whoever wrote it."""
    assert {} == remembered_map(text)


def test_a_map_is_read() -> None:
    """As it was written."""
    assert {"a": [1, "ü"]} == remembered_map('{"a": [1, "ü"]}')
