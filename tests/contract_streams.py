"""What every server does with streams, the ones people run and the one in memory: one truth a test.

``adapters/test_contract.py`` and ``live/test_contract.py`` run these, with their ``server`` and ``eventually``.
"""

from __future__ import annotations

import asyncio

import pytest

from contract import changed, filled, found, stream
from natsmith.adapters.server import Config, Refused, Server
from natsmith.model.units import NANOS
from waiting import Eventually


async def test_an_account_begins_empty(server: Server) -> None:
    assert await server.streams() == []


async def test_the_account_tells_its_api_level_and_no_limits(server: Server) -> None:
    account = await server.account()

    assert account.level >= 1
    assert (
        account.limits.memory,
        account.limits.storage,
        account.limits.streams,
        account.limits.consumers,
    ) == (-1, -1, -1, -1)
    assert not account.clustered


async def test_a_created_stream_is_found_as_it_was_answered(server: Server) -> None:
    created = await server.create_stream(stream(description="d", metadata={"a": "b"}))

    info = await found(server)
    assert created.config == info.config
    assert created.created == info.created
    assert info.config["subjects"] == ["S.>"]
    assert (info.messages, info.first_sequence, info.last_sequence, info.first_time) == (0, 0, 0, "")
    assert info.created <= info.now


async def test_a_stream_that_is_not_there_is_none(server: Server) -> None:
    assert await server.stream("S") is None


async def test_every_stream_is_listed(server: Server) -> None:
    names = [f"S{number:03}" for number in range(300)]
    await asyncio.gather(*(server.create_stream(stream(name)) for name in names))

    assert names == sorted(each.config["name"] for each in await server.streams())


async def test_creating_the_same_stream_again_changes_nothing(server: Server) -> None:
    created = await server.create_stream(stream())

    again = await server.create_stream(stream())
    assert (created.config, created.created) == (again.config, again.created)


async def test_a_name_that_is_taken_by_another_configuration_is_refused(server: Server) -> None:
    await server.create_stream(stream())

    with pytest.raises(Refused) as refused:
        await server.create_stream(stream(max_age=NANOS))
    assert (refused.value.code, refused.value.request) == (10058, "STREAM.CREATE.S")


async def test_subjects_of_two_streams_must_not_overlap(server: Server) -> None:
    await server.create_stream(stream())

    with pytest.raises(Refused) as refused:
        await server.create_stream(stream("T", subjects=["S.*"]))
    assert refused.value.code == 10065


async def test_no_limit_is_shown_as_minus_one_and_defaults_are_shown(server: Server) -> None:
    limits = ("max_consumers", "max_msgs", "max_bytes", "max_msgs_per_subject", "max_msg_size")
    config = (await server.create_stream(stream(**dict.fromkeys(limits, 0)))).config

    config.pop("metadata")
    assert {
        "name": "S",
        "subjects": ["S.>"],
        "retention": "limits",
        **dict.fromkeys(limits, -1),
        "max_age": 0,
        "discard": "old",
        "storage": "memory",
        "num_replicas": 1,
        "duplicate_window": 120 * NANOS,
        "compression": "none",
        "allow_direct": False,
        "mirror_direct": False,
        "sealed": False,
        "deny_delete": False,
        "deny_purge": False,
        "allow_rollup_hdrs": False,
        "consumer_limits": {},
        "allow_msg_ttl": False,
    } == config


async def test_what_is_absent_at_its_default_is_not_shown(server: Server) -> None:
    given = {"placement": {}, "first_seq": 0, "subject_delete_marker_ttl": 0, "description": "", "no_ack": False}

    assert given.keys().isdisjoint((await server.create_stream(stream(**given))).config)


async def test_a_stream_without_subjects_takes_its_name(server: Server) -> None:
    assert (await server.create_stream(stream(subjects=[]))).config["subjects"] == ["S"]


async def test_the_duplicate_window_follows_a_shorter_age(server: Server) -> None:
    config = (await server.create_stream(stream(max_age=10 * NANOS))).config

    assert config["duplicate_window"] == 10 * NANOS


async def test_markers_turn_message_ttls_and_rollups_on(server: Server) -> None:
    config = (await server.create_stream(stream(subject_delete_marker_ttl=2 * NANOS))).config

    assert (config["allow_msg_ttl"], config["allow_rollup_hdrs"]) == (True, True)


async def test_a_mirror_has_no_subjects_and_no_window(server: Server) -> None:
    await server.create_stream(stream())

    config = (await server.create_stream({"name": "M", "storage": "memory", "mirror": {"name": "S"}})).config
    assert {"subjects", "duplicate_window"}.isdisjoint(config)
    with pytest.raises(Refused) as refused:
        await server.create_stream(stream("N", mirror={"name": "S"}))
    assert refused.value.code == 10034


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"max_age": 10 * NANOS, "duplicate_window": 20 * NANOS}, 10052),
        ({"subject_delete_marker_ttl": NANOS // 2}, 10052),
        ({"sealed": True}, 10052),
        ({"num_replicas": 3}, 10074),
        ({"num_replicas": 6}, 10052),
        ({"subjects": ["S.*", "S.a"]}, 10052),
        ({"discard_new_per_subject": True}, 10052),
        ({"deny_purge": True, "allow_rollup_hdrs": True}, 10052),
        ({"metadata": {"a": "x" * 131072}}, 10052),
        ({"storage": ""}, 10025),
        ({"discard": ""}, 10025),
    ],
    ids=str,
)
async def test_what_cannot_be_created_is_refused(server: Server, wrong: Config, code: int) -> None:
    with pytest.raises(Refused) as refused:
        await server.create_stream(stream(**wrong))

    assert code == refused.value.code
    assert await server.streams() == []


