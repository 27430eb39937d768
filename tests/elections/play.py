"""One play: a server, three processes with a candidate for each of many groups, and a few faults one after another."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats
from nats.aio.client import Client

from elections.judge import Event, Report, Run, judge
from elections.network import Way, way
from elections.scenario import GROUP_FAULTS, Scenario
from embedded import Embedded, nats_server
from natsmith.adapters.closing import closed
from natsmith.clock import clock

ROOT = Path(__file__).parents[2]
NAMES = ("p1", "p2", "p3")
LONGEST = 3
START_SECONDS = 30.0
LAST_LOOKS = 10
TICK_SECONDS = 0.05
FOLLOW_SECONDS = 8.0
"""How much longer than its lease a group may be without a leader before nobody waits any more."""


@dataclass(slots=True)
class Worker:
    """A process with candidates, and what it wrote down."""

    name: str
    way: Way
    log: Path
    process: asyncio.subprocess.Process | None = None
    _read: int = 0

    def read(self) -> list[Event]:
        """Return what was written down since."""
        if not self.log.exists():
            return []
        with self.log.open("rb") as file:
            file.seek(self._read)
            lines = file.read()
        whole = lines[: lines.rfind(b"\n") + 1]
        self._read += len(whole)
        return [Event(who=self.name, **json.loads(line)) for line in whole.splitlines()]

    def ask(self, **what: Any) -> None:
        """Have something done."""
        if self.process and self.process.stdin:
            self.process.stdin.write(json.dumps(what).encode() + b"\n")

    def signal(self, number: int) -> None:
        """Send the process a signal."""
        if self.process and self.process.returncode is None:
            self.process.send_signal(number)

    async def kill(self) -> None:
        """End it at once."""
        self.signal(signal.SIGKILL)
        if self.process:
            await self.process.wait()


class Play:
    """What happens while one scenario is played."""

    def __init__(self, scenario: Scenario, server: Embedded, home: Path) -> None:
        self.scenario, self._server, self._home = scenario, server, home
        self._dice = random.Random(scenario.seed + 1)  # noqa: S311  (a play that can be repeated)
        self.groups = {
            f"g{number:02}": {"ttl": self._dice.randint(1, LONGEST), "bad": bool(number % 2)}
            for number in range(scenario.groups)
        }
        self.workers: dict[str, Worker] = {}
        self.runs: list[Run] = []
        self._seen: dict[tuple[str, str], list[Event]] = defaultdict(list)

    async def start(self, worker: Worker) -> None:
        """Start a worker's process, perhaps again."""
        given = {
            "server": f"nats://127.0.0.1:{worker.way.port}",
            "name": worker.name,
            "log": str(worker.log),
            "groups": self.groups,
            "sabotage": self.scenario.sabotage,
        }
        with (self._home / f"{worker.name}.err").open("ab") as errors:
            worker.process = await asyncio.create_subprocess_exec(
                sys.executable,
                str(Path(__file__).with_name("candidate.py")),
                json.dumps(given),
                stdin=asyncio.subprocess.PIPE,
                stderr=errors,
            )

    def events(self, what: str, group: str, after: float) -> list[Event]:
        """Return what was seen of a group."""
        return [each for each in self._seen[what, group] if each.at > after]

    def everything(self) -> list[Event]:
        """Return all that was seen."""
        return [each for some in self._seen.values() for each in some]

    def leaders(self) -> dict[str, Event]:
        """Return who leads each group now, as far as it is known."""
        leaders = {}
        for group in self.groups:
            last = max(self._seen["lead", group], key=lambda each: each.at, default=None)
            over = {each.token for what in ("lost", "left", "told") for each in self._seen[what, group]}
            if last and last.token not in over:
                leaders[group] = last
        return leaders

    def errors(self) -> str:
        """Return what the workers complained of."""
        return "".join(path.read_text() for path in self._home.glob("*.err"))

    async def tick(self) -> None:
        """Write down when this process, through which all bytes go, does not get to run in time."""
        before = clock()
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = clock()
            if now - before > 2 * TICK_SECONDS:
                late = Event(who="", what="late", group="", at=now, seconds=now - before)
                self._seen["late", ""].append(late)
            before = now

    async def until(self, true: Callable[[], bool], deadline: float) -> bool:
        """Read what the workers write until it is true, or too late."""
        while True:
            for worker in self.workers.values():
                for each in worker.read():
                    self._seen[each.what, each.group].append(each)
            if true():
                return True
            if clock() > deadline:
                return False
            # A file announces nothing; the deadline bounds the loop.
            await asyncio.sleep(0.1)

    def followed(self, run: Run) -> bool:
        """Return whether a run has a new leader, or the one it had leads on."""
        leads = [each for each in self.events("lead", run.group, run.at) if each.token != run.token]
        run.followed = min((each.at for each in leads), default=None)
        if run.followed is None and run.fault in ("restart", "shift"):
            looks = self._seen["look", run.group][-LAST_LOOKS:]
            run.kept = any(each.at > run.healed + run.ttl and each.held and each.token == run.token for each in looks)
        return run.kept or run.followed is not None

    async def round(self, fault: str) -> None:
        """Let one fault happen, and see who follows."""
        await self.until(lambda: len(self.leaders()) == len(self.groups), clock() + START_SECONDS)
        await asyncio.sleep(self._dice.uniform(0.0, 1.0))
        await self.until(lambda: True, 0)
        leaders = self.leaders()
        victim = max(NAMES, key=lambda name: sum(each.who == name for each in leaders.values()))
        hit = [each for each in leaders.values() if fault in (*GROUP_FAULTS, "restart") or each.who == victim]
        runs = [
            Run(fault=fault, group=each.group, token=each.token, who=each.who, ttl=int(self.groups[each.group]["ttl"]))
            for each in hit
        ]
        self.runs += runs
        await (self._ask(runs, fault) if fault in GROUP_FAULTS else self._hurt(self.workers[victim], runs, fault))
        longest = max(max(run.at, run.healed) for run in runs) + LONGEST * 2 + FOLLOW_SECONDS
        await self.until(lambda: all(self.followed(run) for run in runs), longest)
        if fault == "kill":
            await self.start(self.workers[victim])

    async def _ask(self, runs: Sequence[Run], fault: str) -> None:
        """Have each group's leader do something, at a moment of its own."""

        async def one(run: Run, pause: float) -> None:
            await asyncio.sleep(pause)
            run.at = clock()
            self.workers[run.who].ask(do=fault, group=run.group, seconds=run.ttl + 0.5)

        async with asyncio.TaskGroup() as group:
            for run in runs:
                group.create_task(one(run, self._dice.uniform(0, 1)))
        # Who asks and who does are two processes: what counts is when it was done.
        await self.until(lambda: all(self.events("asked", run.group, run.at) for run in runs), clock() + 5)
        for run in runs:
            run.at = min((each.at for each in self.events("asked", run.group, run.at)), default=run.at)

    async def _hurt(self, victim: Worker, runs: Sequence[Run], fault: str) -> None:
        """Do something to a whole process, or to the server."""
        long = LONGEST + self._dice.uniform(0.2, 2.0)
        began = clock()
        if fault == "kill":
            await victim.kill()
        elif fault == "stop":
            victim.signal(signal.SIGSTOP)
            began = clock()
            await asyncio.sleep(long)
            healed = clock()
            victim.signal(signal.SIGCONT)
        elif fault == "partition":
            victim.way.cut()
            began = clock()
            await asyncio.sleep(long)
            healed = clock()
            victim.way.mend(late=self._dice.random() < 0.5)
        elif fault == "restart":
            self._server.kill()
            began = clock()
            await asyncio.sleep(self._dice.choice([0.0, 0.5, 1.0, 2.0, 4.0]))
            await asyncio.to_thread(self._server.start)
        else:
            victim.ask(do="shift", seconds=self._dice.choice([-1, 1]) * self._dice.uniform(1, 48) * 3600)
        for run in runs:
            run.at, run.healed = began, healed if fault in ("stop", "partition") else clock()


