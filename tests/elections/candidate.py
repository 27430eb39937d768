"""A process with one candidate for each group: candidate.py JSON; it writes what it sees to a file and obeys lines of JSON.

Every time that it writes is CLOCK_BOOTTIME's, which all processes of a machine share.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import nats
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from natsmith.clock import clock
from natsmith.errors import NotReady
from natsmith.registry import LeadershipLost, Lease, Registry

# Run as a script, it has to find the other tests' modules itself.
sys.path.insert(0, str(Path(__file__).parents[1]))

from elections.sabotage import sabotage

LOOK_SECONDS = 0.05
WRITE_SECONDS = 0.15
TICK_SECONDS = 0.02
LATE_SECONDS = 0.05
BAD_SECONDS = 2.0
"""How long somebody who does not care writes on after the end."""


class Candidate:
    """One of a group's candidates, who leads whenever it can."""

    def __init__(self, process: Process, group: str, ttl: int, *, bad: bool) -> None:
        self._process, self.group, self._ttl, self._bad = process, group, ttl, bad
        self.done = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self._writers: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Lead again and again."""
        while True:
            self.done.clear()
            self.task = asyncio.create_task(self._lead())
            await asyncio.wait({self.task})
            error = None if self.task.cancelled() else self.task.exception()
            if error and not isinstance(error, NotReady):
                self._process.tell("error", self.group, why=repr(error))
            # So that somebody else has the chance to be next.
            await asyncio.sleep(random.uniform(0.3, 0.6) * self._ttl)  # noqa: S311  (keeps no secret)

    async def _lead(self) -> None:
        token = 0
        try:
            async with self._process.registry.leadership(self.group, id=self._process.name, ttl=self._ttl) as lease:
                token = lease.token
                self._process.tell("lead", self.group, token=token, held=True)
                writer = asyncio.create_task(self._write(lease))
                self._writers.add(writer)
                writer.add_done_callback(self._writers.discard)
                try:
                    await self._look(lease)
                except asyncio.CancelledError:
                    self._process.tell("told", self.group, token=token)
                    raise
            self._process.tell("left", self.group, token=token)
        except LeadershipLost:
            self._process.tell("lost", self.group, token=token)

    async def _look(self, lease: Lease) -> None:
        while not self.done.is_set():
            at = clock()
            self._process.tell("look", self.group, token=lease.token, held=lease.held, at=at)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self.done.wait()

    async def _write(self, lease: Lease) -> None:
        """Do the work that only a leader may do; whoever is bad does not look whether it still is."""
        until = None
        while until is None or clock() < until:
            if not lease.held:
                if not self._bad:
                    return
                until = until or clock() + BAD_SECONDS
            with contextlib.suppress(nats.errors.Error, OSError, ValueError, KeyError):
                await self._process.guard(self.group, lease.token)
            await asyncio.sleep(WRITE_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311  (keeps no secret)


class Process:
    """All candidates of this process, on one connection."""

    def __init__(self, client: Client, registry: Registry, given: dict[str, Any]) -> None:
        self.client, self.name, self._unguarded = client, given["name"], given["sabotage"] == "unguarded"
        self.registry = registry
        self._log = os.open(given["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._deaf: dict[str, float] = {}
        self._request = client.request
        client.request = self._losing  # type: ignore[assignment, method-assign]  # asked as the library does
        self._candidates = {
            group: Candidate(self, group, each["ttl"], bad=each["bad"]) for group, each in given["groups"].items()
        }

    def tell(self, what: str, group: str = "", *, at: float = 0.0, **more: Any) -> None:
        """Write down what happened, at once: this process may be killed."""
        os.write(self._log, json.dumps({"what": what, "group": group, "at": at or clock(), **more}).encode() + b"\n")

    async def guard(self, group: str, token: int) -> None:
        """Write to the resource, which takes no token that is lower than one that it took."""
        subject = f"guarded.{group}"
        headers = {}
        if not self._unguarded:
            question = json.dumps({"last_by_subj": subject}).encode()
            answer = json.loads((await self._request("$JS.API.STREAM.MSG.GET.GUARDED", question, timeout=1)).data)
            last = answer.get("message", {})
            if last and _token(last["hdrs"]) > token:
                return
            headers["Nats-Expected-Last-Subject-Sequence"] = str(last.get("seq", 0))
        await self._request(subject, b"", timeout=1, headers=headers | {"Token": str(token), "Who": self.name})

    async def _losing(self, subject: str, payload: bytes = b"", timeout: float = 0.5, **more: Any) -> Msg:
        """Ask, and lose the answer on its way, if it is about one of these keys."""
        answer = await self._request(subject, payload, timeout=timeout, **more)
        if clock() < self._deaf.get(subject.rpartition(".")[2], 0.0):
            await asyncio.sleep(timeout)
            raise nats.errors.TimeoutError
        return answer

    async def run(self) -> None:
        """Run all candidates, and do what is asked."""
        self.tell("ready")
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tick())
            group.create_task(self._obey())
            for each in self._candidates.values():
                group.create_task(each.run())

    async def _tick(self) -> None:
        """Tell when this process does not get to run in time: it cannot tell of a loss sooner."""
        before = clock()
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = clock()
            if now - before > TICK_SECONDS + LATE_SECONDS:
                self.tell("late", seconds=now - before)
            before = now

    async def _obey(self) -> None:
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            asked = json.loads(line)
            if asked["do"] == "shift":
                self._shift(asked["seconds"])
            else:
                self._one(asked, self._candidates[asked["group"]])
        os._exit(0)  # who asks is gone

    def _one(self, asked: dict[str, Any], candidate: Candidate) -> None:
        self.tell("asked", candidate.group)
        if asked["do"] == "leave":
            candidate.done.set()
        elif asked["do"] == "cancel" and candidate.task:
            candidate.task.cancel()
        elif asked["do"] == "deafen":
            self._deaf[candidate.group] = clock() + asked["seconds"]

    def _shift(self, seconds: float) -> None:
        """Show this process another time of day, as if somebody had set the clock."""
        real = time.time
        time.time = lambda: real() + seconds


def _token(headers: str) -> int:
    lines = base64.b64decode(headers).decode().split("\r\n")
    return next(int(line.partition(":")[2]) for line in lines if line.startswith("Token:"))


async def _quiet(*_: object) -> None:
    """Hear of lost connections, which are what is tried here."""


async def main() -> None:
    """Connect and run."""
    given = json.loads(sys.argv[1])
    sabotage(given["sabotage"])
    # What the library warns of is what is tried here; what asyncio complains of is a mistake.
    logging.getLogger("natsmith").setLevel(logging.ERROR)
    client = await nats.connect(
        given["server"],
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.1,
        error_cb=_quiet,
        allow_reconnect=True,
    )
    async with Registry(client) as registry:
        await Process(client, registry, given).run()


if __name__ == "__main__":
    asyncio.run(main())
