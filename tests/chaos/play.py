"""One run from an empty account to the last check."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from nats.aio.client import Client

from chaos import invariants, raw
from chaos.faults import Natsmith, Ran, free_lock, kills, short
from chaos.ledger import Ledger, Write, payload
from chaos.report import Report
from chaos.scenario import Scenario
from chaos.servers import Site
from chaos.traffic import Traffic
from chaos.watching import Watching, Worker, missing
from natsmith.errors import Exit
from waiting import over

ATTEMPTS = 6
LONGEST = 300
"""Seconds that no run takes, others that have the machine first included: one that does hangs."""
WARM, AFTER = 0.25, 0.15
"""Seconds that clients are at work before and after the move."""

EMPTIED = 3.0
SOON, WATCHERS = 15.0, 40.0
"""Seconds that the durable and, which resume late by themselves, the watchers may be silent before they had everything."""

TTLS = (3600, 5, 3, 1)
"""Times to live of some keys; the last one was put last, so it is the stream's tail."""

Act = Callable[["Run"], Awaitable[None]]


@dataclass(slots=True)
class Run:
    """The parts of one run."""

    scenario: Scenario
    site: Site
    client: Client
    natsmith: Natsmith
    ledger: Ledger = field(init=False)
    before: dict[int, raw.Stored] = field(default_factory=dict)
    report: Report = field(init=False)

    def __post_init__(self) -> None:
        """Begin with an empty report."""
        cluster = self.scenario.replicas > 1
        self.ledger = Ledger(clustered=cluster)
        self.report = Report(scenario=self.scenario, cluster=cluster, violations=self.ledger.violations, counts={})

    def values(self, *, moved: bool) -> str:
        """Return the file of the values before or after the move."""
        path = self.natsmith.home / f"{'after' if moved else 'before'}.yaml"
        path.write_text(json.dumps(self.scenario.values(moved=moved)))  # JSON is YAML
        return str(path)

    async def prepare(self) -> None:
        """Create the object with natsmith and fill it."""
        words = ("apply", "-f", self.values(moved=False), "--timeout", "40")
        ran = await self.natsmith.run(*words)
        if ran.code == Exit.NOT_READY:  # a cluster that has just begun elects leaders
            ran = await self.natsmith.run(*words)
        if ran.code:
            raise RuntimeError(f"the values before the move could not be applied: {ran.tail}")
        plan = self._messages()
        sent = time.time()
        prefix = self.scenario.prefixes[0]
        messages = [(prefix + key, payload(key, number, self.scenario.size), ttl) for key, number, ttl in plan]
        for (key, number, ttl), seq in zip(plan, await raw.publish_all(self.client, messages), strict=True):
            lives = min((each for each in (ttl, self.scenario.max_age) if each), default=None)
            write = Write(key=key, number=number, seq=seq, sent=sent, acked=time.time(), ttl=lives)
            self.ledger.acknowledged(write, floor=self.ledger.top)
        self.before = await raw.everything(self.client, self.scenario.stream)

    def _messages(self) -> list[tuple[str, int, int]]:
        """Return key, attempt and time to live of what is there before the move."""
        keys = [(f"k{index}", 1, 0) for index in range(self.scenario.keys)]
        again = [(f"k{index}", number, 0) for number in (2, 3) for index in range(min(50, self.scenario.keys))]
        # In a cluster one run waits for the other.
        ttls = [ttl for ttl in TTLS if ttl != 5 or self.scenario.replicas == 1]
        passing = [(f"t{ttl}-{index}", 1, ttl) for ttl in ttls for index in range(4)] if self.scenario.ttl else []
        return keys + again + passing

    def tell(self, what: str) -> None:
        """Keep when something happened."""
        self.report.text += f"-- {what}, {time.monotonic() - self.ledger.started:.2f} s after the run began\n"

    async def note(self, ran: Ran) -> None:
        """Keep what a run of natsmith did."""
        self.report.steps += [short(line) for line in ran.steps]
        self.report.text += ran.text
        self.tell(f"killed at {ran.killed}" if ran.killed else f"ended with {ran.code}")
        if ran.killed:
            self.report.killed.append(ran.killed)
            await free_lock(self.client)
        if "Traceback" in ran.text or "this is a bug" in ran.text:
            self.ledger.broken("exit", f"natsmith broke: {ran.tail}")