async def play(scenario: Scenario) -> Report:
    """Play a scenario and judge it."""
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="natsmith-elections-")))
        binary = ROOT / ".servers" / scenario.version / "bin" / "nats-server"
        server = stack.enter_context(nats_server(binary))
        client = await nats.connect(server.url, max_reconnect_attempts=-1, reconnect_time_wait=0.1, error_cb=_quiet)
        stack.push_async_callback(closed, client)
        await _provision(client)
        one = Play(scenario, server, home)
        for name in NAMES:
            worker = Worker(name, await stack.enter_async_context(way(server.port)), home / f"{name}.log")
            one.workers[name] = worker
            stack.push_async_callback(worker.kill)
            await one.start(worker)
        ticking = asyncio.create_task(one.tick())
        for fault in scenario.faults:
            await one.round(fault)
        ticking.cancel()
        await asyncio.sleep(0.5)  # bad ones still write
        for worker in one.workers.values():
            await worker.kill()
        await one.until(lambda: True, 0)
        return judge(scenario.seed, one.runs, one.everything(), await _guarded(client), one.errors())


async def _provision(client: Client) -> None:
    elections = {
        "name": "KV_elections",
        "subjects": ["$KV.elections.>"],
        "max_msgs_per_subject": 1,
        "discard": "new",
        "deny_delete": True,
        "allow_rollup_hdrs": True,
        "allow_direct": True,
        "allow_msg_ttl": True,
    }
    for config in (elections, {"name": "GUARDED", "subjects": ["guarded.>"]}):
        answer = await client.request(f"$JS.API.STREAM.CREATE.{config['name']}", json.dumps(config).encode())
        if "error" in json.loads(answer.data):
            raise RuntimeError(answer.data)


async def _guarded(client: Client) -> list[tuple[str, int, str]]:
    """Return everything that the resource took, in order: group, token and who."""
    jetstream = client.jetstream()
    left = (await jetstream.stream_info("GUARDED")).state.messages
    subscription = await jetstream.subscribe("guarded.>", stream="GUARDED", ordered_consumer=True)
    taken = []
    for _ in range(left):
        message = await subscription.next_msg(timeout=5)
        headers = message.headers or {}
        taken.append((message.subject.partition(".")[2], int(headers["Token"]), headers["Who"]))
    await subscription.unsubscribe()
    return taken


async def _quiet(*_: object) -> None:
    """Hear of lost connections, which are what is tried here."""
