"""What clients were told, and what must therefore be true: the harness believes nothing but acknowledgements."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

Truth = Literal[
    "lost", "reused", "went back", "refused", "not found", "stale", "foreign", "time", "ttl", "watch", "durable",
    "config", "left over", "exit", "hang", "harness",
]  # fmt: skip
EARLY, LATE = 0.15, 2.0
"""Seconds: a server's clock is ours, but what is sent takes a moment; it may expire a value late."""

LAG, ELECTION = 3.0, 8.0
"""Seconds that a replica may be behind its leader, since any of them answers direct gets without asking the leader;
and that nobody may lead: replicas expire nothing by themselves."""

SENTENCES = 3
"""How many of one truth are told; the others are counted."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A truth that did not hold."""

    truth: Truth
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One acknowledged write."""

    key: str
    number: int
    """Which attempt for this key it was: later ones have higher numbers, and values begin with it."""

    seq: int
    sent: float
    acked: float
    ttl: float | None
    """Seconds that the message or its stream lets it live."""

    def alive(self, now: float) -> bool:
        """Whether it cannot have expired by *now*."""
        return self.ttl is None or now < self.sent + self.ttl - EARLY

    def over(self, now: float) -> bool:
        """Whether it must have expired before *now*."""
        return self.ttl is not None and now > self.acked + self.ttl + LATE


@dataclass(slots=True)
class Ledger:
    """Everything that clients were told in one run."""

    clustered: bool = False
    """Whether replicas answer reads."""

    violations: list[Violation] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """How often something happened that is no violation, and how often each truth did not hold."""

    by_seq: dict[int, Write] = field(default_factory=dict)
    newest: dict[str, Write] = field(default_factory=dict)
    writes: dict[str, list[Write]] = field(default_factory=dict)
    """By key."""

    top: int = 0
    """The highest sequence that anybody was given."""

    moving: bool = False
    """Whether natsmith is at work, so that gaps count as its pauses."""

    pause: float = 0.0
    calm: float = 0.0
    """The longest gap between a writer's acknowledgements while natsmith is at work, and before."""

    started: float = field(default_factory=time.monotonic)

    def broken(self, truth: Truth, sentence: str) -> None:
        """Note that a truth did not hold."""
        self.counts[f"broken {truth}"] += 1
        if self.counts[f"broken {truth}"] <= SENTENCES:
            self.violations.append(Violation(truth, f"{sentence} [{time.monotonic() - self.started:.2f} s]"))

    def acknowledged(self, write: Write, *, floor: int) -> None:
        """Note a write; *floor* is the highest sequence that was handed out before it was sent."""
        other = self.by_seq.get(write.seq)
        if other:
            self.broken("reused", f"revision {write.seq} was given to {_of(other)} and to {_of(write)}")
        elif write.seq <= floor:
            self.broken("went back", f"{_of(write)} got revision {write.seq} after {floor} had been handed out")
        self.by_seq[write.seq] = write
        self.writes.setdefault(write.key, []).append(write)
        if write.key not in self.newest or self.newest[write.key].seq < write.seq:
            self.newest[write.key] = write
        self.top = max(self.top, write.seq)
        self.counts["writes"] += 1

    def read(
        self, key: str, before: Write | None, found: tuple[int, bytes] | None, *, asked: float, stream: str
    ) -> None:
        """Judge a direct read of *key* in *stream*; *before* is the newest that was acknowledged when it was asked."""
        now = time.time()
        if before is None:
            return
        if self.clustered and asked - before.acked < LAG and (found is None or found[0] < before.seq):
            self.counts["reads behind"] += 1
            return
        if found is None:
            if before.alive(now):
                self.broken(
                    "not found", f"a reader was told that {_of(before)} (revision {before.seq}) is not in {stream}"
                )
            return
        seq, data = found
        if seq < before.seq:
            # What a time to live uncovers is older by right; without history nothing is uncovered.
            if before.alive(now):
                self.broken(
                    "stale", f"a reader got revision {seq} of {key} in {stream} after {before.seq} was acknowledged"
                )
            return
        if before.over(asked - (ELECTION if self.clustered else 0)) and seq == before.seq:
            self.broken(
                "ttl",
                f"a reader got {_of(before)} {asked - before.acked:.1f} s after it was put to live {before.ttl} s",
            )
        known = self.by_seq.get(seq)
        if known and (known.key, known.number) != (key, number(data)):
            self.broken(
                "reused", f"a reader got {data[:20]!r} of {key} with revision {seq}, which {_of(known)} was given"
            )
        if number(data) < before.number:
            self.broken("stale", f"a reader got attempt {number(data)} of {key} after {before.number} was acknowledged")


def _of(write: Write) -> str:
    return f"{write.key} attempt {write.number}"


def payload(key: str, attempt: int, size: int) -> bytes:
    """Return a value that tells which attempt for which key it is."""
    return f"{attempt} {key} ".encode().ljust(size, b"x")


def number(data: bytes) -> int:
    """Return which attempt wrote a value; 0 where it is none of ours."""
    first = data.split(b" ", 1)[0]
    return int(first) if first.isdigit() else 0
