"""Where results go: a terminal gets colour, alignment and progress; a pipe gets lines that make sense alone."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from natsmith.actions.carry_out import Progress
from natsmith.cli.report import Report
from natsmith.model.units import Json
from natsmith.views.text import Row, aligned

if TYPE_CHECKING:  # rich takes 40 ms, which only a terminal pays
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

TONES = {"good": "green", "careful": "yellow", "bad": "red", "quiet": "dim"}
LOGGED_ROWS = 20
"""Helm prints a Job's log as one line of its own error."""

LONG_WORK = 50
"""From so many changes on, a terminal shows a progress bar."""


def room() -> int | None:
    """Return for how many rows of changes there is room: on a terminal for all, in a Job's log for few."""
    return None if sys.stdout.isatty() else LOGGED_ROWS


def table(rows: Iterable[Row]) -> None:
    """Print *rows* to stdout."""
    listed = list(rows)
    if not sys.stdout.isatty():
        for row in listed:
            line(row.sentence)
        return
    from rich.console import Console  # noqa: PLC0415  (40 ms that only a terminal pays)
    from rich.text import Text  # noqa: PLC0415

    plain = bool(os.environ.get("NO_COLOR"))
    console = Console(highlight=False, no_color=plain)
    for row, words in zip(listed, aligned(listed), strict=True):
        console.print(Text(visible(words), style="" if plain else TONES.get(row.tone, "")), soft_wrap=True)


def line(text: str) -> None:
    """Print one sentence to stdout."""
    print(visible(text))


def visible(text: str) -> str:
    """Return *text* with control characters written out: a name on a server must not move anybody's cursor."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def document(value: Json) -> None:
    """Print one JSON document to stdout."""
    print(json.dumps(value, indent=2))


@contextmanager
def progress(what: str, report: Report, does: str = "moving") -> Iterator[Progress]:
    """Show how far long work is, on a terminal; elsewhere the last line, and the log of a move, tell."""
    if not sys.stderr.isatty():
        yield Reported(report)
        return
    from rich.console import Console  # noqa: PLC0415  (as above)
    from rich.progress import Progress as Bars  # noqa: PLC0415

    with Bars(console=Console(stderr=True), transient=True) as bars:
        yield Shown(report, bars, what, does)


class Reported(Progress):
    """Keeps in the report how many changes are done."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def changes(self, done: int, of: int) -> None:
        """Keep how many changes are done."""
        self._report.under_way = min(done, of)


class Shown(Reported):
    """Shows a bar for many changes, and one for each stream that is copied."""

    def __init__(self, report: Report, bars: Bars, what: str, does: str) -> None:
        super().__init__(report)
        self._bars = bars
        self._does = does
        self._changes = bars.add_task(what, visible=False)
        self._copies: dict[str, TaskID] = {}

    def changes(self, done: int, of: int) -> None:
        """Show how many changes are done."""
        super().changes(done, of)
        self._bars.update(self._changes, completed=done, total=of, visible=of >= LONG_WORK)

    def copied(self, stream: str, done: int, of: int) -> None:
        """Show how much of a stream is copied."""
        if stream not in self._copies:
            self._copies[stream] = self._bars.add_task(f"{self._does} {stream}")
        self._bars.update(self._copies[stream], completed=done, total=of)
