"""The clients of a soak, in a pod of their own: one line on stdin asks, one line on stdout answers.

Writers put one key each time, once, and believe nothing but acknowledgements; readers read what was acknowledged, a
watcher sees it, a worker of a durable consumer gets it. All of them are told by nats-py alone when a server goes: it
reconnects to the Service, and what fails is tried again, as the documentation tells an application to do. One more looks
up the Service's name: where it is not found, clients wait for the cluster's network, not for a server.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import nats
from nats.aio.client import Client
from nats.errors import Error, TimeoutError  # noqa: A004  (the library's own, which is asyncio's too)
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

BUCKET, STREAM, CONSUMER = "soak", "EVENTS", "workers"
WRITERS, READERS = 3, 2
ATTEMPT, GIVE_UP, AGAIN = 1.0, 30.0, 0.1
"""Seconds that a request waits for its answer, that it is tried again for, and between two tries."""

PACE = 0.02
"""Seconds between an answer and the next request."""

SETTLE = 180.0
"""Seconds until all replicas are current, and until what was acknowledged was also delivered."""

RESULTS = (Error, OSError, asyncio.TimeoutError)


class Gaps:
    """When each client last had its answer, and what kept it from one since the window began."""

    def __init__(self) -> None:
        self.last: dict[str, float] = {}
        self.begin()

    def begin(self) -> None:
        """Begin a window."""
        self.longest: dict[str, float] = {}
        self.counts: Counter[str] = Counter()
        self.last = dict.fromkeys(self.last, time.monotonic())

    def answered(self, who: str) -> None:
        """Note an answer."""
        now = time.monotonic()
        role = who.partition(" ")[0]
        self.longest[role] = max(self.longest.get(role, 0.0), now - self.last.setdefault(who, now))
        self.last[who] = now
        self.counts[role] += 1

    def end(self) -> None:
        """Count the silence of those that have had no answer up to now."""
        for who, last in self.last.items():
            role = who.partition(" ")[0]
            self.longest[role] = max(self.longest.get(role, 0.0), time.monotonic() - last)


class Clients:
    """All clients, and what they were told."""

    def __init__(self, size: int) -> None:
        self.gaps = Gaps()
        self.acks: dict[int, str] = {}
        """Keys by the revision that was acknowledged, since the window began."""

        self.published: set[int] = set()
        self.seen: set[int] = set()
        self.delivered: set[int] = set()
        self.newest: list[str] = []
        self.filler = b"x" * size
        self.random = Random(1)  # noqa: S311  (it chooses which key is read)

    async def tried(self, who: str, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Ask until there is an answer, as an application does; None where that took too long."""
        role, until = who.partition(" ")[0], time.monotonic() + GIVE_UP
        while time.monotonic() < until:
            try:
                answer = await asyncio.wait_for(ask(), ATTEMPT)
            except RESULTS as error:
                self.gaps.counts[f"{role} again"] += 1
                self.gaps.counts[f"{role} {type(error).__name__}"] += 1
                await asyncio.sleep(AGAIN)
                continue
            self.gaps.answered(who)
            return answer
        self.gaps.counts[f"{role} gave up"] += 1
        return None

    async def write(self, number: int) -> None:
        """Put keys that nobody else puts."""
        bucket = await (await connected()).jetstream().key_value(BUCKET)
        count, who = 0, f"writer {number}"
        while True:
            count += 1
            key = f"{os.getpid()}.{number}.{count}"
            revision = await self.tried(who, partial(bucket.put, key, self.filler))
            if revision:
                self.acks[revision] = key
                self.newest.append(key)
                del self.newest[:-100]
            await asyncio.sleep(PACE)

    async def publish(self) -> None:
        """Publish what the durable consumer gets."""
        stream = (await connected()).jetstream()
        while True:
            answer = await self.tried("publisher", partial(stream.publish, "soak.events", self.filler))
            if answer:
                self.published.add(answer.seq)
            await asyncio.sleep(PACE)

    async def read(self, number: int) -> None:
        """Read what was acknowledged; a replica may be behind for a moment, so a key that is not there is asked for again."""
        bucket = await (await connected()).jetstream().key_value(BUCKET)
        while True:
            if self.newest:
                key = self.random.choice(self.newest)
                await self.tried(f"reader {number}", partial(bucket.get, key))
            await asyncio.sleep(PACE)

    async def watch(self) -> None:
        """See every key."""
        bucket = await (await connected()).jetstream().key_value(BUCKET)
        watcher = await bucket.watchall(headers_only=True)
        while True:
            with contextlib.suppress(*RESULTS):
                entry = await watcher.updates(timeout=ATTEMPT)  # type: ignore[no-untyped-call]  # it has no types
                if entry:
                    self.seen.add(entry.revision or 0)
                    self.gaps.answered("watcher")

    async def work(self) -> None:
        """Get every event, and acknowledge it."""
        stream = (await connected()).jetstream()
        subscription = await stream.pull_subscribe_bind(CONSUMER, stream=STREAM)
        while True:
            try:
                for message in await subscription.fetch(10, timeout=ATTEMPT):
                    await message.ack()
                    self.delivered.add(message.metadata.sequence.stream)
                    self.gaps.answered("worker")
            except TimeoutError:
                continue
            except RESULTS as error:
                self.gaps.counts[f"worker {type(error).__name__}"] += 1
                await asyncio.sleep(AGAIN)

    async def look_up(self) -> None:
        """Look up the name by which the servers are found, as a client does that connects again."""
        server = urlsplit(os.environ["SERVER"])
        while True:
            with contextlib.suppress(OSError):
                await asyncio.get_running_loop().getaddrinfo(server.hostname, server.port)
                self.gaps.answered("name")
            await asyncio.sleep(AGAIN)

    def begin(self) -> None:
        """Begin a window; what is seen may be acknowledged later, so that is kept."""
        self.acks.clear()
        self.published.clear()
        self.gaps.begin()

    async def end(self, stream: JetStreamContext) -> dict[str, Any]:
        """Judge a window: everything that was acknowledged is stored, and was seen."""
        acks, published = dict(self.acks), set(self.published)
        settled = await waited(partial(current, stream))
        # Who is not served yet may be so only when all replicas are current: that silence is counted, too.
        self.gaps.end()
        gaps, counts = dict(self.gaps.longest), dict(self.gaps.counts)
        lost = [
            key for seq, key in acks.items() if not await stored(stream, f"KV_{BUCKET}", seq, f"$KV.{BUCKET}.{key}")
        ]

        async def arrived() -> bool:
            return not (acks.keys() - self.seen or published - self.delivered)

        await waited(arrived)
        return {
            "gaps": {role: round(gap, 3) for role, gap in gaps.items()},
            "counts": counts,
            "lost": lost,
            "unseen": len(acks.keys() - self.seen),
            "undelivered": len(published - self.delivered),
            "settled": round(settled, 1),
        }


