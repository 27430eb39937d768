"""A move of a gibibyte while clients write and read, and what one would do instead: rows and a table of their own.

Everything stands side by side on one server: the same values, the same light traffic, whole processes. Writers are not
told to stop for any of the ways, so that what each costs them is seen.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import nats
from nats.aio.client import Client as Connection

from bench.table import Row, milliseconds, seconds
from bench.timing import clean, server
from bench.traffic import Asked, Client, Clients, clock, traffic

PYTHON = Path(sys.executable)
NATSMITH = PYTHON.parent / "natsmith"
BARE = Path(__file__).parent / "bare_moves.py"
VALUE = 1000
FULL, SMALL = 2**30 // VALUE, 2**26 // VALUE
"""How many values: a gibibyte, or 64 MiB where the numbers need not be good."""

BATCH = 500
HOT = 200
"""How many of the keys the traffic is about."""

PAIRS = 2
"""How often both are measured; more would take minutes."""

WARM_SECONDS = 4.0
"""How long the traffic is looked at alone."""

PARKED = re.compile(r"move\.step .*step=park")
SWITCHED = re.compile(r"move\.switched .*pause_ms=([\d.]+)")

WAYS = ("a way from memory to file", "takes", "writers wait", "what is lost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """A switch that natsmith told of, by the clock of the traffic."""

    began: float
    ended: float
    logged: float
    """Seconds that nobody could write, as natsmith says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One process that ran, and when, by the clock of the traffic."""

    began: float
    ended: float
    output: str
    switches: tuple[Switch, ...] = ()

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began

    @property
    def told(self) -> dict[str, float]:
        """What a bare script printed."""
        found: dict[str, float] = json.loads(self.output)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two bare mirrors and a move, one after the other on one server, beside the same traffic."""

    clients: Clients
    alone: Span
    """The traffic beside nothing."""

    bare: Span
    moved: Span

    @property
    def pauses(self) -> list[float]:
        """Return the seconds that the writer waited around each switch."""
        return [self.clients.writer.longest_gap(each.began, each.ended) for each in self.moved.switches]

    @property
    def gets(self) -> list[Asked]:
        """Return what the bucket's reader asked while it moved."""
        return self.clients.reader.within(self.moved.began, self.moved.ended)


