"""Where results go: a terminal gets colour, alignment and progress; a pipe gets lines that make sense alone."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from natsmith.actions.carry_out import Progress
from natsmith.model.units import Json
from natsmith.views.text import Row, aligned

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
def progress(what: str) -> Iterator[Progress]:
    """Show how far long work is, on a terminal; elsewhere the last line tells."""
    if not sys.stderr.isatty():
        yield lambda done, of: None
        return
    from rich.console import Console  # noqa: PLC0415  (as above)
    from rich.progress import Progress as Bar  # noqa: PLC0415

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, visible=False)
        yield lambda done, of: bar.update(task, completed=done, total=of, visible=of >= LONG_WORK)
