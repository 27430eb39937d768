"""Speed and memory of natsmith as a table of ratios: what ``make bench`` prints.

Whole processes are timed from outside and paired with a bare script in the same run, so the ratios hold on a slow and
on a busy machine; the seconds beside them are this machine's. A row that misses its target says ``over``; the exit
code does not, since a busy machine is no mistake of the code.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
# Run as a script, it has to find the other tests' modules itself.
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "demo")]

from bench.monitor import rows as monitor  # noqa: E402  (the path is only known by now)
from bench.moves import FULL as GIBIBYTE  # noqa: E402
from bench.moves import SMALL, WAYS, Moves  # noqa: E402
from bench.registry import rows as registry  # noqa: E402
from bench.table import HEAD, Row, aligned, say, seconds  # noqa: E402
from bench.timing import Pairs, Ran, run, server  # noqa: E402

PYTHON = Path(sys.executable)
NATSMITH = PYTHON.parent / "natsmith"
BARE = HERE / "bare.py"
FEW, MANY = 1_000, 10_000
IN_FLIGHT = (16, 32, 64, 128)
LINEAR = 1.3
"""Above this a cost per object has grown."""

Command = Sequence[str | Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """How often each pair runs; medians are taken of them."""

    disk: int
    create: int
    noop: int
    many: int
    loop: int


FULL = Runs(disk=3, create=7, noop=11, many=2, loop=20)
QUICK = Runs(disk=1, create=3, noop=5, many=1, loop=10)


class Bench:
    """The commands that are measured, on values of two sizes in one directory."""

    def __init__(self, home: Path, runs: Runs) -> None:
        self.home, self.runs = home, runs
        self.in_flight = IN_FLIGHT[0]
        for count in (FEW, MANY):
            self.values(count).write_text(values(count))

    def values(self, count: int) -> Path:
        """Return the file of values that names *count* buckets."""
        return self.home / f"{count}.yaml"

    def requests(self, count: int) -> Path:
        """Return the file of the requests that natsmith creates *count* buckets with."""
        return self.home / f"{count}.json"

    def apply(self, count: int) -> Command:
        """Return the command that is measured."""
        return (NATSMITH, "apply", "-f", self.values(count))

    def bare(self, count: int) -> Command:
        """Return the bare script's command that creates the same."""
        return (PYTHON, BARE, "create", self.requests(count), str(self.in_flight))

    def prepare(self) -> None:
        """Record the requests, and find how many in flight suit the bare script best."""
        for count in (FEW, MANY):
            with server(in_memory=True) as url:
                run((PYTHON, HERE / "recording.py", self.requests(count), *self.apply(count)), url)
        found: dict[int, float] = {}
        for self.in_flight in IN_FLIGHT * 3:
            with server(in_memory=True) as url:
                seconds = run(self.bare(FEW), url).seconds
            found[self.in_flight] = min(seconds, found.get(self.in_flight, seconds))
        self.in_flight = min(found, key=lambda each: found[each])

    def creation(self, count: int, times: int, *, in_memory: bool) -> Pairs:
        """Create *count* buckets from nothing, natsmith and the bare script in turns."""
        ours: list[Ran] = []
        other: list[Ran] = []
        for _ in range(times):
            for command, kept in ((self.apply(count), ours), (self.bare(count), other)):
                with server(in_memory=in_memory) as url:
                    kept.append(run(command, url))
        return Pairs(ours, other)

    def noop(self, count: int) -> tuple[Pairs, float]:
        """Apply again what is there, in turns with listing it; return also the seconds of a process per bucket."""
        with server(in_memory=True) as url:
            run(self.apply(count), url)
            ours: list[Ran] = []
            other: list[Ran] = []
            for _ in range(self.runs.noop):
                ours.append(run(self.apply(count), url))
                other.append(run((PYTHON, BARE, "list"), url))
            loop = [run((PYTHON, BARE, "info", f"KV_{bucket(index)}"), url) for index in range(self.runs.loop)]
        return Pairs(ours, other), sum(each.seconds for each in loop) / len(loop) * count


