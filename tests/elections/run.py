"""Leader elections under faults: what ``make elections`` prints.

A run is one fault of one group's leader; a play of some seed has a few faults for many groups. Each broken truth is one
line with the seed, ``--only SEED`` plays just that one again, and the exit code is then 1.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import takewhile
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
# Run as a script, it has to find the other tests' modules itself.
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "demo")]

from elections.judge import Report  # noqa: E402  (the path is only known by now)
from elections.play import play  # noqa: E402
from elections.sabotage import WRONG  # noqa: E402
from elections.scenario import FAULTS, VERSIONS, Scenario, choose  # noqa: E402
from natsmith.clock import clock  # noqa: E402

AT_ONCE = 2
WORDS = {
    "kill": "leader killed",
    "stop": "leader stopped, then on",
    "partition": "leader cut off (a proxy)",
    "restart": "server killed, then back",
    "shift": "leader's time.time set",
    "leave": "leader lets go",
    "cancel": "leader cancelled",
    "deafen": "leader's answers lost",
}


def work(scenario: Scenario) -> Report:
    """Play in a process of its own, so that no play waits for another one's counting."""
    return asyncio.run(play(scenario))


def asked_to_end() -> None:
    """Let a process that is asked to end end its servers first."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def played(scenarios: Iterable[Scenario]) -> Iterator[Report]:
    """Play a few at once."""
    left, running = iter(scenarios), set[Future[Report]]()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(AT_ONCE, mp_context=context, initializer=asked_to_end) as pool:
        while True:
            while len(running) < AT_ONCE and (one := next(left, None)):
                running.add(pool.submit(work, one))
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for each in done:
                yield each.result()


def test_itself() -> int:
    """Try elections that are wrong on purpose; return 1 if the harness does not see it."""
    wrong = {9000 + index: name for index, name in enumerate(WRONG)}
    scenarios = [
        Scenario(seed=seed, version=VERSIONS[-1], faults=(WRONG[name][1],), groups=12, sabotage=name)
        for seed, name in wrong.items()
    ]
    right = Scenario(seed=8999, version=VERSIONS[-1], faults=("kill", "leave"), groups=12)
    failed = 0
    for report in played([right, *scenarios]):
        name = wrong.get(report.seed, "")
        what, _, expected = WRONG.get(name, ("nothing is wrong", "", ""))
        found = {truth for truth, _ in report.broken}
        good = expected in found if expected else not found
        failed += not good
        print(
            f"{'ok  ' if good else 'FAIL'} {what}: found {', '.join(sorted(found)) or 'nothing'}; expected {expected or 'nothing'}",
            flush=True,
        )
        for truth, sentence in () if good else report.broken:
            print(f"       {truth}: {sentence}")
    print(f"{len(scenarios) + 1} tried, {failed} not seen as what they are")
    return 1 if failed else 0


def summary(reports: Sequence[Report], seconds: float) -> str:
    """Return what all runs together showed: how long it took until somebody led again."""
    lines = [f"{'':26}{'runs':>6}{'led on':>8}{'median':>9}{'worst':>9}   longest beyond the TTL"]
    for fault in FAULTS:
        runs = [run for report in reports for run in report.runs if run.fault == fault]
        times = [run.seconds for run in runs if run.seconds is not None]
        over = [run.seconds - run.ttl for run in runs if run.seconds is not None]
        numbers = f"{median(times):7.2f} s{max(times):7.2f} s{max(over):10.2f} s" if times else f"{'-':>9}{'-':>9}"
        if runs:
            lines.append(f"{WORDS[fault]:26}{len(runs):6}{sum(run.kept for run in runs):8}{numbers}")
    broken = sum(bool(report.broken) for report in reports)
    lines.append(
        f"{sum(len(report.runs) for report in reports)} runs in {len(reports)} plays, {broken} plays broken; "
        f"{sum(report.looks for report in reports):,} looks at leases, "
        f"{sum(report.writes for report in reports):,} writes taken by the resource; {seconds:.0f} s"
    )
    return "\n".join(lines)


def some(scenarios: Iterable[Scenario], *, runs: int, seconds: float) -> int:
    """Play until there were so many runs, or no time is left; return the exit code."""
    began, reports = clock(), list[Report]()

    def wanted() -> bool:
        return sum(len(each.runs) for each in reports) < runs and clock() - began < seconds

    for report in played(takewhile(lambda _: wanted(), scenarios)):
        reports.append(report)
        for truth, sentence in report.broken:
            print(
                f"FAILED seed {report.seed}: {truth}: {sentence}. "
                f"Again: .venv/bin/python tests/elections/run.py --only {report.seed}",
                flush=True,
            )
    print(summary(reports, clock() - began))
    return 1 if any(report.broken for report in reports) else 0


def main() -> int:
    """Play what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000, help="how many runs at least (1000)")
    parser.add_argument("--seconds", type=float, default=3600, help="begin no more plays after so long (3600)")
    parser.add_argument("--seed", type=int, default=1, help="of the first play; the others follow (1)")
    parser.add_argument("--only", type=int, help="just the play with this seed")
    parser.add_argument("--self-test", action="store_true", help="does the harness see what is wrong?")
    given = parser.parse_args()
    asked_to_end()
    if given.self_test:
        return test_itself()
    if given.only is not None:
        return some([choose(given.only)], runs=1, seconds=given.seconds)
    scenarios = (choose(seed) for seed in range(given.seed, sys.maxsize))
    return some(scenarios, runs=given.runs, seconds=given.seconds)


if __name__ == "__main__":
    sys.exit(main())
