"""Streams that a command line names, to be left or to come alone: what nothing has is a slip."""

from __future__ import annotations

from collections.abc import Collection, Iterable


def slip(flag: str, named: Iterable[str], have: Collection[str], where: str) -> str:
    """Return what is wrong with names that *where* does not have; nothing where it has each."""
    missing = [name for name in named if name not in have]
    if not missing:
        return ""
    there = f"{', '.join(sorted(have))}: name one of these" if have else "nothing: leave it out"
    return f"{flag} names {', '.join(missing)}, but {where} has {there}"
