"""What export prints can be read again, whatever is on the server."""

from __future__ import annotations

import io
from typing import Any

import pytest

from builders import planned
from natsmith.adapters import values, wire
from natsmith.adapters.server import Config, ConsumerInfo, StreamInfo
from natsmith.model.desired import Desired
from natsmith.model.observed import Found, Observed
from natsmith.model.reading import read
from natsmith.views import as_values

LARGEST = 2**63 - 1
KEYED = {
    "name": "KV_b",
    "subjects": ["$KV.b.>"],
    "max_msgs_per_subject": 1,
    "discard": "new",
    "deny_delete": True,
    "allow_rollup_hdrs": True,
    "allow_direct": True,
    "duplicate_window": 120 * 10**9,
}
PLAIN = {"name": "S", "subjects": ["S.>"], "duplicate_window": 120 * 10**9}
WORKER = {
    "durable_name": "w",
    "name": "w",
    "ack_policy": "explicit",
    "ack_wait": 30 * 10**9,
    "max_ack_pending": 1000,
    "max_waiting": 512,
}


def on_server(config: Config, consumer: Config | None = None, by: Desired | None = None) -> Observed:
    """Return an account with one stream, read for whatever *by* says."""
    wanted = {each.id: each for each in by.resources} if by else {}
    found: list[Found] = [wire.decode_stream(StreamInfo(config=config))]
    found = [wire.decode_stream(StreamInfo(config=config), wanted.get(found[0].id))]
    if consumer:
        info = ConsumerInfo(stream=config["name"], name="w", config=consumer)
        found.append(wire.decode_consumer(info, wanted.get(wire.decode_consumer(info).id)))
    return Observed(objects={each.id: each for each in found}, version="2.15.1", level=5)


def again(observed: Observed) -> Desired:
    """Return what an export says when it is read again."""
    printed = as_values.as_yaml(as_values.values(observed))
    desired, problems = read(values.load(["-"], stdin=io.BytesIO(printed.encode())))
    assert [] == problems, printed
    return desired


def differences(config: Config, consumer: Config | None = None) -> list[str]:
    """Return what a plan from an export would change; that it is nobody's is not meant."""
    desired = again(on_server(config, consumer))
    plan = planned(desired, on_server(config, consumer, desired))
    return [f"{each.path} {each.old} -> {each.new}" for change in plan.changes for each in change.differences]


@pytest.mark.parametrize(
    "text",
    [
        "🚀",
        "👩‍👩‍👧 é ß 日本",
        "a\nb\ttab",
        "\x00\x1b[0m\x7f",
        "a\x85b",
        "a\u2028b\u2029c",
        "\ufeffbom",
        "\ufffe\uffff",
        '"\\ud83d\\n"',
        "no",
    ],
    ids=ascii,
)
def test_any_text_is_read_back_as_it_is(text: str) -> None:
    """In values and in keys."""
    config = {**PLAIN, "description": text, "metadata": {text: text}}

    desired = again(on_server(config))

    assert (text, {text: text}) == (desired.resources[0].get("description"), desired.resources[0].get("metadata"))


@pytest.mark.parametrize(
    "config",
    [
        {**KEYED, "max_msgs_per_subject": 100},
        {**KEYED, "max_msgs_per_subject": -1},
        {**KEYED, "discard": "old"},
        {**KEYED, "max_age": 500_000_000, "duplicate_window": 500_000_000},
        {**KEYED, "max_bytes": LARGEST},
        {**KEYED, "max_bytes": 9007199254740993},
        {**PLAIN, "max_age": 1_500_000_000, "duplicate_window": 1_500_000_000},
        {**PLAIN, "max_age": 90_000_000_000, "duplicate_window": 500_000_000},
        {**PLAIN, "max_msg_size": 2**31},
        {**PLAIN, "num_replicas": 7},
        {**PLAIN, "persist_mode": "later"},
    ],
    ids=lambda config: str({**config} if len(config) < 4 else [*config.items()][-2:]),
)
def test_what_a_setting_cannot_say_stands_in_config(config: Config) -> None:
    """So a hand-made object is exported as it is."""
    assert [] == differences(config)


@pytest.mark.parametrize(
    "changed",
    [
        {"backoff": [500_000_000, 10**9], "ack_wait": 500_000_000},
        {"ack_policy": "none", "ack_wait": 30 * 10**9},
        {"ack_policy": "none", "ack_wait": 0, "max_ack_pending": 0},
        {"ack_policy": "flow_control"},
        {"ack_policy": "flow_control", "ack_wait": 500_000_000},
        {"max_waiting": -1},
        {"opt_start_time": "2026-01-31T12:00:00.123456789Z", "deliver_policy": "by_start_time"},
        {"inactive_threshold": 1},
    ],
    ids=str,
)
def test_what_a_consumers_setting_cannot_say_stands_in_config(changed: dict[str, Any]) -> None:
    """So a hand-made consumer is exported as it is."""
    assert [] == differences(PLAIN, {**WORKER, **changed})


@pytest.mark.parametrize(
    ("config", "path", "said"),
    [
        ({**PLAIN, "max_msgs": LARGEST}, "maxMessages", 0),
        ({**PLAIN, "max_msgs": 9007199254740993}, "maxMessages", 9007199254740992),
        ({**PLAIN, "max_msgs": 9007199254740992}, "maxMessages", 9007199254740992),
        ({**PLAIN, "max_bytes": LARGEST}, "maxBytes", LARGEST),
    ],
)
def test_a_number_that_no_reader_of_yaml_keeps_is_said_as_near_as_can_be(config: Config, path: str, said: int) -> None:
    """Helm keeps floats. What is as good as no limit is none; a size is a text and keeps every byte."""
    assert said == again(on_server(config)).resources[0].get(path)


def test_a_raw_number_that_no_reader_of_yaml_keeps_is_said_as_near_as_can_be() -> None:
    """A file that is off by a nanosecond can be read; one that is right cannot."""
    desired = again(on_server({**PLAIN, "max_age": LARGEST}))

    assert {"max_age": 9223372036854774784} == desired.resources[0].config


def test_limits_of_consumers_with_a_part_of_a_second_stand_in_config() -> None:
    """All of the group, since a raw field is whole."""
    limits = {"inactive_threshold": 500_000_000, "max_ack_pending": 5}
    exported = as_values.values(on_server({**PLAIN, "consumer_limits": limits}))

    assert {"consumer_limits": limits} == exported["streams"]["S"]["config"]
