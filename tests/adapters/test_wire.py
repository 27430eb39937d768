"""Between the model and the server's JSON: what is sent, and what is read from what the server shows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import assume, given

import memory_config
from builders import desired
from generated import settings
from natsmith.adapters import wire
from natsmith.adapters.server import Config, ConsumerInfo, Refused, StreamInfo
from natsmith.model.desired import Resource
from natsmith.model.kind import Kind
from natsmith.model.observed import Applied, Found
from natsmith.model.resources import BUCKET, CONSUMER, OBJECT_STORE, STREAM
from natsmith.model.units import NANOS


def resource(kind: Kind, wanted: Mapping[str, Any]) -> Resource:
    """Return one object with settings as the values write them."""
    if kind is CONSUMER:
        return desired({"streams": {"S": {"subjects": ["S.>"], "consumers": {"x": wanted}}}}).resources[-1]
    subjects = {"subjects": ["S.>"]} if kind is STREAM and not wanted.keys() & {"mirror", "sources"} else {}
    return desired({kind.section: {"x": {**subjects, **wanted}}}).resources[0]


def echo(kind: Kind, config: Config) -> Config:
    """Return what a server shows that was sent *config*."""
    if kind is CONSUMER:
        return memory_config.consumer("test", config, memory_config.stream("test", {"name": "S"}))
    return memory_config.stream("test", config)


def read(kind: Kind, config: Config, by: Resource | None = None) -> Found:
    """Return *config* as the model sees it."""
    if kind is CONSUMER:
        return wire.decode_consumer(ConsumerInfo(stream="S", name="x", config=config), by)
    return wire.decode_stream(StreamInfo(config=config), by)


def after(kind: Kind, wanted: Mapping[str, Any], *, over: Config | None = None) -> Config:
    """Return what is sent for *wanted* where the server has *over*."""
    return wire.encode(resource(kind, wanted), "me", over)


@pytest.mark.parametrize("kind", [BUCKET, STREAM, OBJECT_STORE, CONSUMER], ids=lambda kind: str(kind.word))
def test_what_is_sent_is_what_is_read_back(kind: Kind) -> None:
    @given(settings(kind))
    def round_trip(wanted: dict[str, Any]) -> None:
        sent = resource(kind, wanted)
        try:
            shown = echo(kind, wire.encode(sent, "me"))
        except Refused:
            assume(False)  # settings that exclude each other: planning/check.py tells before anything is sent
        found = read(kind, shown, sent)
        assert sent.kind.normal(sent.name, sent.settings) == found.settings
        assert found.config.keys().isdisjoint(kind.by_api)
        assert found.applied is not None
        assert ("me", sent.settings) == (found.applied.owner, found.applied.settings)

    round_trip()


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        (BUCKET, {"history": 1, "markerSeconds": 60, "ttlSeconds": 30}),
        (BUCKET, {"placement": {"cluster": "c", "tags": ["t"]}}),
        (BUCKET, {"republish": {"source": ">", "destination": "out.>", "headersOnly": True}}),
        (STREAM, {"retention": "workqueue", "discard": "new"}),
        (STREAM, {"discard": "new", "maxMessagesPerSubject": 2, "discardNewPerSubject": True}),
        (STREAM, {"maxAgeSeconds": 60, "duplicateWindowSeconds": 5}),
        (STREAM, {"mirror": {"name": "T", "startSequence": 5}}),
        (STREAM, {"sources": [{"name": "T", "filterSubject": "a"}, {"name": "U"}]}),
        (STREAM, {"subjectTransform": {"source": "S.>", "destination": "T.>"}}),
        (STREAM, {"consumerLimits": {"maxAckPending": 5, "inactiveThresholdSeconds": 10}}),
        (STREAM, {"allowMessageSchedules": True, "allowRollup": True}),
        (STREAM, {"allowAtomicPublish": True}),
        (CONSUMER, {"ackPolicy": "none"}),
        (CONSUMER, {"backoffSeconds": [1, 5], "maxDeliver": 5}),
        (CONSUMER, {"deliverSubject": "push", "deliverGroup": "g", "flowControl": True, "idleHeartbeatSeconds": 5}),
        (CONSUMER, {"deliverPolicy": "by_start_time", "startTime": "2026-01-01T00:00:00Z"}),
        (CONSUMER, {"priorityGroups": ["a"], "priorityPolicy": "pinned_client"}),
        (CONSUMER, {"filterSubjects": ["S.a", "S.b"]}),
    ],
    ids=lambda part: part.word if isinstance(part, Kind) else ",".join(part),
)
def test_settings_that_go_together_are_read_back(kind: Kind, wanted: dict[str, Any]) -> None:
    sent = resource(kind, wanted)

    assert sent.kind.normal(sent.name, sent.settings) == read(kind, echo(kind, wire.encode(sent, "me")), sent).settings


def test_a_server_is_only_asked_for_what_it_may_not_know_where_that_says_something() -> None:
    silent = {"allow_msg_counter", "allow_atomic", "allow_batched", "allow_msg_schedules", "persist_mode"}

    assert silent.isdisjoint(after(STREAM, {}))
    assert after(STREAM, {"allowAtomicPublish": True})["allow_atomic"] is True


def test_no_limit_is_sent_as_minus_one_and_seconds_as_nanoseconds() -> None:
    config = after(BUCKET, {"ttlSeconds": 30, "maxBytes": 0, "maxValue": "1Mi"})

    assert (config["max_age"], config["max_bytes"], config["max_msg_size"]) == (30 * NANOS, -1, 2**20)


def test_a_shorter_age_takes_the_window_along() -> None:
    over = echo(BUCKET, after(BUCKET, {"ttlSeconds": 300}))

    assert after(BUCKET, {"ttlSeconds": 10}, over=over)["duplicate_window"] == 10 * NANOS


def test_a_field_that_the_model_does_not_know_is_kept() -> None:
    over = {**echo(STREAM, after(STREAM, {})), "first_seq": 5, "from_the_future": {"a": 1}}

    kept = after(STREAM, {"maxMessages": 5}, over=over)
    assert (kept["first_seq"], kept["from_the_future"]) == (5, {"a": 1})
    assert read(STREAM, over).config == {"first_seq": 5, "from_the_future": {"a": 1}}


def test_a_raw_field_that_the_values_no_longer_pass_on_is_dropped() -> None:
    over = {**echo(STREAM, after(STREAM, {})), "first_seq": 5}

    assert "first_seq" not in wire.encode(resource(STREAM, {}), "me", over, dropped={"first_seq"})


@pytest.mark.parametrize(
    ("kind", "setting", "api"),
    [
        (STREAM, "denyDelete", "deny_delete"),
        (STREAM, "denyPurge", "deny_purge"),
        (STREAM, "allowMessageTTL", "allow_msg_ttl"),
        (STREAM, "allowMessageSchedules", "allow_msg_schedules"),
        (BUCKET, "perKeyTTL", "allow_msg_ttl"),
    ],
)
def test_a_latch_that_is_on_and_not_mentioned_stays_on(kind: Kind, setting: str, api: str) -> None:
    over = {**echo(kind, after(kind, {})), api: True}

    assert after(kind, {}, over=over)[api] is True
    assert after(kind, {}).get(api, False) is False


def test_metadata_of_other_tools_is_kept_and_the_servers_own_is_not_sent() -> None:
    over = echo(STREAM, after(STREAM, {"metadata": {"team": "a", "tier": "1"}}))
    over["metadata"]["other"] = "tool"

    sent = after(STREAM, {"metadata": {"team": "b"}}, over=over)["metadata"]
    theirs = {key: value for key, value in sent.items() if not key.startswith("natsmith.")}
    assert theirs == {"team": "b", "other": "tool"}


def test_our_metadata_is_replaced_and_never_shown_as_a_setting() -> None:
    first = wire.encode(resource(STREAM, {"maxMessages": 1}), "one")
    second = wire.encode(resource(STREAM, {"maxMessages": 2}), "two", echo(STREAM, first))

    found = read(STREAM, echo(STREAM, second))
    assert found.applied is not None
    assert (found.applied.owner, found.applied.settings["maxMessages"]) == ("two", 2)
    assert "metadata" not in found.settings


def test_raw_fields_win_over_settings() -> None:
    wanted = resource(STREAM, {"maxMessages": 5, "config": {"max_msgs": 7, "first_seq": 3}})

    sent = wire.encode(wanted, "me")
    assert (sent["max_msgs"], sent["first_seq"]) == (7, 3)
    found = read(STREAM, echo(STREAM, sent), wanted)
    assert {"max_msgs": 7, "first_seq": 3}.items() <= found.config.items()
    assert "maxMessages" not in found.settings


def test_a_raw_mirror_takes_the_subjects_away() -> None:
    wanted = resource(BUCKET, {"config": {"mirror": {"name": "T"}}})

    assert "subjects" not in wire.encode(wanted, "me")


def test_a_single_filter_that_others_set_is_read_and_replaced() -> None:
    shown = {"durable_name": "x", "name": "x", "filter_subject": "S.a"}

    assert read(CONSUMER, shown).settings["filterSubjects"] == ["S.a"]
    sent = after(CONSUMER, {"filterSubjects": ["S.b"]}, over=shown)
    assert (sent["filter_subjects"], "filter_subject" in sent) == (["S.b"], False)


def test_an_object_without_an_owner_was_applied_by_nobody() -> None:
    assert read(STREAM, echo(STREAM, {"name": "x", "metadata": {"team": "a"}})).applied is None


@pytest.mark.parametrize(
    "memory",
    [
        "",
        "nonsense",
        "[]",
        "{}",
        "null",
        "[" * 60_000,
        '{"v": "abc"}',
        '{"v": null}',
        '{"v": 1, "settings": 5}',
        '{"v": 1, "settings": [[1]]}',
        '{"v": 1, "settings": {"metadata": 5}}',
        '{"v": 1, "settings": {"metadata": {"a": 5}}}',
        '{"v": 1, "settings": {"nobodyKnows": 5}}',
        '{"v": 1, "settings": {"maxAgeSeconds": "abc", "backoffSeconds": 5, "sealed": 1, "ackPolicy": []}}',
        '{"v": 1, "settings": {"maxAgeSeconds": 1e999}}',
        '{"v": 1, "config": []}',
        '{"v": 1, "consents": "many"}',
        '{"v": 1, "consents": -1}',
    ],
    ids=lambda text: str(text)[:60],
)
def test_a_memory_that_cannot_be_read_is_no_memory(memory: str) -> None:
    found = wire.applied("me", memory)

    assert found == Applied(owner="me")


def test_a_memory_in_a_newer_format_is_told() -> None:
    assert wire.applied("me", json.dumps({"v": wire.FORMAT + 1, "settings": {}})).newer == wire.FORMAT + 1


def test_the_same_object_always_makes_the_same_request() -> None:
    wanted = {"maxMessages": 5, "metadata": {"b": "1", "a": "2"}}
    turned = {"metadata": {"a": "2", "b": "1"}, "maxMessages": 5}

    assert after(STREAM, wanted)["metadata"][wire.APPLIED] == after(STREAM, turned)["metadata"][wire.APPLIED]


def test_what_can_be_read_of_a_memory_is_kept() -> None:
    memory = {"v": 1, "settings": {"maxMessages": 5, "metadata": {"a": "b"}, "sealed": "?"}, "config": {"x": [1]}}

    found = wire.applied("me", json.dumps(memory))

    assert (found.settings, found.config) == ({"maxMessages": 5, "metadata": {"a": "b"}}, {"x": [1]})


@pytest.mark.parametrize("nanoseconds", [1, 1_500_000_000, 1234567890123456789, 2**63 - 1])
def test_an_age_keeps_every_nanosecond(nanoseconds: int) -> None:
    found = read(STREAM, {**echo(STREAM, {"name": "x", "subjects": ["S.>"]}), "max_age": nanoseconds})

    type_ = STREAM.by_name["maxAgeSeconds"].type
    assert type_.encode(found.get("maxAgeSeconds")) == nanoseconds


@pytest.mark.parametrize(
    ("shown", "kept"),
    [
        ("2026-01-31T12:00:00.123456789Z", "2026-01-31T12:00:00.123456789Z"),
        ("2026-01-31T13:00:00.100000000+01:00", "2026-01-31T12:00:00.1Z"),
        ("2026-01-31T12:00:00.000Z", "2026-01-31T12:00:00Z"),
    ],
)
def test_a_time_keeps_every_digit_that_the_server_counts(shown: str, kept: str) -> None:
    consumer = read(
        CONSUMER, {"durable_name": "x", "name": "x", "opt_start_time": shown, "deliver_policy": "by_start_time"}
    )
    sourced = read(STREAM, {"name": "x", "sources": [{"name": "T", "opt_start_time": shown}]})

    assert consumer.get("startTime") == kept
    assert sourced.get("sources") == [{"name": "T", "startTime": kept}]
    assert after(CONSUMER, {"deliverPolicy": "by_start_time", "startTime": shown})["opt_start_time"] == kept