@dataclass(slots=True)
class Moves:
    """Everything that was measured."""

    count: int
    home: Path
    ways: list[tuple[str, ...]] = field(default_factory=list)

    async def rows(self, say: Callable[[str], None]) -> list[Row]:
        """Measure."""
        pairs = []
        for _ in range(PAIRS):
            async with self._filled(say) as (url, clients):
                pairs.append(await self._pair(url, clients, say))
        self._way("natsmith's move", pairs[0].moved, _each(pairs[0].pauses), "nothing")
        async with self._filled(say) as (url, clients):
            say(f"writing {self._size} anew")
            copied = await self._bare(url, "copy", "KV_moved", "$KV.moved.", "KV_copy", "$KV.copy.")
            self._way("reading and writing it all, to another name", copied, seconds(copied.seconds), _COPIED)
            await self._deleted(url, "KV_copy")
            say(f"backup and restore of {self._size}")
            saved = await self._bare(url, "backup", "KV_moved", str(self.home / "backup"))
            written = [each.answer for each in clients.writer.within(saved.began, saved.ended)]
            lost = sum(each > saved.told["saved"] for each in _before_a_fall(written))
            missing = sum(each.missing for each in clients.reader.within(saved.began, saved.ended))
            self._way("backup and restore", saved, seconds(saved.seconds), _SAVED.format(lost, missing))
            say("delete and recreate")
            emptied = await self._bare(url, "recreate", "KV_moved")
            self._way("delete and recreate", emptied, milliseconds(emptied.told["seconds"]), "everything")
        return self._rows(pairs)

    @property
    def _size(self) -> str:
        return f"{self.count * VALUE / 2**30:.2g} GiB"

    async def _pair(self, url: str, clients: Clients, say: Callable[[str], None]) -> Pair:
        say("looking at the traffic alone")
        alone = await self._alone()
        say(f"two bare mirrors of {self._size}")
        bare = await self._bare(url, "mirrors", "KV_moved", "FIRST", "SECOND")
        await self._deleted(url, "SECOND", "FIRST")
        say(f"moving {self._size}")
        moved = await self._natsmith(url, "file")
        return Pair(clients=clients, alone=alone, bare=bare, moved=moved)

    def _rows(self, pairs: Sequence[Pair]) -> list[Row]:
        asked = [each for pair in pairs for each in pair.gets]
        errors = sum(not each.answer for each in asked) / len(asked)
        ours, other = (median(getattr(pair, each).seconds for pair in pairs) for each in ("moved", "bare"))
        logged = ", ".join(_each([each.logged for each in pair.moved.switches]) for pair in pairs)
        rows = [
            Row(
                median(pair.moved.seconds / pair.bare.seconds for pair in pairs),
                f"move {self._size} of 1 kB values to disk",
                1.3 if self.count == FULL else None,  # of a small one, half is beginning and ending
                seconds(ours),
                f"{seconds(other)} two bare mirrors, one after the other",
            ),
            Row(
                max(max(pair.pauses) for pair in pairs) * 1000,
                "a move's longest pause, as a writer sees it",
                50,
                ", ".join(_each(pair.pauses) for pair in pairs),
                f"{logged} as natsmith logs them",
                unit=" ms",
            ),
            Row(max(sum(pair.pauses) for pair in pairs) * 1000, "a move's pauses together", 100, "", "", unit=" ms"),
            Row(
                errors * 100,
                "direct reads of the bucket without an answer",
                None,
                f"{len(asked)} reads",
                f"{sum(each.missing for each in asked)} told not found",
                unit=" %",
            ),
        ]
        clients = {"reads of another bucket": "stranger", "reads of the bucket": "reader", "writes to it": "writer"}
        return [*rows, *(_latency(f"{what}, 99th percentile", who, pairs) for what, who in clients.items())]

    def _way(self, name: str, span: Span, waits: str, lost: str) -> None:
        self.ways.append((name, seconds(span.seconds), waits, lost))

    # -- What is measured

    @asynccontextmanager
    async def _filled(self, say: Callable[[str], None]) -> AsyncIterator[tuple[str, Clients]]:
        """Run a server whose bucket ``moved`` is full, in memory, with traffic on it."""
        with server(in_memory=False) as url:
            say("filling a bucket")
            await self._natsmith(url, "memory")
            connection = await nats.connect(url)
            keys = [f"k{index:07}" for index in range(self.count)]
            await _fill(connection, "moved", keys)
            hot = keys[:: len(keys) // HOT][:HOT]
            await _fill(connection, "other", hot)
            await connection.close()
            async with traffic(url, "moved", "other", hot) as clients:
                yield url, clients

    @staticmethod
    async def _alone() -> Span:
        began = clock()
        # The traffic needs time to be looked at; nothing is waited for.
        await asyncio.sleep(WARM_SECONDS)
        return Span(began=began, ended=clock(), output="")

    async def _natsmith(self, url: str, storage: str) -> Span:
        values = self.home / "moves.yaml"
        values.write_text(
            "provisioner: {onImmutable: move}\n"
            f"buckets:\n  moved: {{storage: {storage}}}\n  other: {{storage: memory}}\n"
        )
        return await _ran((NATSMITH, "apply", "-f", values), url)

    @staticmethod
    async def _bare(url: str, *words: str) -> Span:
        return await _ran((PYTHON, BARE, *words), url)

    @staticmethod
    async def _deleted(url: str, *streams: str) -> None:
        connection = await nats.connect(url)
        for each in streams:
            await connection.jetstream().delete_stream(each)
        await connection.close()


_COPIED = "revisions, times of writing, times to live; the name; what is written meanwhile"
_SAVED = "what is written meanwhile: {} writes here, acknowledged; {} reads told not found; before 2.15 not from memory"


def _latency(what: str, who: str, pairs: Sequence[Pair]) -> Row:
    """Return how long a client waited while it was copied: a server has no brake for that, natsmith neither."""

    def wait(which: str) -> tuple[float, float]:
        found = []
        for pair in pairs:
            client: Client = getattr(pair.clients, who)
            span: Span = getattr(pair, which)
            found.append(client.percentiles(span.began, span.ended))
        return median(each[0] for each in found), median(each[1] for each in found)

    (middle, most), (beside, most_beside), (_, most_alone) = wait("moved"), wait("bare"), wait("alone")
    return Row(
        most / most_beside,
        what,
        None,
        f"{milliseconds(most)}, median {milliseconds(middle)}",
        f"{milliseconds(most_beside)}, median {milliseconds(beside)} beside bare mirrors; {milliseconds(most_alone)} alone",
    )


def _each(pauses: Sequence[float]) -> str:
    return " + ".join(milliseconds(each) for each in pauses)


def _before_a_fall(revisions: Sequence[int]) -> list[int]:
    """Return the acknowledged revisions up to where they begin again at a lower one."""
    found: list[int] = []
    for each in filter(None, revisions):
        if found and each < found[-1]:
            break
        found.append(each)
    return found


async def _fill(connection: Connection, bucket: str, keys: Sequence[str]) -> None:
    """Put a value under each key; of each batch the last is awaited, so that the server is not flooded."""
    value = os.urandom(VALUE)
    for at in range(0, len(keys), BATCH):
        *most, last = keys[at : at + BATCH]
        for key in most:
            await connection.publish(f"$KV.{bucket}.{key}", value)
        await connection.request(f"$KV.{bucket}.{last}", value, timeout=30)


async def _ran(command: Sequence[str | Path], url: str) -> Span:
    """Run a process beside the traffic; one that fails ends the benchmark."""
    began = clock()
    process = await asyncio.create_subprocess_exec(
        *command, env=clean(url), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout
    assert process.stderr
    switches, lines, parked = [], [], began
    async for line in process.stderr:
        lines.append(line.decode())
        if PARKED.search(lines[-1]):
            parked = clock()
        if found := SWITCHED.search(lines[-1]):
            switches.append(Switch(began=parked, ended=clock(), logged=float(found[1]) / 1000))
    output = (await process.stdout.read()).decode()
    code = await process.wait()
    if code:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {code}: {''.join(lines)}")
    return Span(began=began, ended=clock(), output=output, switches=tuple(switches))