@pytest.mark.parametrize(
    ("before", "change"),
    [
        ({}, {"storage": "file"}),
        ({}, {"retention": "workqueue"}),
        ({"retention": "workqueue"}, {"retention": "limits"}),
        ({"retention": "interest"}, {"retention": "workqueue"}),
        ({"deny_delete": True}, {"deny_delete": False}),
        ({"deny_purge": True}, {"deny_purge": False}),
        ({"allow_msg_ttl": True}, {"allow_msg_ttl": False}),
        ({}, {"max_age": 10 * NANOS}),
    ],
    ids=str,
)
async def test_what_cannot_change_in_place_is_refused(server: Server, before: Config, change: Config) -> None:
    config = (await server.create_stream(stream(**before))).config

    with pytest.raises(Refused) as refused:
        await changed(server, config, **change)
    assert refused.value.code == 10052
    assert config == (await found(server)).config


async def test_another_origin_of_a_mirror_is_refused(server: Server) -> None:
    config = (await server.create_stream({"name": "M", "mirror": {"name": "S"}, "storage": "memory"})).config

    with pytest.raises(Refused) as refused:
        await changed(server, config, mirror={"name": "T"})
    assert refused.value.code == 10055


@pytest.mark.parametrize(
    "change",
    [
        {"max_age": 3600 * NANOS},
        {"max_age": 10 * NANOS, "duplicate_window": 0},
        {"subjects": ["S.>", "T.>"]},
        {"description": "d"},
        {"allow_direct": True},
        {"allow_msg_ttl": True},
        {"subject_delete_marker_ttl": 5 * NANOS},
        {"deny_delete": True},
        {"max_msgs": 100},
        {"compression": "s2"},
        {"metadata": {"a": "b"}},
    ],
    ids=str,
)
async def test_what_can_change_in_place_keeps_messages_and_birthday(server: Server, change: Config) -> None:
    before = await filled(server, "S.a")
    birthday = (await found(server)).created

    after = await changed(server, before, **change)
    given = {key: value for key, value in change.items() if key not in ("duplicate_window", "metadata")}
    assert given.items() <= after.config.items()
    assert (1, birthday) == (after.messages, after.created)
    assert after.config == (await found(server)).config


async def test_updating_a_stream_that_is_not_there_is_refused(server: Server) -> None:
    with pytest.raises(Refused) as refused:
        await server.update_stream(stream())

    assert (refused.value.code, refused.value.request) == (10059, "STREAM.UPDATE.S")


async def test_an_update_without_metadata_wipes_it(server: Server) -> None:
    config = (await server.create_stream(stream(metadata={"a": "b"}))).config
    assert config.pop("metadata")["a"] == "b"

    after = (await server.update_stream(config)).config["metadata"]
    assert [key for key in after if not key.startswith("_nats.")] == []


async def test_a_smaller_age_destroys_what_is_older(server: Server, eventually: Eventually) -> None:
    config = await filled(server, "S.a")
    await changed(server, config, max_age=NANOS, duplicate_window=0)

    async def gone() -> bool:
        return (await found(server)).messages == 0

    await eventually(gone, within=3)
    assert ((await found(server)).first_sequence, (await found(server)).last_sequence) == (2, 1)


@pytest.mark.parametrize(
    ("change", "left"), [({"max_msgs": 2}, 2), ({"max_bytes": 1}, 0), ({"max_msgs_per_subject": 1}, 2)], ids=str
)
async def test_a_smaller_limit_destroys_the_oldest_at_once(server: Server, change: Config, left: int) -> None:
    config = await filled(server, "S.a", "S.a", "S.b", "S.a", max_msgs_per_subject=5)

    assert left == (await changed(server, config, **change)).messages


@pytest.mark.parametrize("change", [{"max_msgs": 1}, {"max_bytes": 1}], ids=str)
async def test_where_the_new_message_gives_way_a_smaller_limit_destroys_nothing(server: Server, change: Config) -> None:
    config = await filled(server, "S.a", "S.b", discard="new")

    assert (await changed(server, config, **change)).messages == 2
    with pytest.raises(Refused) as refused:
        await server.publish("S.c", b"")
    assert refused.value.code == 10077


async def test_a_deleted_stream_is_gone_with_its_messages(server: Server) -> None:
    await filled(server, "S.a")
    await server.delete_stream("S")

    assert await server.stream("S") is None
    assert (await server.create_stream(stream())).messages == 0


async def test_deleting_a_stream_that_is_gone_is_no_error(server: Server) -> None:
    await server.delete_stream("S")