async def nothing(run: Run) -> None:
    """Move nothing: what fails then is the server's or the harness's."""
    await asyncio.sleep(0.5)
    if run.scenario.fault == "server":
        await run.site.crash(await run.site.leader(run.client, run.scenario.stream), run.scenario.down)
        run.report.crashed = True
        await asyncio.sleep(0.5)


async def move(run: Run) -> None:
    """Apply the values after the move, again and again until it is done, with the faults of the scenario."""
    scenario, begun = run.scenario, asyncio.Event()
    crash = asyncio.create_task(_crash(run, begun)) if scenario.fault in ("server", "both") else None
    ran = Ran(code=-1)
    for attempt in range(ATTEMPTS):
        step, after = kills(scenario, attempt)
        ran = await run.natsmith.run(
            "apply", "-f", run.values(moved=True), "--timeout", "40", at_step=step, after=after, begun=begun.set
        )
        await run.note(ran)
        run.ledger.counts["applies"] += 1
        if ran.code == 0:
            break
        if not ran.killed:
            if crash is None:
                run.ledger.broken("exit", f"apply ended with {ran.code} though nothing was killed: {ran.tail}")
            run.ledger.counts[f"applies that ended with {ran.code}"] += 1
            await free_lock(run.client)
            await asyncio.sleep(0.2)
    else:
        run.ledger.broken("exit", f"not done after {ATTEMPTS} applies, the last ended with {ran.code}: {ran.tail}")
    if crash:
        if not begun.is_set():
            crash.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await crash


async def _crash(run: Run, begun: asyncio.Event) -> None:
    """Kill the server, in a cluster the one that leads the stream, some time after natsmith's first step."""
    await begun.wait()
    await asyncio.sleep(run.scenario.delay)
    name = await run.site.leader(run.client, run.scenario.final, run.scenario.stream)
    run.report.crashed = True
    run.tell(f"server {name} is killed")
    await run.site.crash(name, run.scenario.down)
    run.tell(f"server {name} is there again")


async def play(scenario: Scenario, site: Site, home: Path, slot: asyncio.Semaphore, act: Act) -> Report:
    """Play *scenario* on *site* and return what came of it; *slot* is held while the machine is at work."""
    began = time.monotonic()
    place = site.fresh()
    async with contextlib.AsyncExitStack() as stack:
        client = await raw.connect(place)
        stack.push_async_callback(raw.closed, client)
        url = place.urls[scenario.seed % len(place.urls)]
        run = Run(scenario, site, client, Natsmith(home, place, url))
        try:
            async with asyncio.timeout(LONGEST):
                await _play(run, slot, act)
        except TimeoutError as error:
            run.ledger.broken("hang", f"the run took too long, at {_where(error)}")
        except Exception as error:  # noqa: BLE001  (a run that breaks is one that failed: it is told with its seed)
            run.ledger.broken("harness", f"the run broke: {error!r}")
        with contextlib.suppress(Exception):
            await _clean(client)
    report = run.report
    report.counts = dict(run.ledger.counts)
    report.pause, report.calm = run.ledger.pause, run.ledger.calm
    report.seconds = time.monotonic() - began
    return report


def _where(error: TimeoutError) -> str:
    """Return which lines waited when time was over, the innermost last."""
    frames = traceback.extract_tb((error.__cause__ or error).__traceback__)
    return " > ".join(f"{Path(each.filename).name}:{each.lineno} {each.name}" for each in frames[-4:])


