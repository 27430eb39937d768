"""What came of a run: what was done, what was proved, and who did it when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from natsmith.model.change import Change, Plan
from natsmith.model.units import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an apply did to one account."""

    plan: Plan
    done: tuple[Change, ...] = ()
    failed: tuple[tuple[Change, str], ...] = ()
    """What the server refused, with its reason."""

    left: tuple[Change, ...] = ()
    """What was not begun."""

    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether everything that was planned was done."""
        return not self.failed and not self.left


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A run that is over, as the state bucket remembers it."""

    time: str
    owner: str
    version: str
    who: str
    seconds: float
    result: Literal["done", "stopped halfway"]
    rows: tuple[str, ...] = ()
    """The first changes, a line each."""

    count: int = 0
    """How many changes there were in all."""

    def as_json(self) -> dict[str, Json]:
        """Return the form that is stored."""
        return {
            "time": self.time,
            "owner": self.owner,
            "version": self.version,
            "who": self.who,
            "seconds": self.seconds,
            "result": self.result,
            "changes": list(self.rows),
            "count": self.count,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Json]) -> Past:
        """Return a run from its stored form; what a later natsmith added, or nobody can read, is passed over."""
        rows = stored.get("changes")
        return cls(
            time=_text(stored.get("time")),
            owner=_text(stored.get("owner")),
            version=_text(stored.get("version")),
            who=_text(stored.get("who")),
            seconds=float(_number(stored.get("seconds"))),
            result="done" if stored.get("result") == "done" else "stopped halfway",
            rows=tuple(row for row in rows if isinstance(row, str)) if isinstance(rows, list) else (),
            count=int(_number(stored.get("count"))),
        )


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Json) -> float:
    """Return *value* if a float can hold it."""
    return value if isinstance(value, int | float) and abs(value) < 2**63 else 0


How = Literal["passive", "twin", "in place", "as an application"]
AS_APPLICATION: How = "as an application"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What is known of one object's expiry, or of its use to an application."""

    title: str
    how: How
    result: Literal["holds", "fails", "not observed"]
    text: str
    ttl: int = 0
    seconds: float | None = None
    """How long the canary lived or took, or how old the oldest entry is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds the lock of an account."""

    owner: str
    who: str
    since: str
