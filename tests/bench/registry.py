"""What registering and discovering cost with two thousand instances, and what listing and getting keys costs instead."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from subprocess import PIPE, Popen

import nats
from nats.aio.client import Client
from nats.js.errors import KeyNotFoundError

from bench.table import Row, milliseconds, seconds
from bench.timing import clean
from embedded import nats_server
from natsmith.registry import Change, Kind, Registry

INSTANCES = Path(__file__).parent / "instances.py"
SERVICES, WRITERS = 50, 4
FULL, SMALL = 2000, 400
TTL, SPREAD_SECONDS, WINDOW_SECONDS = 30, 10, 20
TIMES, SEEDS = 100, 3
SHORT_TTL = 2
BUCKET = {
    "name": "KV_service_registry",
    "subjects": ["$KV.service_registry.>"],
    "max_age": TTL * 10**9,
    "duplicate_window": TTL * 10**9,
    "max_msgs_per_subject": 1,
    "allow_msg_ttl": True,
    "allow_rollup_hdrs": True,
    "allow_direct": True,
    "discard": "new",
}


@dataclass(slots=True)
class Seen:
    """When a reader was told what happened to an instance, by the system's clock."""

    _told: dict[tuple[Kind, str], tuple[float, Change]] = field(default_factory=dict)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    async def watch(self, registry: Registry) -> None:
        """Keep everything that is told of the instances that come and go."""
        async for change in registry.watch("comes-and-goes"):
            self._told[change.kind, change.instance.id] = time.time(), change
            self._more.set()

    async def when(self, kind: Kind, id: str) -> tuple[float, Change]:
        """Return when it was told, and what."""
        async with asyncio.timeout(60):
            while (kind, id) not in self._told:
                self._more.clear()
                await self._more.wait()
        return self._told[kind, id]


class Reader:
    """A process that reads."""

    def __init__(self, url: str) -> None:
        self.process = Popen(
            [sys.executable, str(INSTANCES), url, "read"], stdin=PIPE, stdout=PIPE, text=True, env=clean(url)
        )

    async def ask(self, question: str) -> dict[str, float]:
        """Return the answer to a question."""
        if not (self.process.stdin and self.process.stdout):
            raise RuntimeError("it has no pipes")
        print(question, file=self.process.stdin, flush=True)
        answer: dict[str, float] = json.loads(await asyncio.to_thread(self.process.stdout.readline))
        return answer


async def rows(say: Callable[[str], None], *, small: bool) -> list[Row]:
    """Measure everything beside the heartbeats of all instances."""
    count = SMALL if small else FULL
    with nats_server() as embedded:
        client = await nats.connect(embedded.url)
        await client.request(f"$JS.API.STREAM.CREATE.{BUCKET['name']}", json.dumps(BUCKET).encode(), 5)
        say(f"registering {count:,} instances")
        async with instances(embedded.url, count), reading(embedded.url) as reader:
            before = await reader.ask("usage")
            opened = await reader.ask("open")
            say("looking at what everybody costs")
            server = embedded.process.pid if embedded.process else 0
            cpu, began = spent(server), time.monotonic()
            await asyncio.sleep(WINDOW_SECONDS)
            after, lasted = await reader.ask("usage"), time.monotonic() - began
            shares = (spent(server) - cpu) / lasted, (after["cpu"] - opened["cpu"]) / lasted
            looked = await reader.ask("lookups")
            say("instances come and go")
            joins, leaves, expiries = await coming_and_going(embedded.url)
            say("listing keys and getting each")
            seed, requests = await listing(client)
        await client.close()
    return [
        Row(
            looked["seconds"] * 1e6,
            f"a lookup among {opened['instances']:,.0f} instances",
            20,
            "0 requests",
            f"{seconds(seed)} and {requests:,} requests: list the keys, get each",
            unit=" us",
        ),
        _seen("to see who joins", joins, 100),
        _seen("to see who leaves", leaves, 100),
        _seen("to see who expires, from when its TTL is over", expiries, 1000),
        Row(
            shares[0] * 100,
            f"the server's share of a core, {count / (TTL / 3):.0f} heartbeats a second",
            25,
            "",
            "",
            unit=" %",
        ),
        Row(shares[1] * 100, "a reader's share of a core", 25, "", "", unit=" %"),
        Row(
            after["megabytes"] - before["megabytes"],
            "memory of a reader, beside its connection",
            20,
            f"{opened['seconds'] * 1000:.0f} ms to open",
            "",
            unit=" MB",
        ),
    ]


