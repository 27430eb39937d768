"""What every server does with messages, the ones people run and the one in memory: one truth a test.

``adapters/test_contract.py`` and ``live/test_contract.py`` run these, with their ``server`` and ``eventually``.
"""

from __future__ import annotations

import pytest

from contract import filled, found, stream
from natsmith.adapters.server import Config, Refused, Server
from natsmith.errors import NotReady
from natsmith.model.units import NANOS
from waiting import Eventually


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


async def test_a_message_that_is_deleted_leaves_a_gap(server: Server) -> None:
    """The gap is named where it is asked for; what comes next has the next sequence."""
    await filled(server, "S.a", "S.b", "S.c", "S.d")

    await server.delete_message("S", 2)
    await server.delete_message("S", 3)
    info = await server.stream("S", gaps=True)
    assert info is not None
    assert (2, 1, 4, 2, frozenset({2, 3})) == (
        info.messages,
        info.first_sequence,
        info.last_sequence,
        info.deleted,
        info.gaps,
    )
    assert frozenset() == (await found(server)).gaps
    assert await server.publish("S.e", b"") == 5


async def test_what_is_deleted_at_the_beginning_is_no_gap(server: Server) -> None:
    await filled(server, "S.a", "S.b", "S.c")

    await server.delete_message("S", 1)
    info = await server.stream("S", gaps=True)
    assert info is not None
    assert (2, frozenset()) == (info.first_sequence, info.gaps)


async def test_deleting_a_message_that_is_gone_is_no_error(server: Server) -> None:
    await filled(server, "S.a", "S.b")

    for _ in range(2):
        await server.delete_message("S", 1)
    await server.delete_message("S", 99)
    await server.delete_message("nowhere", 1)
    assert (await found(server)).messages == 1


async def test_a_stream_may_deny_that_messages_are_deleted(server: Server) -> None:
    await filled(server, "S.a", deny_delete=True)

    with pytest.raises(Refused) as refused:
        await server.delete_message("S", 1)
    assert refused.value.code == 10057


async def test_a_relay_that_nobody_asks_passes_nothing_on(server: Server) -> None:
    """It may be told to hold, where to pass on, and to rest, in any order; and it disturbs nobody."""
    await filled(server, "S.a")
    await server.create_stream(stream("T"))

    async with server.relay("S", through="T") as relay:
        relay.hold()
        await relay.to("T")
        relay.rest()
        await relay.to("S")
        assert relay.passed == 0
    assert (await found(server)).messages == 1


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
