"""Reading an account: everything that a plan needs, and nothing is changed by it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TypeAlias, TypeVar

from natsmith.actions import state
from natsmith.adapters import copies, wire
from natsmith.adapters.server import Account, ConsumerInfo, Server, StreamInfo
from natsmith.errors import DecisionNeeded
from natsmith.model.desired import Desired, Id, Resource
from natsmith.model.moving import Moving
from natsmith.model.observed import Found, Observed
from natsmith.model.resources import CONSUMER, RESERVED
from natsmith.model.units import parse_time, write_time
from natsmith.planning.plan import questions

IN_FLIGHT = 64
"""How many requests wait for the server at once; more do not make it faster."""

Lacks: TypeAlias = Callable[[str], None]
"""Told what the user may not ask, and what grants it."""

Item = TypeVar("Item")
Result = TypeVar("Result")


async def observe(
    server: Server,
    desired: Desired,
    *,
    account: str,
    everything: bool = False,
    counted: bool = True,
    lacks: Lacks | None = None,
) -> Observed:
    """Return what *account* has, with the counts that a plan from *desired* will ask for, unless not *counted*.

    With *everything*, consumers that are nobody's are read too. What the user may not ask beside the streams is told to
    *lacks*, where that is given, and is then not among what is returned.
    """

    async def consumers_of(stream: str) -> list[ConsumerInfo]:
        return await _unless_forbidden(server.consumers(stream), [], lacks)

    limits, streams = await asyncio.gather(server.account(), server.streams())
    wanted = {each.id: each for each in desired.of(account)}
    moves = copies.moves(streams)
    objects = _of_streams(streams, moves, wanted)
    for consumers in await in_parallel(consumers_of, _asked(objects, wanted, everything=everything)):
        for each in consumers:
            if each.config.get("durable_name"):
                consumer = wire.decode_consumer(each, wanted.get(Id(each.stream, each.name)))
                objects[consumer.id] = consumer
    there = {info.config["name"] for info in streams}
    if state.STREAM in there and any(each.applied is None for each in objects.values()):
        objects = await _unless_forbidden(_remembered(server, objects), objects, lacks)
    observed = _observed(objects, limits, streams, moves)
    return await _counted(server, desired, observed, account) if counted else observed


def _of_streams(
    streams: Sequence[StreamInfo], moves: Iterable[Moving], wanted: Mapping[Id, Resource]
) -> dict[Id, Found]:
    """Return what streams are, but natsmith's own; what is being moved is as it was before."""
    moved = {name for each in moves for name in (each.record.home, each.record.source)}
    objects: dict[Id, Found] = {}
    for info in streams:
        name = info.config["name"]
        if not _is_own(name) and name not in moved:
            found = wire.decode_stream(info, wanted.get(Id(name)))
            objects[found.id] = found
    for moving in moves:
        objects |= _under_way(moving, streams, wanted)
    return objects


def _asked(objects: Mapping[Id, Found], wanted: Mapping[Id, Resource], *, everything: bool) -> list[str]:
    """Return the streams whose consumers matter to a plan, or with *everything* all that have some."""
    with_consumers = {each.stream for each in wanted.values() if each.kind is CONSUMER}
    renamed = {each.renamed_stream for each in wanted.values()}
    return [
        each.stream
        for each in objects.values()
        if each.consumers
        and (everything or each.stream in with_consumers | renamed or each.id in wanted or each.applied)
    ]


def _observed(
    objects: Mapping[Id, Found], account: Account, streams: Sequence[StreamInfo], moves: Iterable[Moving]
) -> Observed:
    """Return an account that has these objects, before anything in it is counted."""
    own = [info for info in streams if _is_own(info.config["name"])]
    unknown = {info.config["name"] for info in own if not wire.applied_of(info.config.get("metadata") or {})}
    return Observed(
        objects=objects,
        limits=account.limits,
        version=account.version,
        level=account.level,
        clustered=account.clustered,
        own=len(own),
        strangers=frozenset(unknown - {state.STREAM, *(each.record.carrier for each in moves)}),
        memory=account.memory,
        storage=account.storage,
        all_streams=account.streams,
        all_consumers=account.consumers,
    )


