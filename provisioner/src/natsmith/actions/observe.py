"""Reading an account: everything that a plan needs, and nothing is changed by it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from natsmith.actions import state
from natsmith.adapters import wire
from natsmith.adapters.server import Server
from natsmith.model.desired import Desired, Id
from natsmith.model.observed import Found, Observed
from natsmith.model.resources import CONSUMER, RESERVED
from natsmith.model.units import parse_time
from natsmith.planning.plan import questions

IN_FLIGHT = 64
"""How many requests wait for the server at once; more do not make it faster."""

Item = TypeVar("Item")
Result = TypeVar("Result")


async def observe(server: Server, desired: Desired, *, account: str, everything: bool = False) -> Observed:
    """Return what *account* has, with the counts that a plan from *desired* will ask for.

    With *everything*, consumers that are nobody's are read too.
    """
    limits, streams = await asyncio.gather(server.account(), server.streams())
    wanted = {each.id: each for each in desired.of(account)}
    objects: dict[Id, Found] = {}
    has_state = False
    own = 0
    for info in streams:
        name = info.config["name"]
        if name.removeprefix("KV_").startswith(RESERVED):
            has_state = has_state or name == state.STREAM
            own += 1
            continue
        found = wire.decode_stream(info, wanted.get(Id(name)))
        objects[found.id] = found
    with_consumers = {each.stream for each in wanted.values() if each.kind is CONSUMER}
    asked = [
        each.stream
        for each in objects.values()
        if each.consumers and (everything or each.stream in with_consumers or each.applied)
    ]
    for consumers in await in_parallel(server.consumers, asked):
        for each in consumers:
            if each.config.get("durable_name"):
                consumer = wire.decode_consumer(each, wanted.get(Id(each.stream, each.name)))
                objects[consumer.id] = consumer
    if has_state and any(each.applied is None for each in objects.values()):
        objects = await _remembered(server, objects)
    observed = Observed(
        objects=objects,
        limits=limits.limits,
        version=limits.version,
        level=limits.level,
        clustered=limits.clustered,
        own=own,
    )
    return await _counted(server, desired, observed, account)


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
    horizon = (parse_time(found.now) - timedelta(seconds=limit)).isoformat().replace("+00:00", "Z")
    newer = await server.count_since(found.stream, horizon)
    return None if newer is None else max(0, found.messages - newer)


async def in_parallel(
    ask: Callable[[Item], Awaitable[Result]], items: Iterable[Item], *, at_once: int = IN_FLIGHT
) -> Sequence[Result]:
    """Return the answers for all *items*, in their order; at most *at_once* are asked for at a time."""
    gate = asyncio.Semaphore(at_once)

    async def one(item: Item) -> Result:
        async with gate:
            return await ask(item)

    return await asyncio.gather(*(one(item) for item in items))
