"""Export of what others made by hand: the file is read again and plans to nothing."""

from __future__ import annotations

import json
from typing import Any

import nats.aio.client
import pytest

from cli import Natsmith
from natsmith.actions import lease, state
from natsmith.actions.lease import Lease
from natsmith.adapters.jetstream import JetStream
from natsmith.errors import StoppedHalfway, WrongValues
from natsmith.model.outcome import Holder

ME = Holder(owner="me", who="test", since="2026-01-01T12:00:00Z")


async def made(client: nats.aio.client.Client, call: str, config: dict[str, Any]) -> dict[str, Any]:
    """Ask the server as a hand does, past natsmith."""
    answer = await client.request(f"$JS.API.{call}", json.dumps(config).encode(), timeout=5)
    result: dict[str, Any] = json.loads(answer.data)
    assert "error" not in result, result
    return result


async def test_what_hands_made_is_exported_and_adopted_unchanged(
    natsmith: Natsmith, nats_connection: nats.aio.client.Client
) -> None:
    """Texts of any kind, parts of a second, nanoseconds of a time, and what no setting says."""
    before = {}
    for config in (
        {"name": "EMOJI", "subjects": ["e"], "description": "🚀 é\u2028\x85\ufeff", "metadata": {"🚀": "👩‍👩‍👧"}},
        {"name": "SHORT", "subjects": ["s"], "max_age": 500_000_000},
        {"name": "LARGE", "subjects": ["l"], "max_msgs": 9007199254740993},
        {"name": "KV_hist", "subjects": ["$KV.hist.>"], "max_msgs_per_subject": 100},
        {"name": "SRC", "sources": [{"name": "EMOJI", "opt_start_time": "2026-01-31T12:00:00.123456789Z"}]},
    ):
        before[config["name"]] = (await made(nats_connection, f"STREAM.CREATE.{config['name']}", config))["config"]
    consumers: list[dict[str, Any]] = [
        {"durable_name": "quick", "ack_policy": "explicit", "backoff": [100_000_000, 10**9], "max_deliver": 5},
        {"durable_name": "none", "ack_policy": "none"},
        {
            "durable_name": "timed",
            "ack_policy": "explicit",
            "deliver_policy": "by_start_time",
            "opt_start_time": "2026-01-31T12:00:00.123456789Z",
        },
    ]
    for config in consumers:
        body = {"stream_name": "EMOJI", "config": config}
        await made(nats_connection, f"CONSUMER.DURABLE.CREATE.EMOJI.{config['durable_name']}", body)

    exported = await natsmith("export")
    assert exported.code == 0, exported.text
    natsmith.write("values.yaml", exported.stdout)
    planned = await natsmith("plan", "-f", "values.yaml", "--output", "json")

    assert planned.code in (0, 3), planned.text  # what is somebody's is not taken without adopt
    changes = [change for each in json.loads(planned.stdout)["accounts"] for change in each["changes"]]
    paths = [(change["name"], each["setting"]) for change in changes for each in change["differences"]]
    assert paths == [("LARGE", "maxMessages")]  # by one: no reader of YAML keeps that number


async def test_times_with_nanoseconds_are_applied_and_stay(
    natsmith: Natsmith, nats_connection: nats.aio.client.Client
) -> None:
    """As Go's clock writes them."""
    moment = "2026-01-31T12:00:00.123456789Z"
    natsmith.write(
        "values.yaml",
        f"streams: {{S: {{subjects: [s], consumers: {{w: {{deliverPolicy: by_start_time, startTime: '{moment}'}}}}}}}}",
    )
    assert (await natsmith("apply", "-f", "values.yaml")).code == 0
    again = await natsmith("plan", "-f", "values.yaml", "--check")
    info = await made(nats_connection, "CONSUMER.INFO.S.w", {})

    assert again.code == 0, again.text
    assert moment == info["config"]["opt_start_time"]


@pytest.mark.parametrize("threshold", [1, 5])
async def test_messages_are_counted_where_consumers_may_not_live_long(server: JetStream, threshold: int) -> None:
    """A stream may bound how long a consumer outlives its reader."""
    limits = {"inactive_threshold": threshold * 10**9}
    await server.create_stream({"name": "S", "subjects": ["s"], "consumer_limits": limits})
    await server.publish("s", b"")

    assert 1 == await server.count_since("S", "2020-01-01T00:00:00Z")
    assert [] == await server.consumers("S")


async def test_a_request_that_is_too_large_is_told_before_it_is_sent(server: JetStream) -> None:
    """Sent, it would end the connection, for ever anew."""
    with pytest.raises(WrongValues, match=r"bytes, but the server takes 1048576: shorten"):
        await server.create_stream({"name": "S", "subjects": ["s"], "description": "x" * 2**20})
    assert [] == await server.streams()


async def test_a_lock_without_an_end_is_nobodys(server: JetStream) -> None:
    """Such as what `nats kv put` and `nats kv del` leave."""
    await state.ensure(server, 1)
    await server.publish(lease.KEY, b"rubbish")
    mine = Lease(server, ME, seconds=15)

    assert await mine.take()
    assert not await Lease(server, ME, seconds=15).take()  # ours has an end, and is not purged
    await mine.renew()
    mine.check()
    await mine.release()
    assert await lease.holder(server) is None


async def test_a_lock_is_not_stolen_in_a_state_bucket_made_anew(server: JetStream) -> None:
    """The sequences of the server begin anew."""
    await state.ensure(server, 1)
    first, second = Lease(server, ME, seconds=15), Lease(server, ME, seconds=15)
    assert await first.take()
    await server.delete_stream(state.STREAM)
    await state.ensure(server, 1)
    assert await second.take()

    await first.renew()
    await first.release()

    with pytest.raises(StoppedHalfway):
        first.check()
    assert await lease.holder(server) == ME
