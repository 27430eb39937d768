"""Bringing the streams of an account from another server: each as it is there, and none over another one.

Nothing is deleted, here or there. A run that is interrupted leaves what it has brought, and the next one goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Iterable, Mapping
from typing import Literal

from natsmith.actions import state
from natsmith.actions.carry_out import Progress
from natsmith.adapters.jetstream import JetStream
from natsmith.adapters.server import NO_ROOM, ConsumerInfo, Refused, StreamInfo
from natsmith.adapters.transfer import BROUGHT, Transfer, arrived, bring_stream, forgotten
from natsmith.clock import clock
from natsmith.errors import DecisionNeeded, NatsmithError, StoppedHalfway, WrongValues
from natsmith.log import Log
from natsmith.model.bringing import Brought

SOURCES_KNOW_LEVEL = 5
"""From 2.15 on a stream knows whether what it copies from is still the same, and copies all of another one."""

CONSUMERS_SECONDS = 30.0
AGAIN_SECONDS = 0.2


async def bring(
    source: JetStream,
    target: JetStream,
    *,
    log: Log,
    leave: Collection[str],
    replicas: Mapping[str, int],
    progress: Progress,
) -> list[Brought]:
    """Bring every stream of *source* that is not in *target*, but those to *leave*; *replicas* says which get others than they have."""
    if source.link.greeting.get("server_id") == target.link.greeting.get("server_id"):
        raise WrongValues(f"{source.link.where} and {target.link.where} are the same server: --from names another one")
    rows, coming = await _sorted(source, target, leave)
    for info in coming:
        rows.append(await _one(source, target, info, replicas, log, progress))
    return rows


async def _sorted(
    source: JetStream, target: JetStream, leave: Collection[str]
) -> tuple[list[Brought], list[StreamInfo]]:
    """Return what is not brought and what is; raise DecisionNeeded, before anything is, with all that somebody must decide."""
    theirs = _in_order(await source.streams())
    # Each by its name: what an interrupted run left keeps a cluster from listing all of them.
    ours = {each.config["name"]: await forgotten(target, each) for each in theirs}
    level = (await target.account()).level
    rows: list[Brought] = []
    coming: list[StreamInfo] = []
    problems: list[str] = []
    for info in theirs:
        name = info.config["name"]
        here = ours.get(name)
        if name in leave:
            rows.append(Brought(stream=name, fate="left", why="as asked"))
        elif here and _metadata(here).get(BROUGHT) == info.created:
            rows.append(_told(here, "there", consumers=here.consumers))
        elif here and name == state.STREAM:
            rows.append(Brought(stream=name, fate="left", why="natsmith's own notes; here are newer ones"))
        elif here:
            problems.append(_twice(source, target, info, here))
        elif info.config.get("sources") and level >= SOURCES_KNOW_LEVEL:
            problems.append(_copies_again(target, info))
        else:
            coming.append(info)
    if problems:
        raise DecisionNeeded(*problems)
    return rows, coming


def _in_order(streams: Iterable[StreamInfo]) -> list[StreamInfo]:
    """Return streams by name, what is copied before what copies."""
    return sorted(
        streams, key=lambda each: (bool(each.config.get("mirror") or each.config.get("sources")), each.config["name"])
    )


def _metadata(info: StreamInfo) -> Mapping[str, str]:
    metadata: Mapping[str, str] = info.config.get("metadata") or {}
    return metadata


def _told(info: StreamInfo, fate: Literal["brought", "there"], *, consumers: int, seconds: float = 0) -> Brought:
    return Brought(
        stream=info.config["name"],
        fate=fate,
        messages=info.messages,
        bytes=info.bytes,
        first=info.first_sequence,
        last=info.last_sequence,
        consumers=consumers,
        seconds=seconds,
    )


def _twice(source: JetStream, target: JetStream, info: StreamInfo, here: StreamInfo) -> str:
    name = info.config["name"]
    return (
        f"stream {name} is at {source.link.where} with {_size(info)}, and at {target.link.where} with {_size(here)}: "
        f"neither is written over. To bring the first, delete the second there (nats stream rm {name}); "
        f"to keep the second, leave the first out: --leave {name}, or nats.grow.leave in the chart. Then run it again"
    )


def _size(info: StreamInfo) -> str:
    return f"{info.messages} messages ({info.first_sequence} to {info.last_sequence})"


def _copies_again(target: JetStream, info: StreamInfo) -> str:
    name = info.config["name"]
    origins = ", ".join(each["name"] for each in info.config["sources"])
    return (
        f"stream {name} has sources ({origins}), and {target.link.where} would take what is brought for others than those, and "
        f"copy all of them once more. Leave {name} out: --leave {name}, or nats.grow.leave in the chart; made anew there by "
        "the values, it copies what its sources hold, and what only it holds stays where it is"
    )


async def _one(
    source: JetStream,
    target: JetStream,
    info: StreamInfo,
    replicas: Mapping[str, int],
    log: Log,
    progress: Progress,
) -> Brought:
    name = info.config["name"]
    began = clock()
    clustered = bool(target.link.greeting.get("cluster"))
    log.info("bring", stream=name, messages=info.messages, bytes=info.bytes)
    try:
        came = await bring_stream(source, target, info, lambda sent: progress.copied(name, sent, max(sent, info.bytes)))
        _compare(target, came)
        consumers = await _consumers(source, target, name)
        await _nobody_writes(source, came)
        # From here on it is what it was, for whoever writes.
        wanted = replicas.get(name, info.config.get("num_replicas", 1)) if clustered else 1
        now = await target.update_stream(arrived(info, wanted))
    except BaseException as error:
        await _removed(target, info)
        if isinstance(error, Refused) and info.config.get("storage") == "memory":
            # Servers before 2.15 cannot write down what is in memory.
            return Brought(stream=name, fate="left", why=f"it is in memory, and {source.link.where} cannot send it")
        if isinstance(error, Refused):
            raise DecisionNeeded(_refused(target, name, error)) from error
        raise
    seconds = round(clock() - began, 3)
    log.info("brought", stream=name, messages=now.messages, last=now.last_sequence, seconds=seconds)
    return _told(came.stored, "brought", consumers=consumers, seconds=seconds)


async def _removed(target: JetStream, info: StreamInfo) -> None:
    """Remove what has come of a stream; if that fails too, the next run does."""
    with contextlib.suppress(Refused, NatsmithError):
        await forgotten(target, info)


async def _nobody_writes(source: JetStream, came: Transfer) -> None:
    name = came.taken.config["name"]
    after = await source.stream(name)
    if after and after.last_sequence > came.taken.last_sequence:
        raise DecisionNeeded(
            f"stream {name} had {came.taken.last_sequence} as its last message when it was sent, and {after.last_sequence} now: "
            f"somebody writes to it at {source.link.where}. End that, and run the same command again; nothing of it was kept here"
        )


def _refused(target: JetStream, name: str, refusal: Refused) -> str:
    cure = next((cure for code, cure in NO_ROOM.items() if f"({code})" in str(refusal)), "")
    if not cure and any(word in refusal.text for word in ("insufficient", "exceeded", "no space")):
        cure = NO_ROOM[10047]
    return (
        f"stream {name} could not be brought to {target.link.where}, which has nothing of it: {refusal}. "
        f"{cure[:1].upper() + cure[1:] if cure else 'Mend what it names'}; then run the same command again"
    )


def _compare(target: JetStream, came: Transfer) -> None:
    """Raise StoppedHalfway unless what has arrived is what was sent; who writes or reads there already is not in the way."""
    taken, stored = came.taken, came.stored
    config = taken.config
    shrinks = config.get("max_age") or config.get("allow_msg_ttl") or config.get("retention", "limits") != "limits"
    same = stored.last_sequence == taken.last_sequence
    short = stored.last_sequence < taken.last_sequence or (
        same and not shrinks and (stored.messages, stored.bytes) != (taken.messages, taken.bytes)
    )
    if short:
        name = config["name"]
        raise StoppedHalfway(
            f"stream {name} was sent with {_size(taken)}, {taken.bytes} bytes, and arrived at {target.link.where} with "
            f"{_size(stored)}, {stored.bytes} bytes: nothing of it was kept there; run the same command again"
        )


async def _consumers(source: JetStream, target: JetStream, name: str) -> int:
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