def password() -> str:
    """Return the application's password, which its Secret holds."""
    return Path("/credentials/app.app.password").read_text()


async def connected() -> Client:
    """Connect through the Service, and again whenever a server goes."""
    return await nats.connect(
        os.environ["SERVER"],
        user="app",
        password=password(),
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.1,
        connect_timeout=1,
        ping_interval=5,
        max_outstanding_pings=1,
        error_cb=quiet,
    )


async def quiet(error: Exception) -> None:
    """Say nothing: what fails is counted where it was asked for."""


async def stored(stream: JetStreamContext, name: str, seq: int, subject: str) -> bool:
    """Return whether the stream's leader has this message."""
    until = time.monotonic() + GIVE_UP
    while True:
        try:
            return (await stream.get_msg(name, seq)).subject == subject
        except NotFoundError:
            return False
        except RESULTS:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(AGAIN)


async def waited(done: Callable[[], Awaitable[bool]]) -> float:
    """Return after how many seconds somebody asked whether something is so, and it was."""
    began = asked = time.monotonic()
    while asked < began + SETTLE:
        with contextlib.suppress(*RESULTS):
            if await done():
                return asked - began
        await asyncio.sleep(AGAIN)
        asked = time.monotonic()
    return SETTLE


async def current(stream: JetStreamContext) -> bool:
    """Return whether all replicas of everything are current."""
    clusters = [(await stream.stream_info(name)).cluster for name in (f"KV_{BUCKET}", STREAM)]
    clusters.append((await stream.consumer_info(STREAM, CONSUMER)).cluster)
    return all(
        each and each.leader and each.replicas and all(one.current and not one.offline for one in each.replicas)
        for each in clusters
    )


async def fill(stream: JetStreamContext, mebibytes: int) -> None:
    """Put so much into the bucket, a few keys at once."""
    bucket, keys = await stream.key_value(BUCKET), iter(range(mebibytes * 2))

    async def some() -> None:
        for key in keys:
            await bucket.put(f"fill.{key}", bytes(2**19))

    await asyncio.gather(*(some() for _ in range(8)))


async def main(size: int) -> None:
    """Serve one line after the other."""
    clients = Clients(size)
    stream = (await connected()).jetstream()
    await waited(partial(current, stream))
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with asyncio.TaskGroup() as group:
        for work in (
            clients.publish(),
            clients.watch(),
            clients.work(),
            clients.look_up(),
            *(clients.write(number) for number in range(WRITERS)),
            *(clients.read(number) for number in range(READERS)),
        ):
            group.create_task(work)
        while line := (await lines.readline()).decode().strip():
            answer: Any = "ok"
            if line == "begin":
                clients.begin()
            elif line == "end":
                answer = await clients.end(stream)
            elif line.startswith("fill "):
                await fill(stream, int(line.split()[1]))
            elif line == "erase":
                await stream.purge_stream(f"KV_{BUCKET}", subject=f"$KV.{BUCKET}.{clients.newest[0]}")
            elif line == "leader":
                cluster = (await stream.stream_info(f"KV_{BUCKET}")).cluster
                answer = cluster.leader if cluster else None
            print(json.dumps(answer), flush=True)
        sys.exit(0)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
