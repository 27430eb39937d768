"""What a server says about the configuration that it has loaded, and what is to be done about it.

The chart gives each configuration a tag, ``natsmith:<lasting>-<all>``: what lasts until the server restarts, and all of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

TAG = re.compile(r"natsmith:[0-9a-f]{12}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A server that answered."""

    id: str
    name: str
    version: str = ""
    tag: str = ""
    """The tag of the configuration that it has loaded, empty where nobody tagged it."""

    refusal: str = ""
    """Why it did not load its files when it was asked to, in its own words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """How far the servers are."""

    current: tuple[Seen, ...] = ()
    """Those that have loaded what is expected."""

    behind: tuple[Seen, ...] = ()
    """Those that would have it after a reload."""

    leaving: tuple[Seen, ...] = ()
    """Those that need a restart for it, which Kubernetes gives them: a reload could not."""

    @property
    def answered(self) -> int:
        """How many servers answered."""
        return len(self.current) + len(self.behind) + len(self.leaving)


def judged(seen: Iterable[Seen], expected: str) -> Round:
    """Return how far servers are from the configuration that is tagged *expected*."""
    current, behind, leaving = [], [], []
    for each in sorted(seen, key=lambda one: one.name):
        if each.tag == expected:
            current.append(each)
        elif _lasting(each.tag) == _lasting(expected):
            behind.append(each)
        else:
            leaving.append(each)
    return Round(current=tuple(current), behind=tuple(behind), leaving=tuple(leaving))


def _lasting(tag: str) -> str:
    return tag.partition("-")[0]


def tag_of(tags: Iterable[str]) -> str:
    """Return our tag among the *tags* of a server."""
    return next((each for each in tags if TAG.fullmatch(each)), "")


def without_secrets(refusal: str) -> str:
    """Return why a server refused its files, without what it quotes from one that holds a password."""
    text = " ".join(refusal.split())
    included = re.match(r"error parsing include file '([^']*)'", text)
    if included and not text.endswith("no such file or directory"):
        return f"{included[0]}: its log says why"
    return text
