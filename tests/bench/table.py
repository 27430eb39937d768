"""What the benchmark prints: tables with aligned columns, and what is going on."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

HEAD = ("ratio", "target", "", "", "natsmith", "beside it")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    number: float
    what: str
    target: float | None
    """None: for information."""

    ours: str
    other: str
    at_least: bool = False
    """Whether the target is a floor and not a ceiling."""

    unit: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """What stands in the columns."""
        number = f"{self.number:.0f}{self.unit}" if self.number >= 10 else f"{self.number:.2f}{self.unit}"
        if self.target is None:
            return number, "", "", self.what, self.ours, self.other
        missed = self.number < self.target if self.at_least else self.number > self.target
        sign = ">=" if self.at_least else "<="
        return number, f"{sign} {self.target:.3g}", "over" if missed else "", self.what, self.ours, self.other


def seconds(number: float) -> str:
    """Return a time for people."""
    return f"{number:.2f} s" if number < 10 else f"{number:.0f} s"


def milliseconds(number: float) -> str:
    """Return a short time for people."""
    return f"{number * 1000:.1f} ms"


def say(what: str) -> None:
    """Show on a terminal what is going on."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)


def aligned(cells: Sequence[Sequence[str]], right: Sequence[int] = (0, 4)) -> str:
    """Return lines with columns; those at *right* have their text there, as numbers do."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (
        "  ".join(
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    )
    return "\n".join(line.rstrip() for line in lines)
