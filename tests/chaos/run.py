"""Moves under live traffic, with processes killed at every step: what ``make chaos`` prints.

Each run follows from its seed. A run that broke a truth is one line with the seed and a sentence, and
``--only SEED`` plays just that one again; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import queue
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).parents[2]
# Run as a script, it has to find the other tests' modules itself; a worker process has to as well.
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "demo")]

from chaos.play import Act, move, nothing, play  # noqa: E402  (the path is only known by now)
from chaos.report import Report  # noqa: E402
from chaos.sabotage import RIGHT, WRONG, Wrong  # noqa: E402
from chaos.scenario import VERSIONS, Scenario, choose, controlled  # noqa: E402
from chaos.servers import Sites, alone  # noqa: E402
from chaos.table import failure, summary  # noqa: E402

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

KEPT = ROOT / ".cache" / "chaos"
"""Where the log of each run that failed is."""

WORKERS = 2
WAITING = 8
"""How many runs of one worker are under way: one is at work, the others wait for what takes its time."""

SILENCE = 400
"""After so many seconds without any run that ends, the harness itself hangs."""

Job = tuple[Scenario, Act]


async def _serve(jobs: list[Job], done: Queue[Report]) -> None:
    """Play all *jobs*, those in a cluster one by one."""
    slot, waiting = asyncio.Semaphore(1), asyncio.Semaphore(WAITING)
    with ExitStack() as stack:
        sites = Sites(stack)

        async def one(scenario: Scenario, act: Act) -> None:
            with ExitStack() as own:
                home = Path(own.enter_context(tempfile.TemporaryDirectory(prefix="natsmith-chaos-")))
                if scenario.replicas > 1:
                    site = await sites.cluster(scenario.version)
                elif scenario.fault in ("server", "both"):
                    site = own.enter_context(alone(scenario.version))
                else:
                    site = sites.shared(scenario.version)
                done.put(await play(scenario, site, home, slot, act))

        async def single(job: Job) -> None:
            async with waiting:
                await one(*job)

        async with asyncio.TaskGroup() as group:
            for job in jobs:
                if job[0].replicas == 1:
                    group.create_task(single(job))
        for job in jobs:
            if job[0].replicas > 1:
                await one(*job)


def work(jobs: list[Job], done: Queue[Report]) -> None:
    """Be one worker process: servers that it started end with it, however it ends."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    asyncio.run(_serve(jobs, done))


def played(jobs: list[Job]) -> Iterator[Report]:
    """Play all *jobs* in worker processes, yield each report when its run is over."""
    # Sharing nothing with this process, a worker's event loop and its signals are its own.
    context = multiprocessing.get_context("spawn")
    done: Queue[Report] = context.Queue()
    workers = [context.Process(target=work, args=(part, done)) for part in _shares(jobs)]
    for each in workers:
        each.start()
    try:
        left, heard = len(jobs), time.monotonic()
        while left:
            try:
                yield done.get(timeout=5)
                left, heard = left - 1, time.monotonic()
            except queue.Empty:
                broken = [each.exitcode for each in workers if each.exitcode]
                if broken or time.monotonic() - heard > SILENCE:
                    raise SystemExit(f"{left} runs did not end; workers that broke: {broken}") from None
    finally:
        for each in workers:
            each.terminate() if left else None
            each.join(timeout=30)


