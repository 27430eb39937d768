"""What was brought, backed up or restored, for people."""

from __future__ import annotations

from collections.abc import Sequence

from natsmith.model.bringing import Brought
from natsmith.views.text import Row, plural


def row(account: str, one: Brought, *, several: bool, done: str = "brought") -> Row:
    """Return what became of one stream."""
    name = f"{account}/{one.stream}" if several else one.stream
    if one.fate == "left out":
        return Row((one.fate, name, one.why), "careful", 2)
    held = f"{plural(one.messages, 'message')}, {one.first} to {one.last}, {plural(one.consumers, 'consumer')}"
    if one.fate == "kept":
        return Row((one.fate, name, f"{done} before; now {held}"), "quiet", 2)
    but = f"; {one.why}" if one.why else ""
    return Row((one.fate, name, f"{held}, in {one.seconds:g} s{but}"), "careful" if but else "good", 2)


def table(rows: Sequence[tuple[str, Sequence[Brought]]], done: str = "brought") -> list[Row]:
    """Return what became of each stream of each account."""
    return [row(account, one, several=len(rows) > 1, done=done) for account, some in rows for one in some]


def summary(each: Sequence[Brought], done: str = "brought") -> str:
    """Return how many there are."""
    before = "" if done == "backed up" else f"{sum(one.fate == 'kept' for one in each)} {done} before, "
    counts = {fate: sum(one.fate == fate for one in each) for fate in (done, "left out")}
    left = ", ".join(f"{one.stream} ({one.why})" for one in each if one.fate == "left out")
    return (
        f"{plural(counts[done], 'stream')} {done}, {before}{counts['left out']} left out{f': {left}' if left else ''}."
    )
