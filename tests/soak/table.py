"""What is printed: a row for each operation, ours beside an untuned StatefulSet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from soak.operations import OPERATIONS

MOST = 2.0
"""Seconds that a writer may wait while servers are changed one after the other."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What clients were told during one operation."""

    operation: str
    seconds: float
    found: Mapping[str, Any]

    @property
    def gap(self) -> float:
        """The longest time between two acknowledgements of one writer."""
        gaps: dict[str, float] = self.found["gaps"]
        return max(gaps.get(role, 0.0) for role in ("writer", "publisher"))

    @property
    def nameless(self) -> float:
        """The longest time that the cluster did not tell where the servers are, to clients that had to connect again."""
        return float(self.found["gaps"].get("name", 0.0))

    def count(self, what: str, *roles: str) -> int:
        """Return how often something happened to clients."""
        return sum(self.found["counts"].get(f"{role}{what}", 0) for role in roles)

    @property
    def errors(self) -> int:
        """How often a client gave up, which asks again as applications do."""
        return self.count(" gave up", "writer", "publisher", "reader")

    def cells(self) -> list[str]:
        """Return it as the table shows it."""
        gaps = self.found["gaps"]
        return [
            f"{self.gap:.2f}",
            str(self.count(" again", "writer", "publisher")),
            str(self.errors),
            str(len(self.found["lost"])),
            f"{gaps.get('reader', 0):.2f}",
            f"{gaps.get('watcher', 0):.2f}",
            f"{gaps.get('worker', 0):.2f}",
            str(self.found["unseen"] + self.found["undelivered"]),
            f"{self.found['settled']:.1f}",
            f"{self.seconds:.0f}",
        ]


HEAD = ["operation", "servers", "write gap s", "tried again", "errors", "lost", "read gap s", "watch gap s", "work gap s", "not seen", "current after s", "took s"]  # fmt: skip


def table(rows: Mapping[str, list[Row]]) -> str:
    """Return a table in Markdown, which is also read on a terminal."""
    lines = [HEAD]
    for name, operation in OPERATIONS.items():
        for servers, some in rows.items():
            lines += [[operation.what, servers, *row.cells()] for row in some if row.operation == name]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |" for line in lines
    )


def broken(row: Row) -> list[str]:
    """Return a sentence for each truth that an operation broke."""
    operation = OPERATIONS[row.operation]
    told = []
    if row.found["lost"]:
        told.append(
            f"{operation.what}: {len(row.found['lost'])} acknowledged writes are lost, such as {row.found['lost'][0]}"
        )
    if row.found["unseen"]:
        told.append(f"{operation.what}: a watcher missed {row.found['unseen']} acknowledged writes")
    if row.found["undelivered"]:
        told.append(f"{operation.what}: a durable consumer missed {row.found['undelivered']} acknowledged messages")
    if operation.planned and row.gap > MOST:
        network = f"; the servers' name was not found for {row.nameless:.2f} s" if row.nameless > MOST else ""
        told.append(f"{operation.what}: a writer waited {row.gap:.2f} s, more than {MOST:.0f} s{network}")
    if operation.planned and row.errors:
        told.append(f"{operation.what}: {row.errors} requests failed for good although they were tried again")
    return told
