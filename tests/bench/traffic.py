"""Light traffic beside what is measured: clients that ask one thing after another and note when they were answered."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import quantiles

import nats
import nats.errors
from nats.js.errors import Error as JetStreamError
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue

PAUSE_SECONDS = 0.002
"""What a client waits between two requests: some hundred of them a second."""

clock = time.perf_counter


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request that is over."""

    began: float
    ended: float
    answer: int
    """The revision that was written or read; 0: none."""

    missing: bool = False
    """Whether the answer was that there is no such key."""


@dataclass(slots=True)
class Client:
    """One client and everything that it asked."""

    asked: list[Asked] = field(default_factory=list)

    def within(self, began: float, ended: float) -> list[Asked]:
        """Return the requests that ended in a span of time."""
        return [each for each in self.asked if began <= each.ended <= ended]

    def longest_gap(self, began: float, ended: float) -> float:
        """Return the longest time between two answers, in seconds; a part of it was in the span."""
        moments = [each.ended for each in self.asked if each.answer]
        pairs = itertools.pairwise(moments)
        return max(after - before for before, after in pairs if before <= ended and began <= after)

    def percentiles(self, began: float, ended: float) -> tuple[float, float]:
        """Return the median and the 99th percentile of the answered requests, in seconds."""
        seconds = [each.ended - each.began for each in self.within(began, ended) if each.answer]
        cuts = quantiles(seconds, n=100)
        return cuts[49], cuts[98]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """Who uses the server while it works: a writer and a reader of the bucket, and somebody else's reader."""

    writer: Client
    reader: Client
    stranger: Client


@asynccontextmanager
async def traffic(url: str, bucket: str, other: str, keys: Sequence[str]) -> AsyncIterator[Clients]:
    """Write and read *keys* of *bucket*, and read the same of *other*, as long as the block lasts."""
    clients = Clients(writer=Client(), reader=Client(), stranger=Client())
    over = asyncio.Event()
    connections = [await nats.connect(url) for _ in range(3)]
    buckets = [
        await connection.jetstream().key_value(name)
        for connection, name in zip(connections, (bucket, bucket, other), strict=True)
    ]

    def put(kept: KeyValue) -> Callable[[str], Awaitable[int]]:
        return lambda key: kept.put(key, b"x" * 1000)

    def get(kept: KeyValue) -> Callable[[str], Awaitable[int]]:
        async def revision(key: str) -> int:
            return (await kept.get(key)).revision or 0

        return revision

    pairs = (
        (clients.writer, put(buckets[0])),
        (clients.reader, get(buckets[1])),
        (clients.stranger, get(buckets[2])),
    )
    tasks = [asyncio.create_task(_keep_asking(client, ask, keys, over)) for client, ask in pairs]
    try:
        yield clients
    finally:
        over.set()
        await asyncio.gather(*tasks)
        for connection in connections:
            await connection.close()


async def _keep_asking(
    client: Client, ask: Callable[[str], Awaitable[int]], keys: Sequence[str], over: asyncio.Event
) -> None:
    number = 0
    while not over.is_set():
        key = keys[number % len(keys)]
        number += 1
        began, answer, missing = clock(), 0, False
        try:
            answer = await ask(key)
        except KeyNotFoundError:
            missing = True
        except (nats.errors.Error, JetStreamError, TimeoutError):
            pass
        client.asked.append(Asked(began=began, ended=clock(), answer=answer, missing=missing))
        # Light: what is measured needs the processors as well.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), PAUSE_SECONDS)