def bucket(index: int) -> str:
    """Return the name of one bucket."""
    return f"bucket_{index:05d}"


def values(count: int) -> str:
    """Return values with *count* buckets, no two after each other alike."""
    each = "  {name}:\n    ttlSeconds: {ttl}\n    history: 5\n    maxValue: 64Ki\n"
    return "buckets:\n" + "".join(each.format(name=bucket(index), ttl=60 + index % 600) for index in range(count))


def rows(bench: Bench) -> list[Row]:
    """Measure everything."""
    runs = bench.runs
    say("recording what natsmith sends")
    bench.prepare()
    script = f"bare script, {bench.in_flight} in flight"
    say(f"creating {FEW:,} on disk")
    disk = bench.creation(FEW, runs.disk, in_memory=False)
    say(f"creating {FEW:,}")
    few = bench.creation(FEW, runs.create, in_memory=True)
    say(f"no-op on {FEW:,}")
    noop, loop = bench.noop(FEW)
    say(f"creating {MANY:,}")
    many = bench.creation(MANY, runs.many, in_memory=True)
    say(f"no-op on {MANY:,}")
    noop_many, _ = bench.noop(MANY)
    return [
        _row(disk, f"create {FEW:,} buckets", 1.25, script),
        _row(few, f"create {FEW:,} buckets, server's files in memory", 1.25, script),
        _row(noop, f"no-op on {FEW:,}", 2, "bare script that lists"),
        Row(
            loop / noop.our_seconds,
            "a process per bucket against one no-op",
            20,
            seconds(noop.our_seconds),
            f"{seconds(loop)} scaled from {runs.loop} processes",
            at_least=True,
        ),
        _row(many, f"create {MANY:,} buckets", None, script),
        _row(noop_many, f"no-op on {MANY:,}", None, "bare script that lists"),
        _growth(few, many, "create, time per bucket"),
        _growth(noop, noop_many, "no-op, time per bucket"),
        Row(many.megabytes, f"peak memory, create {MANY:,}", 150, "", "", unit=" MB"),
        Row(noop_many.megabytes, f"peak memory, no-op on {MANY:,}", 150, "", "", unit=" MB"),
    ]


def _row(pairs: Pairs, what: str, target: float | None, other: str) -> Row:
    return Row(pairs.ratio, what, target, seconds(pairs.our_seconds), f"{seconds(pairs.other_seconds)} {other}")


def _growth(few: Pairs, many: Pairs, what: str) -> Row:
    """Return how much more one bucket costs among many than among few.

    Where the server itself takes longer for each, which the bare script shows, natsmith may as well.
    """
    each = many.our_seconds / MANY
    bare = many.other_seconds / MANY / (few.other_seconds / FEW)
    return Row(
        each / (few.our_seconds / FEW),
        f"{what}, {MANY:,} against {FEW:,}",
        LINEAR * max(1, bare),
        f"{each * 1e3:.2f} ms",
        f"{bare:.2f} times for the bare script",
    )


def main() -> int:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description="Speed and memory of natsmith against bare scripts.")
    parser.add_argument("--quick", action="store_true", help="fewer runs, rougher numbers")
    parser.add_argument("--only", choices=("objects", "moves", "registry", "monitor"), help="only a part of the rows")
    options = parser.parse_args()
    # A quick look at everything, moves of a few values included, wherever it is called from.
    quick = options.quick or bool(os.environ.get("BENCH_SMALL"))
    with tempfile.TemporaryDirectory(prefix="natsmith-bench-") as home:
        found = rows(Bench(Path(home), QUICK if quick else FULL)) if options.only in (None, "objects") else []
        moves = Moves(SMALL if quick else GIBIBYTE, Path(home))
        if options.only in (None, "moves"):
            found += asyncio.run(moves.rows(say))
        if options.only in (None, "registry"):
            found += asyncio.run(registry(say, small=quick))
        if options.only in (None, "monitor"):
            found += asyncio.run(monitor(say, small=quick))
    say("")
    print(aligned([HEAD, *(row.cells for row in found)]))
    if moves.ways:
        print(aligned([WAYS, *moves.ways], right=(1,)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
