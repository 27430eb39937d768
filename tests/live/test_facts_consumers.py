"""What natsmith was built on: how consumers behave on each server version."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import nats.aio.client
import nats.errors
import pytest

from contract import changed, consumer, filled, found
from natsmith.adapters.jetstream import JetStream
from natsmith.adapters.server import Config, ConsumerInfo, Refused
from waiting import Eventually

V2_12 = 2
V2_14 = 4
"""The lowest API levels of these versions."""


async def the_consumer(server: JetStream, stream: str = "S") -> ConsumerInfo:
    (info,) = await server.consumers(stream)
    return info


async def worker(client: nats.aio.client.Client, stream: str = "S") -> Any:
    return await client.jetstream().pull_subscribe_bind("c", stream)


@pytest.mark.parametrize(
    ("start", "change", "text"),
    [
        ({"deliver_policy": "by_start_sequence", "opt_start_seq": 1}, {"opt_start_seq": 2}, "start sequence"),
        (
            {"deliver_policy": "by_start_time", "opt_start_time": "2026-01-01T00:00:00Z"},
            {"opt_start_time": "2026-01-02T00:00:00Z"},
            "start time",
        ),
    ],
    ids=["sequence", "time"],
)
async def test_the_start_of_a_consumer_is_fixed(server: JetStream, start: Config, change: Config, text: str) -> None:
    await filled(server)
    await server.put_consumer("S", consumer(**start), verb="create")

    with pytest.raises(Refused, match=text) as refused:
        await server.put_consumer("S", consumer(**{**start, **change}), verb="update")
    assert refused.value.code == 10012


async def test_the_same_start_in_another_time_zone_is_no_change(server: JetStream) -> None:
    await filled(server)
    start = {"deliver_policy": "by_start_time", "opt_start_time": "2026-01-01T00:00:00Z"}
    await server.put_consumer("S", consumer(**start), verb="create")

    start["opt_start_time"] = "2026-01-01T01:00:00+01:00"
    await server.put_consumer("S", consumer(**start), verb="update")


async def test_memory_storage_of_a_consumer_changes_in_place_before_2_14(server: JetStream, level: int) -> None:
    await filled(server)
    await server.put_consumer("S", consumer(), verb="create")

    if level < V2_14:
        assert (await server.put_consumer("S", consumer(mem_storage=True), verb="update")).config["mem_storage"]
    else:
        with pytest.raises(Refused) as refused:
            await server.put_consumer("S", consumer(mem_storage=True), verb="update")
        assert refused.value.code == 10012


async def test_a_pull_consumer_does_not_become_a_push_consumer(server: JetStream) -> None:
    await filled(server)
    await server.put_consumer("S", consumer(), verb="create")

    with pytest.raises(Refused) as refused:
        await server.put_consumer("S", consumer(deliver_subject="d"), verb="update")
    assert refused.value.code == 10012


async def test_a_field_that_the_server_does_not_know_is_refused_from_2_12_on_and_dropped_before(
    server: JetStream, level: int
) -> None:
    await filled(server)

    if level < V2_12:
        created = await server.put_consumer("S", consumer(nonsense=1), verb="create")
        assert "nonsense" not in created.config
    else:
        with pytest.raises(Refused) as refused:
            await server.put_consumer("S", consumer(nonsense=1), verb="create")
        assert refused.value.code == 10025


async def test_a_consumer_recreated_after_its_floor_loses_nothing(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    await filled(server, *["S.a"] * 6)
    await server.put_consumer("S", consumer(), verb="create")
    one, two, _three, four = await (await worker(nats_connection)).fetch(4, timeout=5)
    for message in (one, two, four):
        await message.ack_sync()

    info = await the_consumer(server)
    assert (info.delivered, info.ack_floor, info.ack_pending, info.pending) == (4, 2, 1, 2)
    await server.delete_consumer("S", "c")
    begins = {"deliver_policy": "by_start_sequence", "opt_start_seq": info.ack_floor + 1}
    await server.put_consumer("S", consumer(**begins), verb="create")
    again = await (await worker(nats_connection)).fetch(4, timeout=5)
    assert [message.metadata.sequence.stream for message in again] == [3, 4, 5, 6]
    # 4 was acknowledged and comes again: delivered - floor - pending acknowledgements = 1.
    assert info.delivered - info.ack_floor - info.ack_pending == 1


@pytest.mark.parametrize(
    ("start", "before"),
    [
        ({"deliver_policy": "all"}, 0),
        ({"deliver_policy": "new"}, 3),
        ({"deliver_policy": "by_start_sequence", "opt_start_seq": 3}, 2),
    ],
    ids=str,
)
async def test_a_new_consumer_shows_its_floor_from_2_14_on_and_0_before(
    server: JetStream, level: int, start: Config, before: int
) -> None:
    await filled(server, "S.a", "S.a", "S.a")

    created = await server.put_consumer("S", consumer(**start), verb="create")
    assert (before, before if level >= V2_14 else 0) == (created.delivered, created.ack_floor)


async def test_a_paused_consumer_hands_out_nothing_and_still_counts_acknowledgements(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    await filled(server, "S.a", "S.a")
    await server.put_consumer("S", consumer(), verb="create")
    puller = await worker(nats_connection)
    (message,) = await puller.fetch(1, timeout=5)
    until = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    body = json.dumps({"pause_until": until}).encode()
    paused = json.loads((await nats_connection.request("$JS.API.CONSUMER.PAUSE.S.c", body, timeout=5)).data)
    assert paused["paused"]

    await message.ack_sync()
    with pytest.raises(nats.errors.TimeoutError):
        await puller.fetch(1, timeout=0.3)
    info = await the_consumer(server)
    assert (info.delivered, info.ack_floor, info.ack_pending) == (1, 1, 0)


async def test_a_consumer_of_a_mirror_survives_its_promotion(
    server: JetStream, level: int, eventually: Eventually
) -> None:
    await filled(server, "S.a", "S.a")
    mirror = (await server.create_stream({"name": "M", "storage": "memory", "mirror": {"name": "S"}})).config

    async def copied() -> bool:
        return (await found(server, "M")).messages == 2

    await eventually(copied, within=10)
    created = await server.put_consumer("M", consumer(), verb="create")
    assert created.pending == 2
    if level >= V2_12:
        del mirror["mirror"]
        await changed(server, mirror, subjects=["M.>"])
        after = await the_consumer(server, "M")
        assert (created.created, 2) == (after.created, after.pending)