def _shares(jobs: list[Job]) -> list[list[Job]]:
    """Return each worker's jobs; a cluster is started for a version, so its runs stay together."""
    shares: list[list[Job]] = [[] for _ in range(min(WORKERS, len(jobs)))]
    for index, job in enumerate(job for job in jobs if job[0].replicas == 1):
        shares[index % len(shares)].append(job)
    clustered = sorted((job for job in jobs if job[0].replicas > 1), key=lambda job: job[0].version)
    half = -(-len(clustered) // len(shares))
    for index in range(len(shares)):
        shares[index] += clustered[index * half : (index + 1) * half]
    return [share for share in shares if share]


def keep(report: Report) -> None:
    """Keep what natsmith said in a run that failed."""
    KEPT.mkdir(parents=True, exist_ok=True)
    name = f"{report.scenario.seed}{'-cluster' if report.cluster else ''}.log"
    sentences = "".join(f"{each.truth}: {each.sentence}\n" for each in report.violations)
    (KEPT / name).write_text(f"{report.scenario}\n{sentences}\n{report.text}")


def test_itself() -> int:
    """Try what is right and what is wrong on purpose; return 1 if the harness does not see which is which."""
    tried: list[Wrong] = [*RIGHT, *WRONG]
    by_seed = {9000 + index: each for index, each in enumerate(tried)}
    jobs: list[Job] = [(_seeded(each.scenario, seed), each.act) for seed, each in by_seed.items()]
    failed = 0
    for report in played(jobs):
        wrong = by_seed[report.scenario.seed]
        found = {each.truth for each in report.violations}
        good = wrong.found <= found and "harness" not in found if wrong.found else not found
        failed += not good
        expected = ", ".join(sorted(wrong.found)) or "nothing"
        print(
            f"{'ok  ' if good else 'FAIL'} {wrong.name}: found {', '.join(sorted(found)) or 'nothing'}; expected {expected}"
        )
        if not good:
            for each in report.violations:
                print(f"       {each.truth}: {each.sentence}")
    print(f"{len(tried)} tried, {failed} not seen as what they are")
    return 1 if failed else 0


def _seeded(scenario: Scenario, seed: int) -> Scenario:
    values: dict[str, Any] = {name: getattr(scenario, name) for name in scenario.__slots__}
    return Scenario(**values | {"seed": seed})


def main() -> int:
    """Play the runs that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200, help="how many on one server (200)")
    parser.add_argument("--clusters", type=int, default=20, help="how many on three servers (20)")
    parser.add_argument("--seed", type=int, default=1, help="of the first run; the others follow (1)")
    parser.add_argument("--only", type=int, help="just the run with this seed")
    parser.add_argument("--cluster", action="store_true", help="with --only: on three servers")
    parser.add_argument("--long", action="store_true", help="more keys and more writers")
    parser.add_argument("--version", choices=VERSIONS, help="only runs on this server")
    parser.add_argument(
        "--control", action="store_true", help="the same runs without a move: the servers by themselves"
    )
    parser.add_argument(
        "--tolerate", type=int, default=0, help="how many failed runs, all of them told, end with 0 all the same (0)"
    )
    parser.add_argument("--self-test", action="store_true", help="does the harness see what is wrong?")
    given = parser.parse_args()
    # Who is asked to end ends its workers, and they their servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if given.self_test:
        return test_itself()
    if given.only is not None:
        scenarios = [choose(given.only, cluster=given.cluster, long=given.long)]
    else:
        seeds = range(given.seed, given.seed + given.runs)
        scenarios = [choose(seed, long=given.long) for seed in seeds]
        scenarios += [choose(seed, cluster=True, long=given.long) for seed in seeds[: given.clusters]]
    scenarios = [each for each in scenarios if given.version in (None, each.version)]
    jobs: list[Job] = [(controlled(each), nothing) if given.control else (each, move) for each in scenarios]
    began = time.monotonic()
    reports = []
    for report in played(jobs):
        reports.append(report)
        if report.violations:
            keep(report)
            print(
                failure(report, "".join(f" --{flag}" for flag in ("long", "control") if getattr(given, flag))),
                flush=True,
            )
        if sys.stderr.isatty():
            print(f"\r\x1b[K{len(reports)} of {len(jobs)}", end="\r", file=sys.stderr, flush=True)
    print(summary(reports, time.monotonic() - began))
    if given.only is not None:
        for report in reports:
            print(f"{report.scenario}\n{report.text}")
    return 1 if sum(bool(report.violations) for report in reports) > given.tolerate else 0


if __name__ == "__main__":
    sys.exit(main())
