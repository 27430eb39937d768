"""What a run would do: differences, what they mean for the data, and the plan made of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from natsmith.model.desired import Id, Resource
from natsmith.model.fields import Field
from natsmith.model.kind import Kind
from natsmith.model.observed import Found
from natsmith.model.units import Json

Action = Literal["create", "update", "adopt", "stamp", "move", "replace", "delete", "orphan", "latched"]
"""``stamp`` renews only what natsmith remembers on the object; ``orphan`` and ``latched`` are told, not done."""

WRITES: frozenset[Action] = frozenset({"create", "update", "adopt", "stamp", "move", "replace", "delete"})

Reason = Literal["", "values changed", "drift", "drift, and values changed", "not set by natsmith before"]


@dataclass(frozen=True, slots=True)
class Fate:
    """What a change does to data."""

    word: Literal["keeps", "moves", "expires", "drops"] = "keeps"
    count: int = 0
    noun: str = "messages"
    about: bool = False
    """Whether the count is the most that it can be, because the server cannot say more."""

    @property
    def harmless(self) -> bool:
        """Whether nothing is lost."""
        return self.word in {"keeps", "moves"} or self.count == 0


KEEPS = Fate()
_WORST = ("keeps", "moves", "expires", "drops")


def worst(fates: Iterator[Fate]) -> Fate:
    """Return the fate that matters most."""
    return max(fates, key=lambda fate: (not fate.harmless, _WORST.index(fate.word), fate.count), default=KEEPS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One setting that is not as the values want it."""

    path: str
    """The setting as the values write it: ``ttlSeconds``, ``config.max_age``."""

    old: Json
    new: Json
    field: Field | None = None
    """None for a raw field of ``config``."""

    reason: Reason = ""
    fixed: str = ""
    """Why the server cannot change it in place; empty: it can."""

    fate: Fate = KEEPS


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What has to happen to one object."""

    action: Action
    account: str
    id: Id
    kind: Kind
    label: str
    desired: Resource | None = None
    found: Found | None = None
    differences: tuple[Difference, ...] = ()
    fate: Fate = KEEPS
    note: str = ""
    """What a reader should know that the differences do not say."""

    blocked: str = ""
    """Why apply refuses it, and the cure; empty: it does not."""

    seen: tuple[str, ...] = ()
    """For a move: what writers, readers and consumers notice, and what it needs."""

    misread: str = ""
    """For a move: what clients could read wrongly meanwhile, which needs consent as a loss does."""

    consent: str = ""
    """The digest that lets the loss happen, where one is needed."""

    @property
    def title(self) -> str:
        """What people call the object."""
        return f"{self.kind.word} {self.label}"

    @property
    def writes(self) -> bool:
        """Whether the server is asked to change anything."""
        return self.action in WRITES


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What has to happen to one account, in stages: a stage begins when the one before is done."""

    account: str
    owner: str
    stages: tuple[tuple[Change, ...], ...] = ()
    told: tuple[Change, ...] = ()
    """What is only told: orphans and latches."""

    warnings: tuple[str, ...] = ()
    unchanged: int = 0

    @property
    def changes(self) -> tuple[Change, ...]:
        """Everything that would be done, in order."""
        return tuple(change for stage in self.stages for change in stage)

    @property
    def blocked(self) -> tuple[Change, ...]:
        """What apply refuses."""
        return tuple(change for change in self.changes if change.blocked)

    @property
    def digest(self) -> str:
        """A short name for exactly these changes; counts, which move under traffic, are not part of it."""
        parts = [
            (
                change.action,
                str(change.id),
                change.fate.word,
                change.found.created if change.found else "",
                change.desired and [change.desired.settings, change.desired.config],
                [(each.path, each.old, each.new, each.fate.word) for each in change.differences],
            )
            for change in self.changes
        ]
        text = json.dumps([self.account, self.owner, parts], sort_keys=True, default=str)
        return "p-" + hashlib.sha256(text.encode()).hexdigest()[:10]