async def _unless_forbidden(answer: Awaitable[Result], otherwise: Result, lacks: Lacks | None) -> Result:
    """Return an answer; where the user may not ask, and that is told to somebody, *otherwise*."""
    try:
        return await answer
    except DecisionNeeded as forbidden:
        if lacks is None:
            raise
        lacks(str(forbidden))
        return otherwise


def _is_own(name: str) -> bool:
    return name.removeprefix("KV_").startswith(RESERVED)


def _under_way(moving: Moving, streams: Iterable[StreamInfo], wanted: Mapping[Id, Resource]) -> dict[Id, Found]:
    """Return what is being moved as it was before, with what it holds now; a renamed one as it will be called.

    Its consumers, while they are nowhere, are those that the move remembers.
    """
    record = moving.record
    infos = {each.config["name"]: each for each in streams}
    home, now = infos.get(record.home), infos.get(moving.at)
    name = record.home if record.home in {key.stream for key in wanted} else record.source
    before = StreamInfo(config={**record.original, "name": name}, created=record.created)
    found = replace(wire.decode_stream(before, wanted.get(Id(name))), moving=moving)
    if now:
        found = replace(
            found,
            messages=now.messages,
            bytes=now.bytes,
            last_sequence=now.last_sequence,
            first_time=now.first_time,
            now=now.now,
            consumers=home.consumers if home else 0,
        )
    objects = {found.id: found}
    for consumer, kept in record.positions.items():
        waiting = ConsumerInfo(stream=name, name=consumer, config=dict(kept["config"]))
        objects[Id(name, consumer)] = wire.decode_consumer(waiting, wanted.get(Id(name, consumer)))
    return objects


async def _remembered(server: Server, objects: dict[Id, Found]) -> dict[Id, Found]:
    """Return *objects*; those whose metadata was wiped get their owner back from the state bucket."""
    memories = await state.memories(server)
    result = {}
    for key, found in objects.items():
        created, applied = memories.get(key, ("", None))
        ours = found.applied is None and applied is not None and created == found.created
        result[key] = replace(found, applied=applied, stamped=False) if ours else found
    return result


async def _counted(server: Server, desired: Desired, observed: Observed, account: str) -> Observed:
    asked = list(questions(desired, observed, account=account))
    answers = await in_parallel(lambda each: count(server, *each), asked)
    counts = {
        (found.id, about): answer
        for (found, about, _), answer in zip(asked, answers, strict=True)
        if answer is not None
    }
    return replace(observed, counts=counts) if counts else observed


async def count(server: Server, found: Found, about: str, limit: int) -> int | None:
    """Return how many messages a new limit would destroy, or None where the server cannot tell."""
    if about == "per_subject":
        return sum(max(0, count - limit) for count in (await server.subject_counts(found.stream)).values())
    horizon = write_time(parse_time(found.now) - timedelta(seconds=limit))
    newer = await server.count_since(found.stream, horizon)
    return None if newer is None else max(0, found.messages - newer)


async def in_parallel(
    ask: Callable[[Item], Awaitable[Result]], items: Iterable[Item], *, at_once: int = IN_FLIGHT
) -> Sequence[Result]:
    """Return the answers for all *items*, in their order; at most *at_once* are asked for at a time.

    The first that fails ends the others, and they have ended when it is told.
    """
    gate = asyncio.Semaphore(at_once)

    async def one(item: Item) -> Result:
        async with gate:
            return await ask(item)

    asked = [asyncio.ensure_future(one(item)) for item in items]
    try:
        return await asyncio.gather(*asked)
    finally:
        for each in asked:
            each.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
