"""Whether what has arrived is what was sent: messages, and where consumers stand."""

from __future__ import annotations

import asyncio

from natsmith.adapters.jetstream import JetStream
from natsmith.adapters.server import ConsumerInfo, StreamInfo
from natsmith.adapters.sources import Source
from natsmith.adapters.transfer import Transfer
from natsmith.clock import clock
from natsmith.errors import StoppedHalfway

CONSUMERS_SECONDS = 30.0
AGAIN_SECONDS = 0.2


def size(info: StreamInfo) -> str:
    """Return how many messages a stream has, and which."""
    return f"{info.messages} messages ({info.first_sequence} to {info.last_sequence})"


def compare(source: Source, target: JetStream, came: Transfer) -> None:
    """Raise StoppedHalfway unless what has arrived is what was sent; who writes or reads there already is not in the way."""
    taken, stored = came.taken, came.stored
    config = taken.config
    shrinks = config.get("max_age") or config.get("allow_msg_ttl") or config.get("retention", "limits") != "limits"
    shrinks = shrinks or not source.still(taken)
    same = stored.last_sequence == taken.last_sequence
    short = stored.last_sequence < taken.last_sequence or (
        same and not shrinks and (stored.messages, stored.bytes) != (taken.messages, taken.bytes)
    )
    if short:
        name = config["name"]
        raise StoppedHalfway(
            f"stream {name} was sent with {size(taken)}, {taken.bytes} bytes, and arrived at {target.link.where} with "
            f"{size(stored)}, {stored.bytes} bytes: nothing of it was kept there; run the same command again"
        )


async def consumers(source: Source, target: JetStream, name: str) -> int:
    """Return how many consumers have come, when all have; raise StoppedHalfway for one that is behind where it was."""
    theirs = {each.name: each for each in await source.consumers(name) if each.config.get("durable_name")}
    until = clock() + CONSUMERS_SECONDS
    while True:
        ours = {each.name: each for each in await target.consumers(name)}
        late = [each for each in theirs.values() if each.name not in ours or _behind(each, ours[each.name])]
        if not late:
            return len(theirs)
        if clock() > until:
            raise StoppedHalfway(
                *(
                    f"consumer {name}/{each.name} did not arrive at {target.link.where} as it was, so nothing of stream {name} "
                    "was kept there: run the same command again"
                    for each in late
                )
            )
        # A cluster announces nothing when it has made them; the deadline above bounds the loop.
        await asyncio.sleep(AGAIN_SECONDS)


def _behind(theirs: ConsumerInfo, ours: ConsumerInfo) -> bool:
    return ours.ack_floor < theirs.ack_floor or ours.delivered < theirs.delivered
