"""Whole processes, measured from outside, on servers of our own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from embedded import nats_server

# Not a place for our files: a disk whose speed does not depend on what else the machine writes.
MEMORY = Path("/dev/shm")  # noqa: S108


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One process that is over."""

    seconds: float
    megabytes: float
    """The most memory it had at one time."""


@contextmanager
def server(*, in_memory: bool) -> Iterator[str]:
    """Run a nats-server that holds nothing yet and yield its address; its files are on disk, or in memory."""
    place = MEMORY if in_memory and MEMORY.is_dir() else None
    with (
        tempfile.TemporaryDirectory(prefix="natsmith-bench-", dir=place) as store,
        nats_server(extra={"jetstream": {"store_dir": store}}) as embedded,
    ):
        yield embedded.url


def clean(url: str) -> dict[str, str]:
    """Return an environment in which neither the caller's connection nor a context of the nats CLI has a say."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("NATS_", "XDG_"))}
    return kept | {"NATS_URL": url, "HOME": os.devnull}


def run(command: Sequence[str | Path], url: str) -> Ran:
    """Run *command* against the server at *url*; one that fails ends the benchmark."""
    began = time.perf_counter()
    # The commands are written in run.py.
    with subprocess.Popen(command, env=clean(url), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        errors = process.stderr.read() if process.stderr else b""
        # Popen's own wait() tells nothing about memory.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {process.returncode}: {errors.decode()}")
    # Linux counts KiB, macOS bytes.
    return Ran(seconds=seconds, megabytes=usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10))


@dataclass(frozen=True, slots=True)
class Pairs:
    """Runs of two commands, A B A B …, so that what slows the machine down hits both."""

    ours: Sequence[Ran]
    other: Sequence[Ran]

    @property
    def ratio(self) -> float:
        """How many times as long ours takes, as the median of the pairs."""
        return median(a.seconds / b.seconds for a, b in zip(self.ours, self.other, strict=True))

    @property
    def our_seconds(self) -> float:
        """The median of our runs."""
        return median(each.seconds for each in self.ours)

    @property
    def other_seconds(self) -> float:
        """The median of the other runs."""
        return median(each.seconds for each in self.other)

    @property
    def megabytes(self) -> float:
        """The most memory that one of our runs had."""
        return max(each.megabytes for each in self.ours)
