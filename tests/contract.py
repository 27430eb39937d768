"""What every server does, the ones people run and the one in memory: one truth a test, on an account of its own.

``adapters/test_contract.py`` and ``live/test_contract.py`` run these with their ``server`` and ``eventually``.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from natsmith.adapters.server import Config, Refused, Server, StreamInfo
from natsmith.errors import NotReady
from natsmith.model.units import NANOS
from waiting import Eventually


def stream(name: str = "S", /, **more: Any) -> Config:
    """Return a stream in memory on subjects below its name."""
    return {"name": name, "subjects": [f"{name}.>"], "storage": "memory", **more}


def consumer(name: str = "c", /, **more: Any) -> Config:
    """Return a consumer that acknowledges."""
    return {"durable_name": name, "name": name, "ack_policy": "explicit", **more}


async def filled(server: Server, *subjects: str, **more: Any) -> Config:
    """Return the stream S after one message on each of *subjects*."""
    created = await server.create_stream(stream(**more))
    for subject in subjects:
        await server.publish(subject, b"0123456789")
    return created.config


async def found(server: Server, name: str = "S") -> StreamInfo:
    info = await server.stream(name)
    assert info is not None
    return info


async def changed(server: Server, config: Config, **change: Any) -> StreamInfo:
    return await server.update_stream({**config, **change})


# -- Streams


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


async def test_a_purge_removes_everything_and_sequences_go_on(server: Server) -> None:
    await filled(server, "S.a", "S.b")

    assert await server.purge_stream("S") == 2
    assert await server.publish("S.a", b"") == 3


async def test_a_purge_removes_one_subject_below_a_sequence(server: Server) -> None:
    await filled(server, "S.a", "S.b", "S.a", "S.a")

    assert await server.purge_stream("S", subject="S.a", before=3) == 1
    assert await server.subject_counts("S") == {"S.a": 2, "S.b": 1}


async def test_a_purge_can_be_forbidden(server: Server) -> None:
    await filled(server, "S.a", deny_purge=True)

    with pytest.raises(Refused) as refused:
        await server.purge_stream("S")
    assert refused.value.code == 10110


async def test_purging_a_stream_that_is_not_there_is_refused(server: Server) -> None:
    with pytest.raises(Refused) as refused:
        await server.purge_stream("S")
    assert refused.value.code == 10059


# -- Messages


async def test_the_newest_message_of_a_subject_is_the_last(server: Server) -> None:
    await filled(server, "S.a", "S.a", "S.b")

    last = await server.last("S", "S.a")
    assert last is not None
    assert (last.subject, last.sequence, last.payload) == ("S.a", 2, b"0123456789")
    assert last.time >= (await found(server)).first_time


async def test_a_subject_without_messages_has_no_last(server: Server) -> None:
    await filled(server, "S.a")

    assert await server.last("S", "S.b") is None
    assert await server.last("T", "S.a") is None


async def test_a_subject_is_written_only_at_the_expected_sequence(server: Server) -> None:
    await filled(server)

    assert await server.publish("S.a", b"", expect=0) == 1
    with pytest.raises(Refused) as refused:
        await server.publish("S.a", b"", expect=0)
    assert refused.value.code == 10071
    assert await server.publish("S.a", b"", expect=1) == 2


async def test_a_lock_that_is_purged_below_the_next_sequence_is_free(server: Server) -> None:
    await filled(server, max_msgs_per_subject=1)
    held = await server.publish("S.lock", b"", expect=0)

    assert await server.purge_stream("S", subject="S.lock", before=held + 1) == 1
    assert await server.publish("S.lock", b"", expect=0) == 2
    assert await server.purge_stream("S", subject="S.lock", before=held + 1) == 0


async def test_a_message_with_a_ttl_goes_and_the_others_stay(server: Server, eventually: Eventually) -> None:
    await filled(server, "S.a", allow_msg_ttl=True)
    await server.publish("S.b", b"", ttl=1)

    async def gone() -> bool:
        return await server.subject_counts("S") == {"S.a": 1}

    await eventually(gone, within=3)
    assert await server.publish("S.b", b"", expect=0) == 3


async def test_a_ttl_where_none_is_allowed_is_refused(server: Server) -> None:
    await filled(server)

    with pytest.raises(Refused) as refused:
        await server.publish("S.a", b"", ttl=1)
    assert refused.value.code == 10166


async def test_a_marker_stands_where_the_last_value_expired(server: Server, eventually: Eventually) -> None:
    await filled(server, subject_delete_marker_ttl=60 * NANOS, max_msgs_per_subject=1)
    await server.publish("S.a", b"v", ttl=1)

    async def marked() -> bool:
        last = await server.last("S", "S.a")
        return last is not None and last.headers.get("Nats-Marker-Reason") == "MaxAge" and last.payload == b""

    await eventually(marked, within=3)
    assert (await found(server)).last_sequence == 2


async def test_markers_raise_a_shorter_ttl_to_their_own_where_there_is_history(server: Server) -> None:
    await filled(server, subject_delete_marker_ttl=60 * NANOS, max_msgs_per_subject=2)
    await server.publish("S.a", b"v", ttl=1)

    last = await server.last("S", "S.a")
    assert last is not None
    assert last.headers["Nats-TTL"] == "60"


async def test_a_message_that_no_stream_takes_is_not_stored(server: Server) -> None:
    with pytest.raises(NotReady, match=r"nobody\.here"):
        await server.publish("nobody.here", b"")


async def test_every_subject_is_counted(server: Server) -> None:
    await filled(server, "S.a", "S.b", "S.a")

    assert await server.subject_counts("S") == {"S.a": 2, "S.b": 1}


async def test_nothing_has_no_subjects(server: Server) -> None:
    await filled(server)

    assert (await server.subject_counts("S"), await server.subject_counts("T")) == ({}, {})


async def test_a_full_subject_keeps_its_newest(server: Server) -> None:
    await filled(server, "S.a", "S.a", "S.a", max_msgs_per_subject=2, discard="new")

    assert (
        (await found(server)).messages,
        (await found(server)).first_sequence,
        (await found(server)).last_sequence,
    ) == (2, 2, 3)


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"max_msgs": 1, "discard": "new"}, 10077),
        ({"max_msgs_per_subject": 1, "discard": "new", "discard_new_per_subject": True}, 10077),
        ({"max_msg_size": 5}, 10054),
    ],
    ids=str,
)
async def test_a_message_without_room_is_refused(server: Server, limits: Config, code: int) -> None:
    await server.create_stream(stream(**limits))
    await server.publish("S.a", b"")

    with pytest.raises(Refused) as refused:
        await server.publish("S.a", b"0123456789")
    assert code == refused.value.code


async def test_messages_are_counted_since_a_time(server: Server) -> None:
    await filled(server, "S.a", "S.b")
    last = await server.last("S", "S.b")
    assert last is not None

    info = await found(server)
    assert await server.count_since("S", info.first_time) == 2
    assert 1 <= (await server.count_since("S", last.time) or 0) <= 2
    assert await server.count_since("S", "2100-01-01T00:00:00Z") == 0
    assert await server.consumers("S") == []


async def test_nobody_may_count_in_a_work_queue_or_in_nothing(server: Server) -> None:
    await filled(server, "S.a", retention="workqueue")

    assert await server.count_since("S", "2020-01-01T00:00:00Z") is None
    assert await server.count_since("T", "2020-01-01T00:00:00Z") is None


# -- Consumers


async def test_a_created_consumer_is_found_as_it_was_answered(server: Server) -> None:
    await filled(server, "S.a", "S.b")
    created = await server.put_consumer("S", consumer(filter_subjects=["S.a"], metadata={"a": "b"}), verb="create")

    (info,) = await server.consumers("S")
    # A listing leaves some of the server's own metadata out.
    for config in (created.config, info.config):
        config["metadata"] = {key: value for key, value in config["metadata"].items() if not key.startswith("_nats.")}
    assert created.config == info.config
    assert ("S", "c", 1, created.created) == (info.stream, info.name, info.pending, info.created)
    assert (info.delivered, info.ack_floor, info.ack_pending) == (0, 0, 0)
    assert (await found(server)).consumers == 1


async def test_a_consumer_that_acknowledges_shows_its_defaults(server: Server) -> None:
    await filled(server)
    config = (await server.put_consumer("S", consumer(), verb="create")).config

    config.pop("metadata")
    assert config == {
        "durable_name": "c",
        "name": "c",
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": 30 * NANOS,
        "max_deliver": -1,
        "replay_policy": "instant",
        "max_waiting": 512,
        "max_ack_pending": 1000,
        "num_replicas": 0,
    }


async def test_creating_the_same_consumer_again_changes_nothing(server: Server) -> None:
    await filled(server)
    created = await server.put_consumer("S", consumer(), verb="create")

    assert created.created == (await server.put_consumer("S", consumer(), verb="create")).created


async def test_a_consumer_is_neither_created_over_another_nor_updated_from_nothing(server: Server) -> None:
    await filled(server)
    await server.put_consumer("S", consumer(), verb="create")

    with pytest.raises(Refused) as refused:
        await server.put_consumer("S", consumer(max_deliver=5), verb="create")
    assert refused.value.code == 10148
    with pytest.raises(Refused) as refused:
        await server.put_consumer("S", consumer("d"), verb="update")
    assert refused.value.code == 10149


@pytest.mark.parametrize(
    "change",
    [
        {"ack_wait": NANOS},
        {"max_deliver": 5},
        {"filter_subjects": ["S.a"]},
        {"max_ack_pending": 5},
        {"description": "d"},
        {"headers_only": True},
        {"inactive_threshold": 60 * NANOS},
    ],
    ids=str,
)
async def test_what_can_change_on_a_consumer_changes_in_place(server: Server, change: Config) -> None:
    await filled(server)
    before = await server.put_consumer("S", consumer(), verb="create")

    after = await server.put_consumer("S", {**before.config, **change}, verb="update")
    assert change.items() <= after.config.items()
    assert before.created == after.created


@pytest.mark.parametrize(
    "change",
    [
        {"deliver_policy": "new"},
        {"ack_policy": "all"},
        {"ack_policy": "none"},
        {"replay_policy": "original"},
        {"max_waiting": 10},
        {"deliver_policy": "by_start_sequence", "opt_start_seq": 1},
    ],
    ids=str,
)
async def test_what_cannot_change_on_a_consumer_is_refused(server: Server, change: Config) -> None:
    await filled(server)
    await server.put_consumer("S", consumer(), verb="create")

    with pytest.raises(Refused) as refused:
        await server.put_consumer("S", consumer(**change), verb="update")
    assert refused.value.code == 10012


async def test_a_consumer_begins_where_it_is_told_to(server: Server) -> None:
    await filled(server, "S.a", "S.a", "S.a")

    begins = {"deliver_policy": "by_start_sequence", "opt_start_seq": 2}
    assert (await server.put_consumer("S", consumer(**begins), verb="create")).pending == 2
    assert (await server.put_consumer("S", consumer("d", deliver_policy="new"), verb="create")).pending == 0


@pytest.mark.parametrize(("second", "code"), [({}, 10099), ({"filter_subjects": ["S.a"]}, 10100)], ids=str)
async def test_a_work_queue_has_one_consumer_for_a_message(server: Server, second: Config, code: int) -> None:
    await filled(server, retention="workqueue")
    await server.put_consumer("S", consumer(), verb="create")

    with pytest.raises(Refused) as refused:
        await server.put_consumer("S", consumer("d", **second), verb="create")
    assert code == refused.value.code


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"deliver_policy": "new"}, 10101),
        ({"deliver_policy": "by_start_sequence", "opt_start_seq": 1}, 10101),
        ({"ack_policy": "none"}, 10084),
    ],
    ids=str,
)
async def test_a_work_queue_is_worked_from_its_start_and_acknowledged(server: Server, wrong: Config, code: int) -> None:
    await filled(server, retention="workqueue")

    with pytest.raises(Refused) as refused:
        await server.put_consumer("S", consumer(**wrong), verb="create")
    assert code == refused.value.code


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"filter_subjects": ["S.a", "S.*"]}, 10138),
        ({"deliver_subject": "d", "max_waiting": 5}, 10080),
        ({"backoff": [NANOS, NANOS], "max_deliver": 1}, 10116),
        ({"num_replicas": 3}, 10074),
    ],
    ids=str,
)
async def test_a_consumer_that_cannot_be_is_refused(server: Server, wrong: Config, code: int) -> None:
    await filled(server)

    with pytest.raises(Refused) as refused:
        await server.put_consumer("S", consumer(**wrong), verb="create")
    assert (code, []) == (refused.value.code, await server.consumers("S"))


async def test_a_stream_has_no_more_consumers_than_it_allows(server: Server) -> None:
    await filled(server, max_consumers=1)
    await server.put_consumer("S", consumer(), verb="create")

    with pytest.raises(Refused) as refused:
        await server.put_consumer("S", consumer("d"), verb="create")
    assert refused.value.code == 10026


async def test_consumers_die_with_their_stream(server: Server) -> None:
    await filled(server)
    await server.put_consumer("S", consumer(), verb="create")
    await server.delete_stream("S")

    assert await server.consumers("S") == []
    with pytest.raises(Refused) as refused:
        await server.put_consumer("S", consumer(), verb="create")
    assert refused.value.code == 10059


async def test_deleting_a_consumer_that_is_gone_is_no_error(server: Server) -> None:
    await filled(server)
    await server.put_consumer("S", consumer(), verb="create")

    for _ in range(2):
        await server.delete_consumer("S", "c")
    await server.delete_consumer("T", "c")
    assert await server.consumers("S") == []
