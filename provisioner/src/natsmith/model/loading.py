"""What a server says about the configuration that it has loaded, and what is to be done about it.

The chart gives each configuration a tag, ``natsmith:<lasting>-<all>``: what lasts until the server restarts, and all of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations

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

    cluster: str = ""
    routes: Mapping[str, int] = field(default_factory=dict)
    """How many connections it has with each other server: what comes by one goes to its clients, and to no third server."""


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


def parted(known: Iterable[Seen], now: Iterable[Seen]) -> list[str]:
    """Return each two of the *known* servers that have fewer connections with each other *now* than two others of their cluster.

    Who does not answer any more has none. Accounts share the connections out among themselves: one that is missing parts some
    of them, and no others.
    """
    answering = {each.name: each for each in now}
    counted: dict[str, dict[str, int]] = {}
    for one, other in combinations(sorted(known, key=lambda each: each.name), 2):
        if one.cluster == other.cluster and not answering.keys().isdisjoint((one.name, other.name)):
            counted.setdefault(one.cluster, {})[f"{one.name} and {other.name}"] = min(
                answering[a.name].routes.get(b.name, 0) if a.name in answering else 0
                for a, b in ((one, other), (other, one))
            )
    return [pair for pairs in counted.values() for pair, count in pairs.items() if count < max(1, *pairs.values())]


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
