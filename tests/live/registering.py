"""Buckets, readers and processes for tests of the registry on real servers."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import nats
from nats.aio.client import Client

from natsmith.adapters.connections import Connection
from natsmith.registry import Change, Registry
from natsmith.registry.line import Line
from natsmith.registry.snapshot import Entries

INSTANCE = Path(__file__).parent / "instance.py"
NANO = 1_000_000_000


async def connected(connection: Connection, **more: Any) -> Client:
    """Connect as an application does that does not give up."""
    return await nats.connect(
        connection.server,
        user=connection.user,
        password=connection.password,
        reconnect_time_wait=0.1,
        max_reconnect_attempts=-1,
        **more,
    )


async def api(client: Client, verb: str, request: dict[str, Any] | None = None) -> dict[str, Any]:
    """Ask JetStream for something that it must not refuse."""
    answer: dict[str, Any] = json.loads(
        (await client.request(f"$JS.API.{verb}", json.dumps(request or {}).encode(), 5)).data
    )
    assert "error" not in answer, answer["error"]
    return answer


def config(
    *,
    name: str = "service_registry",
    ttl: float = 2,
    history: int = 1,
    per_key: bool = False,
    marker: int = 0,
    replicas: int = 1,
    **settings: Any,
) -> dict[str, Any]:
    """Return the configuration of a bucket; *settings* have the server's names."""
    found: dict[str, Any] = {
        "name": f"KV_{name}",
        "subjects": [f"$KV.{name}.>"],
        "max_age": int(ttl * NANO),
        "duplicate_window": int(min(ttl or 120, 120) * NANO),
        "max_msgs_per_subject": history,
        "allow_msg_ttl": per_key,
        "allow_rollup_hdrs": True,
        "allow_direct": True,
        "deny_delete": True,
        "discard": "new",
        "storage": "file",
        "num_replicas": replicas,
    }
    return found | ({"subject_delete_marker_ttl": marker * NANO} if marker else {}) | settings


async def make(client: Client, **how: Any) -> None:
    """Make a bucket."""
    wanted = config(**how)
    await api(client, f"STREAM.CREATE.{wanted['name']}", wanted)


async def change(client: Client, **how: Any) -> None:
    """Change a bucket in place."""
    wanted = config(**how)
    await api(client, f"STREAM.UPDATE.{wanted['name']}", wanted)


async def put(client: Client, key: str, said: Any, *, own: str = "") -> int:
    """Write an entry by hand, perhaps with a TTL of its *own*, and return its revision."""
    payload = said if isinstance(said, bytes) else json.dumps(said).encode()
    headers = {"Nats-TTL": own} if own else None
    answer = json.loads((await client.request(f"$KV.service_registry.{key}", payload, 5, headers=headers)).data)
    assert "error" not in answer, answer["error"]
    return int(answer["seq"])


def entry(status: str = "healthy", ttl: int = 0) -> dict[str, Any]:
    """Return what an instance says of itself."""
    return {"v": 1, "status": status, "ttl": ttl, "run": "r", "metadata": {}}


async def keys(client: Client) -> set[str]:
    """Return the keys that are there, markers left out."""
    async with Entries(Line(client), "service_registry", timeout=10) as entries:
        return {each.key for each in entries.all()}


def ids(instances: tuple[Any, ...]) -> list[str]:
    """Return the instances' ids in their order."""
    return sorted(each.id for each in instances)


class Heard:
    """What a reader was told, as ``joined payments.a``."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self._more = asyncio.Event()

    @property
    def told(self) -> list[str]:
        """What happened so far."""
        return [f"{each.kind} {each.instance.service}.{each.instance.id}" for each in self.changes]

    def hear(self, change: Change) -> None:
        """Keep what happened."""
        self.changes.append(change)
        self._more.set()

    async def last(self, expected: Callable[[Change], bool], *, within: float = 15) -> Change:
        """Return the newest change once it is what is expected."""
        async with asyncio.timeout(within):
            while not self.changes or not expected(self.changes[-1]):
                self._more.clear()
                await self._more.wait()
        return self.changes[-1]

    async def until(self, *told: str, within: float = 15) -> None:
        """Return when all that was told."""
        try:
            async with asyncio.timeout(within):
                while not set(told) <= set(self.told):
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            raise AssertionError(f"{told} was not told within {within} s, but {self.told}") from None


@asynccontextmanager
async def watching(registry: Registry, service: str | None = None) -> AsyncIterator[Heard]:
    """Keep what a registry tells."""
    heard = Heard()

    async def listen() -> None:
        async with aclosing(registry.watch(service)) as changes:
            async for each in changes:
                heard.hear(each)

    await registry.all_instances()
    task = asyncio.create_task(listen())
    try:
        yield heard
    finally:
        task.cancel()
        await asyncio.wait({task})


class Process:
    """A process with an instance, or one that reads."""

    def __init__(self, connection: Connection, *words: str) -> None:
        # What was said on the command line stays there: these servers are the test's own.
        arguments = [sys.executable, str(INSTANCE), connection.server, connection.user or "", connection.password or ""]
        self._process: Popen[str] = Popen([*arguments, *words], stdout=PIPE, text=True)

    async def says(self, *, within: float = 20) -> str:
        """Return the next line that it prints."""
        assert self._process.stdout
        async with asyncio.timeout(within):
            return (await asyncio.to_thread(self._process.stdout.readline)).strip()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def end(self) -> None:
        """End it at once, as a crash would."""
        if self._process.returncode is None:
            self._process.kill()
            self._process.communicate()


@asynccontextmanager
async def process(connection: Connection, *words: str) -> AsyncIterator[Process]:
    """Run a process; it is registered, or reads, inside the block."""
    found = Process(connection, *words)
    try:
        assert await found.says() == "ready"
        yield found
    finally:
        found.end()


async def steadily(seconds: float, holds: Callable[[], bool], why: Callable[[], object]) -> None:
    """Look again and again for some seconds whether something holds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert holds(), why()
        await asyncio.sleep(0.05)  # what must not happen announces itself by nothing
