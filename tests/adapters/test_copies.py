"""The configurations that streams have while one is moved, and how far a move came by what is there."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from natsmith.adapters import copies
from natsmith.adapters.server import Config, StreamInfo
from natsmith.model.moving import METADATA, Record, Stage

ORIGINAL: Config = {
    "name": "S",
    "subjects": ["S.>"],
    "storage": "memory",
    "retention": "limits",
    "max_msgs": 5,
    "max_bytes": 1000,
    "max_msg_size": 10,
    "max_msgs_per_subject": 1,
    "discard": "new",
    "allow_direct": True,
    "metadata": {"natsmith.owner": "local", "_nats.level": "5"},
}
FINAL: Config = {**ORIGINAL, "storage": "file", "metadata": {"natsmith.owner": "local"}}


def record(**more: Any) -> Record:
    parts: dict[str, Any] = {"home": "S", "source": "S", "owner": "local", "created": "then"}
    return Record(**{**parts, "original": ORIGINAL, "final": FINAL, **more})


ASKING = {"api": "_natsmith.api", "deliver": ""}
"""Where a copy asks for what it copies: of a server itself it would take over that it answers for its origin."""

RENAMED = record(home="T", source="S", final={**FINAL, "name": "T", "subjects": ["T.>"]})


def info(config: Config, **more: Any) -> StreamInfo:
    return StreamInfo(config=config, **more)


def out(**final: Any) -> Config:
    """Return the configuration of the copy on the way out."""
    return copies.copying({**FINAL, **final}, "S", record())


def back(final: Config = FINAL, **more: Any) -> Config:
    """Return the configuration of the copy on the way back."""
    about = record(**more)
    return copies.copying(final, about.carrier, about)


# -- What copies


@pytest.mark.parametrize("config", [out(), back()], ids=["out", "back"])
def test_a_copy_reaches_no_limit(config: Config) -> None:
    """A mirror that would have to refuse a message stands still for good."""
    assert {"max_msgs": -1, "max_bytes": -1, "max_msg_size": -1, "discard": "old"}.items() <= config.items()


@pytest.mark.parametrize("config", [out(), back()], ids=["out", "back"])
def test_a_copy_has_no_subjects(config: Config) -> None:
    assert "subjects" not in config


@pytest.mark.parametrize("config", [back(), copies.copying(dict(RENAMED.final), "S", RENAMED)], ids=["back", "renamed"])
def test_a_copy_that_others_know_the_name_of_answers_nobody(config: Config) -> None:
    assert config["allow_direct"] is False


def test_a_copy_that_nobody_knows_answers_from_the_beginning() -> None:
    """Told only when it takes the writes, a replica that is behind would answer as well."""
    assert out()["allow_direct"] is True


@pytest.mark.parametrize(
    "key",
    ["republish", "subject_transform", "sources", "subject_delete_marker_ttl", "allow_msg_schedules", "allow_atomic"],
)
def test_a_copy_does_nothing_twice(key: str) -> None:
    """Nor does it ask for what the server refuses a mirror."""
    assert key not in out(**{key: {"src": ">", "dest": "out.>"}})


def test_the_copy_on_the_way_out_outlives_a_restart_and_keeps_everything() -> None:
    config = out(retention="workqueue", storage="memory", max_consumers=1)

    assert {"name": "natsmith_move_S", "storage": "file", "retention": "limits", "max_consumers": -1}.items() <= (
        config.items()
    )
    assert {"name": "S", "external": ASKING} == config["mirror"]


def test_the_copy_on_the_way_back_is_of_the_wanted_make() -> None:
    """But keeps what comes before its consumers, and shows nobody a bucket that is not whole."""
    config = back({**FINAL, "retention": "interest"})

    assert {"name": "S", "storage": "file", "retention": "limits", "max_msgs_per_subject": -1}.items() <= config.items()
    assert {"name": "natsmith_move_S", "external": ASKING} == config["mirror"]


@pytest.mark.parametrize("key", ["allow_rollup_hdrs", "allow_msg_ttl"])
@pytest.mark.parametrize(("before", "after"), [(True, False), (False, True), (False, False)])
def test_what_was_written_by_the_old_rules_is_copied_by_them(key: str, before: bool, after: bool) -> None:
    about = record(original={**ORIGINAL, key: before})
    config = copies.copying({**FINAL, key: after}, "S", about)

    assert (before or after) is config[key]


def test_a_rename_gives_messages_their_new_subjects_and_lets_the_mark_through() -> None:
    """What no transform matches would not be copied."""
    config = copies.copying(dict(RENAMED.final), "S", RENAMED)

    assert {
        "name": "S",
        "external": ASKING,
        "subject_transforms": [
            {"src": "S.>", "dest": "T.>"},
            {"src": "_natsmith.park.S", "dest": "_natsmith.park.S"},
        ],
    } == config["mirror"]


def test_a_rename_that_keeps_its_subjects_transforms_nothing() -> None:
    about = replace(RENAMED, final={**RENAMED.final, "subjects": ["S.>"]})
    config = copies.copying(dict(about.final), "S", about)

    assert {"name": "S", "external": ASKING} == config["mirror"]


def test_a_witness_remembers_the_move_on_disk_and_takes_no_writes() -> None:
    config = copies.witness(record())

    assert (record(), True, "file") == (
        copies.record_of(info(config)),
        copies.is_parked(info(config)),
        config["storage"],
    )


# -- The switch


def test_what_is_parked_takes_only_the_mark_whatever_its_limits() -> None:
    config = copies.parked({**ORIGINAL, "no_ack": True, "sources": [{"name": "O"}]})

    assert ["_natsmith.park.S"] == config["subjects"]
    assert {"max_msgs": -1, "max_bytes": -1, "max_msg_size": -1, "max_msgs_per_subject": -1}.items() <= config.items()
    assert (False, False) == (config["no_ack"], config["allow_direct"])
    assert "sources" not in config


def test_what_is_parked_leaves_no_marker_and_waits_for_nobodys_interest() -> None:
    """Nothing may be stored that is not copied, and nobody is interested in the mark."""
    config = copies.parked({**ORIGINAL, "retention": "interest", "subject_delete_marker_ttl": 5})

    assert "limits" == config["retention"]
    assert "subject_delete_marker_ttl" not in config


def test_what_is_parked_is_known_by_it() -> None:
    assert copies.is_parked(info(copies.parked(ORIGINAL)))
    assert not copies.is_parked(info(ORIGINAL))


def test_a_promoted_copy_has_the_subjects_and_limits_that_are_wanted() -> None:
    final = {**FINAL, "republish": {"src": ">", "dest": "out.>"}, "sealed": True, "mirror_direct": True}
    config = copies.promoted(out(), final)

    assert "mirror" not in config
    assert {key: FINAL[key] for key in ("subjects", "max_msgs", "max_bytes", "discard")}.items() <= config.items()
    assert "republish" in config
    assert not {"sealed", "mirror_direct"} & config.keys()


# -- What is remembered


def test_the_copy_remembers_the_move_until_it_is_forgotten() -> None:
    config = out()

    assert record() == copies.record_of(info(config))
    assert METADATA not in copies.forgetting(config)["metadata"]
    assert "local" == config["metadata"]["natsmith.owner"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"v": 2}', json.dumps({**record().as_json(), "home": 1})])
def test_what_nobody_can_read_is_no_move(text: str) -> None:
    assert copies.record_of(info({"name": "natsmith_move_S", "metadata": {METADATA: text}})) is None


OLD = info(ORIGINAL, created="then", messages=5)
PARKED = info(copies.parked(ORIGINAL), created="then", messages=6)
COPY = info(out(), messages=3)
CARRIER = info(copies.remembering(copies.promoted(out(), FINAL), record()), messages=5)
CARRIER_PARKED = info(copies.parked(CARRIER.config), messages=6)
BACK = info(back(), created="now", messages=2)
NEW = info(copies.remembering(FINAL, record()), created="now", messages=5)
FOREIGN = info(FINAL, created="now")
WITNESS = info(copies.witness(record()))
WOKEN = info(copies.remembering(copies.parked(ORIGINAL), record()), created="later", messages=6, last_sequence=6)
AHEAD = info(out(), messages=7, last_sequence=7)


@pytest.mark.parametrize(
    ("home", "carrier", "stage", "at", "counts"),
    [
        (OLD, COPY, Stage.COPYING, "S", (5, 3)),
        (PARKED, COPY, Stage.PARKED, "S", (6, 3)),
        (OLD, CARRIER, Stage.SWITCHED, "natsmith_move_S", (5, 5)),
        (None, CARRIER, Stage.AWAY, "natsmith_move_S", (5, 0)),
        (BACK, CARRIER, Stage.RETURNING, "natsmith_move_S", (5, 2)),
        (BACK, CARRIER_PARKED, Stage.RETURN_PARKED, "natsmith_move_S", (6, 2)),
        (NEW, CARRIER_PARKED, Stage.HOME, "S", (5, 5)),
        (NEW, None, Stage.FINISHING, "S", (5, 5)),
        (OLD, None, Stage.ANNOUNCED, "S", (5, 0)),
        (None, COPY, Stage.FORGOTTEN, "natsmith_move_S", (3, 0)),
        (WOKEN, COPY, Stage.FORGOTTEN, "natsmith_move_S", (3, 6)),
        (replace(WOKEN, created="then"), COPY, Stage.PARKED, "S", (6, 3)),
        (replace(WOKEN, created="then"), AHEAD, Stage.UNLOADED, "S", (6, 6)),
        (WOKEN, None, Stage.UNLOADED, "S", (6, 6)),
        (BACK, None, Stage.UNLOADED, "S", (2, 2)),
        (None, CARRIER_PARKED, Stage.AWAY, "natsmith_move_S", (6, 0)),
        (None, None, Stage.UNLOADED, "S", (0, 0)),
        (FOREIGN, None, Stage.BROKEN, "natsmith_move_S", (0, 0)),
        (FOREIGN, CARRIER, Stage.BROKEN, "natsmith_move_S", (5, 0)),
        (FOREIGN, COPY, Stage.BROKEN, "natsmith_move_S", (3, 0)),
    ],
    ids=lambda each: each.name if isinstance(each, Stage) else "",
)
def test_how_far_a_move_came_is_seen_from_what_is_there(
    home: StreamInfo | None, carrier: StreamInfo | None, stage: Stage, at: str, counts: tuple[int, int]
) -> None:
    """Which stream has everything, and how much of it the other one has."""
    moving = copies.moving(record(), home, carrier, home)

    assert (stage, at, counts) == (moving.stage, moving.at, (moving.messages, moving.copied))


def test_a_rename_without_its_new_stream_is_known_by_the_old_one() -> None:
    source = info(copies.remembering(copies.parked(ORIGINAL), RENAMED), created="then")

    assert [(Stage.UNLOADED, "S")] == [(each.stage, each.at) for each in copies.moves([source])]


def test_every_move_of_an_account_is_found_once() -> None:
    """The carrier knows it best; a stream that is whole again knows what is left to do."""
    assert [Stage.RETURNING] == [each.stage for each in copies.moves([BACK, CARRIER])]
    assert [Stage.FINISHING] == [each.stage for each in copies.moves([NEW])]
    assert [Stage.UNLOADED] == [each.stage for each in copies.moves([WOKEN])]
    assert [Stage.COPYING] == [each.stage for each in copies.moves([WITNESS, OLD, COPY])]
    assert [Stage.UNLOADED] == [each.stage for each in copies.moves([WITNESS])]
    assert [] == copies.moves([WITNESS, FOREIGN])
    assert [Stage.PARKED] == [each.stage for each in copies.moves([replace(WOKEN, created="then"), COPY])]
    assert [] == copies.moves([OLD, FOREIGN])
