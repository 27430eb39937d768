"""What values mean, and what is no mistake in them."""

from __future__ import annotations

import pytest

from model.documents import TWO_ACCOUNTS, bucket, consumer, problems, stream
from natsmith.model.reading import DEAD_LETTER_SUBJECTS, read
from natsmith.model.resources import CONSUMER, STREAM
from natsmith.model.units import Ambiguous, Json


def test_a_null_is_as_if_it_were_not_there() -> None:
    settings = {"ttlSeconds": None, "placement": {"cluster": None}, "metadata": {"a": None, "b": "c"}, "profile": None}
    desired, wrong = read({"buckets": {"b": settings, "gone": None}, "streams": None})

    assert [] == wrong
    assert [("b", {"metadata": {"b": "c"}})] == [(each.name, each.settings) for each in desired.resources]


def test_a_bare_time_is_a_time() -> None:
    """Helm and the model both keep the text, whatever other readers make of it."""
    desired, wrong = read(consumer(deliverPolicy="by_start_time", startTime=Ambiguous("2026-01-31T13:00:00+01:00")))

    assert [] == wrong
    assert "2026-01-31T12:00:00Z" == desired.resources[1].settings["startTime"]


def test_a_number_that_helm_wrote_with_an_exponent_is_a_number() -> None:
    assert 1000 == read(stream(maxMessages=1e3))[0].resources[0].settings["maxMessages"]


@pytest.mark.parametrize(("given", "expected"), [("1Mi", 2**20), ("512Ki", 2**19), (1024, 1024), ("1024", 1024)])
def test_a_size_is_bytes(given: Json, expected: int) -> None:
    assert {"maxBytes": expected} == read(bucket(maxBytes=given))[0].resources[0].settings


def test_what_the_values_say_wins_over_the_profile() -> None:
    desired, wrong = read(bucket(profile="sessionCache", ttlSeconds=60))

    assert ([], {"ttlSeconds": 60}) == (wrong, desired.resources[0].settings)


def test_a_default_that_is_written_out_is_no_difference() -> None:
    assert {} == read(bucket(storage="file", history=1, ttlSeconds=0))[0].resources[0].settings


def test_a_latch_that_is_asked_off_is_remembered() -> None:
    assert frozenset({"denyPurge"}) == read(stream(denyPurge=False, denyDelete=True))[0].resources[0].off


def test_the_only_account_need_not_be_said() -> None:
    assert ["app"] == [each.account for each in read(bucket())[0].resources]
    assert ["A"] == [each.account for each in read({"accounts": {"A": {}}, **bucket()})[0].resources]


def test_the_same_name_in_two_accounts_is_fine() -> None:
    document = {**TWO_ACCOUNTS, "buckets": {"b": {"account": "A"}}, "streams": {"KV_b": {"account": "B"}}}

    assert [] == problems(document)


def test_a_dead_letter_is_a_stream_of_the_servers_advisories() -> None:
    desired, wrong = read(consumer(deadLetter={"maxAgeSeconds": 60}))
    dead = desired.resources[2]

    assert [] == wrong
    assert [STREAM, CONSUMER, STREAM] == [each.kind for each in desired.resources]
    assert ("S_w_dead", 60) == (dead.name, dead.settings["maxAgeSeconds"])
    assert [each.format(stream="S", consumer="w") for each in DEAD_LETTER_SUBJECTS] == dead.settings["subjects"]


def test_keys_of_the_chart_are_left_alone() -> None:
    assert [] == problems({"nats": {}, "image": {}, "provisioner": {"mode": "job", "image": {}}})
