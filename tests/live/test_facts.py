"""What natsmith was built on: how streams and locks behave on each server version.

A new version that breaks one of these changes what a plan may promise.
"""

from __future__ import annotations

import json
from typing import Any

import nats.aio.client
import nats.aio.msg
import pytest

from contract import changed, filled, found, stream
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import JetStream
from natsmith.adapters.server import Config, Refused
from natsmith.model.units import NANOS
from waiting import Eventually

V2_12 = 2
V2_14 = 4
V2_15 = 5
"""The lowest API levels of these versions."""


# -- Configurations


@pytest.mark.parametrize(
    ("before", "change"),
    [
        ({"allow_msg_counter": True}, {"allow_msg_counter": False}),
        ({}, {"allow_msg_counter": True}),
        ({"allow_msg_schedules": True}, {"allow_msg_schedules": False}),
        ({"storage": "file"}, {"persist_mode": "async"}),
    ],
    ids=str,
)
async def test_what_came_with_2_12_cannot_change_in_place(
    server: JetStream, level: int, before: Config, change: Config
) -> None:
    config = (await server.create_stream(stream(**before))).config

    if level < V2_12:
        after = await changed(server, config, **change)
        assert change.keys().isdisjoint(after.config)
    else:
        with pytest.raises(Refused) as refused:
            await changed(server, config, **change)
        assert refused.value.code == 10052


async def test_a_field_that_the_server_does_not_know_is_refused_from_2_12_on_and_dropped_before(
    server: JetStream, level: int
) -> None:
    if level < V2_12:
        assert "nonsense" not in (await server.create_stream(stream(nonsense=1))).config
    else:
        with pytest.raises(Refused) as refused:
            await server.create_stream(stream(nonsense=1))
        assert refused.value.code == 10025


async def test_a_sealed_stream_refuses_everything_for_ever(server: JetStream) -> None:
    config = await filled(server, "S.a", allow_rollup_hdrs=True)
    sealed = (await changed(server, config, sealed=True)).config

    forced = {"discard": "new", "deny_delete": True, "deny_purge": True, "allow_rollup_hdrs": False}
    assert forced.items() <= sealed.items()
    for change in ({"sealed": False}, {"description": "d"}):
        with pytest.raises(Refused) as refused:
            await changed(server, config, **change)
        assert refused.value.code == 10052
    with pytest.raises(Refused) as refused:
        await server.publish("S.a", b"")
    assert refused.value.code == 10109


async def test_markers_take_deny_purge_away_from_a_new_stream_without_a_word(server: JetStream) -> None:
    created = await server.create_stream(stream(deny_purge=True, subject_delete_marker_ttl=NANOS))

    assert created.config["deny_purge"] is False


async def test_removing_the_origin_promotes_a_mirror_from_2_12_on(
    server: JetStream, level: int, eventually: Eventually
) -> None:
    await filled(server, "S.a")
    mirror = (await server.create_stream({"name": "M", "storage": "memory", "mirror": {"name": "S"}})).config

    async def copied() -> bool:
        return (await found(server, "M")).messages == 1

    await eventually(copied, within=10)
    del mirror["mirror"]
    if level < V2_12:
        with pytest.raises(Refused) as refused:
            await changed(server, mirror, subjects=["M.>"])
        assert refused.value.code == 10055
    else:
        promoted = await changed(server, mirror, subjects=["M.>"])
        assert promoted.messages == 1
        assert await server.publish("M.a", b"") == 2


async def test_the_number_of_consumers_changes_in_place_from_2_12_on(server: JetStream, level: int) -> None:
    config = (await server.create_stream(stream())).config

    if level < V2_12:
        with pytest.raises(Refused, match="MaxConsumers"):
            await changed(server, config, max_consumers=5)
    else:
        assert (await changed(server, config, max_consumers=5)).config["max_consumers"] == 5


async def test_three_replicas_on_one_server_are_accepted_by_an_update_before_2_14(
    server: JetStream, level: int
) -> None:
    config = (await server.create_stream(stream())).config

    if level < V2_14:
        assert (await changed(server, config, num_replicas=3)).config["num_replicas"] == 3
    else:
        with pytest.raises(Refused) as refused:
            await changed(server, config, num_replicas=3)
        assert refused.value.code == 10074


async def test_a_first_limit_per_subject_destroys_at_once_from_2_14_on(server: JetStream, level: int) -> None:
    config = await filled(server, "S.a", "S.a", "S.a")

    assert (await changed(server, config, max_msgs_per_subject=1)).messages == (3 if level < V2_14 else 1)


async def test_interest_without_a_consumer_destroys_at_once_on_2_15(server: JetStream, level: int) -> None:
    config = await filled(server, "S.a", "S.a")

    assert (await changed(server, config, retention="interest")).messages == (2 if level < V2_15 else 0)


async def test_a_stream_of_sources_only_has_no_window_of_its_own_from_2_14_on(server: JetStream, level: int) -> None:
    await server.create_stream(stream())
    config = {"name": "T", "storage": "memory", "sources": [{"name": "S"}]}

    assert (await server.create_stream(config)).config.get("duplicate_window") == (
        120 * NANOS if level < V2_14 else None
    )


async def test_of_two_updates_from_one_reading_the_last_wins(server: JetStream) -> None:
    config = (await server.create_stream(stream())).config
    await changed(server, config, description="first")
    await changed(server, config, max_msgs=5)

    assert "description" not in (await found(server)).config


async def test_metadata_changes_in_place_without_side_effects(server: JetStream) -> None:
    config = await filled(server, "S.a", max_age=60 * NANOS)

    after = await changed(server, config, metadata={"a": "x" * 100_000})
    assert after.messages == 1
    assert {**config, "metadata": None} == {**after.config, "metadata": None}


async def test_the_advisory_tells_every_admin_call_with_its_user(
    server: JetStream, nats_connection: nats.aio.client.Client, connection: Connection, eventually: Eventually
) -> None:
    told: list[dict[str, Any]] = []

    async def listen(msg: nats.aio.msg.Msg) -> None:
        told.append(json.loads(msg.data))

    await nats_connection.subscribe("$JS.EVENT.ADVISORY.API", cb=listen)
    await nats_connection.flush()
    await server.create_stream(stream())
    with pytest.raises(Refused):
        await server.create_stream(stream(max_age=NANOS))

    async def refused_one() -> bool:
        return any("10058" in each["response"] for each in told)

    await eventually(refused_one, within=5)
    last = next(each for each in told if "10058" in each["response"])  # not only the last: they may overtake each other
    assert ("$JS.API.STREAM.CREATE.S", connection.user) == (last["subject"], last["client"]["user"])
    assert json.loads(last["request"])["max_age"] == NANOS
