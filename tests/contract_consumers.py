"""What every server does with consumers, the ones people run and the one in memory: one truth a test.

``adapters/test_contract.py`` and ``live/test_contract.py`` run these, with their ``server`` and ``eventually``.
"""

from __future__ import annotations

import pytest

from contract import consumer, filled, found, stream
from natsmith.adapters.server import Config, Refused, Server
from natsmith.model.units import NANOS

V2_14 = 4
"""The API level from which on a consumer can be reset."""


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


async def test_one_consumer_is_read_alone(server: Server) -> None:
    """What is not there is None, and so is what belongs to a stream that is not there."""
    await server.create_stream(stream())
    made = await server.put_consumer("S", consumer(), verb="create")

    assert (await server.consumer("S", made.name)) is not None
    assert await server.consumer("S", "other") is None
    assert await server.consumer("nowhere", made.name) is None


async def test_a_paused_consumer_shows_until_when_and_goes_on_when_it_is_told_to(server: Server) -> None:
    await filled(server, "S.a")
    before = await server.put_consumer("S", consumer(), verb="create")

    await server.pause_consumer("S", "c", "2099-01-01T00:00:00Z")
    (paused,) = await server.consumers("S")
    assert paused.config["pause_until"] == "2099-01-01T00:00:00Z"

    await server.pause_consumer("S", "c", "")
    (info,) = await server.consumers("S")
    assert (None, before.created, 1) == (info.config.get("pause_until"), info.created, info.pending)


async def test_pausing_a_consumer_that_is_gone_is_no_error(server: Server) -> None:
    await filled(server)

    await server.pause_consumer("S", "c", "2099-01-01T00:00:00Z")
    await server.pause_consumer("nowhere", "c", "")
    assert await server.consumers("S") == []


async def test_a_consumer_goes_on_where_it_is_reset_to_with_its_configuration_as_it_was(server: Server) -> None:
    if (await server.account()).level < V2_14:
        pytest.skip("a server before 2.14 does not answer")
    await filled(server, "S.a", "S.a", "S.a")
    before = await server.put_consumer("S", consumer(), verb="create")

    await server.reset_consumer("S", "c", 3)
    info = await server.consumer("S", "c")
    assert info is not None
    assert (before.config["deliver_policy"], before.created, 2) == (
        info.config["deliver_policy"],
        info.created,
        info.delivered,
    )


async def test_a_consumer_of_what_is_new_is_reset_to_nowhere(server: Server) -> None:
    if (await server.account()).level < V2_14:
        pytest.skip("a server before 2.14 does not answer")
    await filled(server, "S.a")
    await server.put_consumer("S", consumer(deliver_policy="new"), verb="create")

    with pytest.raises(Refused) as refused:
        await server.reset_consumer("S", "c", 1)
    assert refused.value.code == 10204