def _seen(what: str, took: Sequence[float], target: float) -> Row:
    return Row(
        median(took) * 1000,
        what,
        target,
        f"worst of {len(took)}: {milliseconds(max(took))}",
        "when it asks again",
        unit=" ms",
    )


@asynccontextmanager
async def instances(url: str, count: int) -> AsyncIterator[None]:
    """Have processes register that many instances."""
    each = count // WRITERS
    writers = [writer(url, number * each, each) for number in range(WRITERS)]
    try:
        for process in writers:
            if process.stdout and await asyncio.to_thread(process.stdout.readline) != "ready\n":
                raise SystemExit("the benchmark's instances cannot register")
        yield
    finally:
        for process in writers:
            process.kill()
            process.communicate()


def writer(url: str, first: int, count: int) -> Popen[str]:
    """Start a process that registers instances."""
    command = [sys.executable, str(INSTANCES), url, "be", *map(str, (SERVICES, first, count, SPREAD_SECONDS))]
    return Popen(command, stdout=PIPE, text=True, env=clean(url))


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[Reader]:
    """Run a process that reads."""
    reader = Reader(url)
    try:
        yield reader
    finally:
        reader.process.kill()
        reader.process.communicate()


async def coming_and_going(url: str) -> tuple[list[float], list[float], list[float]]:
    """Return how long a reader takes to see those who join, leave and expire."""
    joins, leaves, expiries = [], [], []
    seen = Seen()
    async with AsyncExitStack() as stack:
        registry, other = [await stack.enter_async_context(Registry(await nats.connect(url))) for _ in range(2)]
        await other.all_instances()
        watching = asyncio.create_task(seen.watch(other))
        for number in range(TIMES):
            began = time.time()
            async with registry.instance("comes-and-goes", id=f"{number}"):
                joins.append((await seen.when(Kind.JOINED, f"{number}"))[0] - began)
                began = time.time()
            leaves.append((await seen.when(Kind.LEFT, f"{number}"))[0] - began)
        client = registry._line.client
        for number in range(TIMES):
            subject = f"$KV.service_registry.comes-and-goes.dead-{number}"
            await client.request(
                subject, json.dumps({"v": 1, "ttl": SHORT_TTL}).encode(), 5, headers={"Nats-TTL": f"{SHORT_TTL}s"}
            )
            await asyncio.sleep(0.05)  # they do not all die in one moment
        for number in range(TIMES):
            at, change = await seen.when(Kind.EXPIRED, f"dead-{number}")
            expiries.append(at - change.instance.heartbeat - SHORT_TTL)
        watching.cancel()
        await asyncio.wait({watching})
        for each in (registry, other):
            await each._line.client.close()
    return joins, leaves, expiries


async def listing(client: Client) -> tuple[float, int]:
    """Return the seconds and the requests of a lookup as clients without a view do it."""
    bucket = await client.jetstream().key_value("service_registry")
    took, sent = [], client.stats["out_msgs"]
    for _ in range(SEEDS):
        began = time.perf_counter()
        found = []
        for key in await bucket.keys():
            try:
                entry = await bucket.get(key)
            except KeyNotFoundError:
                continue  # it has expired since they were listed
            if entry.value and key.startswith("service-07."):
                found.append(json.loads(entry.value))
        took.append(time.perf_counter() - began)
    return median(took), (client.stats["out_msgs"] - sent) // SEEDS


def spent(pid: int) -> float:
    """Return the seconds of a core that a process used so far, where the system can tell."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return 0.0
    words = stat.read_text().rpartition(") ")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