async def _play(run: Run, slot: asyncio.Semaphore, act: Act) -> None:
    scenario, ledger = run.scenario, run.ledger
    # On three servers an election takes up to nine seconds, and a copy that broke there is noticed after twenty.
    bound = (60 if scenario.replicas == 1 else 150) + scenario.keys / 500
    async with contextlib.AsyncExitStack() as stack:
        async with slot, asyncio.timeout(bound):
            await run.prepare()
            watching, worker = await stack.enter_async_context(_told(run))
            traffic = Traffic(scenario, ledger, run.natsmith.place)
            traffic.attempts |= {key: writes[-1].number for key, writes in ledger.writes.items()}
            async with traffic.flowing():
                await asyncio.sleep(WARM)
                ledger.moving = True
                await act(run)
                ledger.moving = False
                await asyncio.sleep(AFTER)
            await traffic.last_write(run.client)
        # What follows is mostly waiting, so that another run has the machine meanwhile.
        if worker:
            left = await worker.caught_up(set(_delivered_for_sure(ledger)), within=SOON)
            for seq in sorted(left)[:3]:
                ledger.broken(
                    "durable", f"{ledger.by_seq[seq].key} (revision {seq}) was never delivered; {len(left)} in all"
                )
            if scenario.workqueue:
                await _emptied(run)
            ledger.counts["duplicates"] += worker.duplicates
            ledger.counts["delivered"] += len(worker.delivered)
        if watching and scenario.watched:
            await _watched(run, watching)
        await _expired(ledger)
        async with slot, asyncio.timeout(bound):
            await _judge(run, set(worker.delivered) if worker else set())


@contextlib.asynccontextmanager
async def _told(run: Run) -> AsyncIterator[tuple[Watching | None, Worker | None]]:
    """Run the watcher or the worker on a connection of its own as long as the block lasts."""
    client = await raw.connect(run.natsmith.place)
    watching = worker = None
    task: asyncio.Task[None] | None = None
    try:
        if run.scenario.bucket and not run.scenario.renamed:
            watching = await Watching.begin(client, run.scenario, run.ledger)
            task = asyncio.create_task(watching.run())
        elif not run.scenario.bucket:
            worker = Worker(client, run.ledger)
            task = asyncio.create_task(worker.run())
        yield watching, worker
    finally:
        if task:
            await over(task)
        await raw.closed(client)


def _delivered_for_sure(ledger: Ledger) -> list[int]:
    """Return what must have been delivered: all that did not expire before the worker could have it."""
    return [seq for seq, write in ledger.by_seq.items() if write.ttl is None or write.ttl > 60]


async def _emptied(run: Run) -> None:
    """Wait a moment for a work queue to be empty: acknowledgements are on their way when a worker has everything."""
    deadline = time.monotonic() + EMPTIED
    while time.monotonic() < deadline:
        if not (await raw.streams(run.client))[run.scenario.final]["state"]["messages"]:
            return
        # Nobody announces it; the deadline bounds the loop.
        await asyncio.sleep(0.1)


async def _watched(run: Run, watching: Watching) -> None:
    """Every key's newest revision was seen, and since the watcher began every one that is still there."""
    after = await raw.everything(run.client, run.scenario.final)
    told = [write for write in run.ledger.by_seq.values() if write.ttl is None or write.ttl > 60]
    wanted = {(each.seq, each.number) for each in told if each.seq > watching.began and each.seq in after}
    wanted |= {(each.seq, each.number) for each in told if run.ledger.newest[each.key] is each}
    left = await missing(wanted, watching.seen, within=WATCHERS)
    for seq, _ in sorted(left)[:3]:
        run.ledger.broken("watch", f"revision {seq} was never shown to a watcher; {len(left)} in all")


async def _expired(ledger: Ledger) -> None:
    """Wait until what expires soon must have."""
    passing = [write.acked + write.ttl + 2.1 for write in ledger.newest.values() if write.ttl and write.ttl < 60]
    await asyncio.sleep(max(0.0, max(passing, default=0.0) - time.time()))


async def _judge(run: Run, delivered: set[int]) -> None:
    scenario, ledger, client = run.scenario, run.ledger, run.client
    await invariants.objects(client, scenario, ledger)
    after = await raw.everything(client, scenario.final)
    invariants.messages(scenario, ledger, before=run.before, after=after, delivered=delivered)
    if not scenario.workqueue:
        await invariants.leader_agrees(client, scenario, ledger, after)
    ran = await run.natsmith.run("plan", "-f", run.values(moved=True), "--check", "--timeout", "20")
    if ran.code:
        ledger.broken("config", f"plan --check ends with {ran.code}: {ran.tail}")


async def _clean(client: Client) -> None:
    """Leave a shared server as it was."""
    for name in await raw.streams(client):
        await raw.api(client, f"STREAM.DELETE.{name}", timeout=2)
