"""Workers of the streams that tests move: they take messages that carry their sequence, and acknowledge them."""

from __future__ import annotations

from typing import Any

import nats.aio.client
from nats.aio.msg import Msg
from nats.errors import TimeoutError as NatsTimeoutError

from moving import put, stream
from natsmith.adapters.jetstream import JetStream
from natsmith.adapters.server import ConsumerInfo


async def published(client: nats.aio.client.Client, first: int, last: int) -> None:
    """Publish messages that carry their sequence."""
    for number in range(first, last + 1):
        assert number == (await put(client, f"S.{number % 3}", str(number).encode()))["seq"]


async def handed(client: nats.aio.client.Client, count: int, *, name: str = "c", within: float = 5) -> list[Msg]:
    """Return so many messages of a consumer, or those that come in time."""
    worker = await client.jetstream().pull_subscribe_bind(name, "S")
    result: list[Msg] = []
    try:
        while len(result) < count:
            result += await worker.fetch(count - len(result), timeout=within)
    except NatsTimeoutError:
        pass
    await worker.unsubscribe()
    return result


def numbers(messages: list[Msg]) -> list[int]:
    return [int(each.data or b"-1") for each in messages]


async def worked(client: nats.aio.client.Client, count: int, *, name: str = "c") -> list[int]:
    """Take messages of a consumer, acknowledge them, and return which they were."""
    messages = await handed(client, count, name=name)
    for each in messages:
        await each.ack_sync()
    return numbers(messages)


async def the(server: JetStream, name: str = "c", stream: str = "S") -> ConsumerInfo:
    info = await server.consumer(stream, name)
    assert info is not None
    return info


def memory(**settings: Any) -> dict[str, Any]:
    return stream(storage="memory", **settings)


def file(**settings: Any) -> dict[str, Any]:
    return stream(storage="file", **settings)
