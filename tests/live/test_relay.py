"""What a copy asks for is passed on to the stream that it copies, and nothing else is."""

from __future__ import annotations

import json
from typing import Any

import nats.aio.client
import nats.errors
import pytest

from contract import stream
from natsmith.adapters.jetstream import JetStream

COPY = {"ack_policy": "none", "deliver_subject": "$JS.M.copy", "deliver_policy": "all"}
ASKED = "_natsmith.api.CONSUMER.CREATE."


async def asked(
    client: nats.aio.client.Client, about: object, *, of: str = "S", reply: str = "$JSC.R.copy"
) -> dict[str, Any]:
    """Return what comes back for *about*."""
    waiting = await client.subscribe(reply)
    await client.publish(ASKED + of, json.dumps(about).encode(), reply=reply)
    answer = await waiting.next_msg(timeout=1)
    if (answer.headers or {}).get("Status") == "503":
        raise nats.errors.NoRespondersError
    result: dict[str, Any] = json.loads(answer.data)
    return result


async def test_what_a_copy_asks_for_is_answered_by_the_server(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    await server.create_stream(stream("S"))

    async with server.relay("S", through="natsmith_move_S"):
        answer = await asked(nats_connection, {"stream_name": "S", "config": COPY})

    assert "$JS.M.copy" == answer["config"]["deliver_subject"]


@pytest.mark.parametrize(
    "about",
    [
        {"stream_name": "S", "config": {**COPY, "deliver_subject": "spy"}},
        {"stream_name": "S", "config": {**COPY, "deliver_subject": None}},
        {"stream_name": "S", "config": {**COPY, "ack_policy": "explicit"}},
        {"stream_name": "S", "config": {**COPY, "durable_name": "stays"}},
        {"stream_name": "T", "config": COPY},
        {"stream_name": "S"},
        {"config": COPY},
        ["S"],
        "S",
        None,
    ],
    ids=str,
)
async def test_nobody_else_gets_a_consumer_with_our_rights(
    server: JetStream, nats_connection: nats.aio.client.Client, about: object
) -> None:
    for name in ("S", "T"):
        await server.create_stream(stream(name))

    async with server.relay("S", through="natsmith_move_S"):
        with pytest.raises(nats.errors.TimeoutError):
            await asked(nats_connection, about)

    assert [[], []] == [await server.consumers(name) for name in ("S", "T")]


async def test_what_does_not_move_can_not_be_asked_for(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    await server.create_stream(stream("T"))

    async with server.relay("S", through="natsmith_move_S"):
        with pytest.raises(nats.errors.NoRespondersError):
            await asked(nats_connection, {"stream_name": "T", "config": COPY}, of="T")


async def test_an_answer_goes_nowhere_else(server: JetStream, nats_connection: nats.aio.client.Client) -> None:
    await server.create_stream(stream("S"))

    async with server.relay("S", through="natsmith_move_S"):
        with pytest.raises(nats.errors.TimeoutError):
            await asked(nats_connection, {"stream_name": "S", "config": COPY}, reply="somebody.else")


async def test_a_copy_is_answered_though_its_stream_is_not_there_yet(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    """A server says at once that there is none; who copies asks anew, and natsmith hears it while the move lasts."""
    async with server.relay("S", through="natsmith_move_S"):
        assert "error" in await asked(nats_connection, {"stream_name": "S", "config": COPY})
        await server.create_stream(stream("S"))
        assert "config" in await asked(nats_connection, {"stream_name": "S", "config": COPY})
