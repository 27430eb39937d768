"""What the values ask for: objects and the policy that decides about their data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from natsmith.model.fields import Settings
from natsmith.model.kind import Kind
from natsmith.model.resources import CONSUMER
from natsmith.model.units import Json

OnImmutable = Literal["refuse", "move", "replace"]
LossPolicy = Literal["refuse", "expire", "allow"]


class Id(NamedTuple):
    """Which object of an account: a stream by its name on the server, or one of its consumers."""

    stream: str
    consumer: str = ""

    def __str__(self) -> str:
        return f"{self.stream}/{self.consumer}" if self.consumer else self.stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One object as the values want it."""

    kind: Kind
    name: str
    """As the values write it."""

    stream: str
    """The name on the server of the stream that it is or, for a consumer, belongs to."""

    account: str
    settings: Settings = field(default_factory=dict)
    """What differs from the defaults, profile included."""

    config: Mapping[str, Json] = field(default_factory=dict)
    """Raw fields of the server's API; they win over ``settings``."""

    off: frozenset[str] = frozenset()
    """Latches that the values ask to be off; not mentioned is not in here."""

    adopt: bool = False
    renamed_from: str = ""
    on_immutable: OnImmutable | None = None
    where: str = ""
    """The path of its key in the values, for messages."""

    @property
    def id(self) -> Id:
        """What it is called on the server."""
        return Id(self.stream, self.name if self.kind is CONSUMER else "")

    @property
    def title(self) -> str:
        """What people call it: ``bucket sessions``, ``consumer MESSAGES/workers``."""
        return f"{self.kind.word} {self.label}"

    @property
    def label(self) -> str:
        """Its name among objects of its kind."""
        return str(self.id) if self.kind is CONSUMER else self.name

    @property
    def renamed_stream(self) -> str:
        """The stream that it was under its old name; empty where it had none."""
        return self.kind.prefix + self.renamed_from if self.renamed_from else ""

    @property
    def overridden(self) -> frozenset[str]:
        """The settings that ``config`` speaks for instead."""
        names = {self.kind.by_api[api].name for api in self.config if api in self.kind.by_api}
        if "mirror" in self.config:
            names.add("subjects")  # a mirror has none
        return frozenset(names)

    def get(self, name: str) -> Json:
        """Return a setting, default included."""
        return self.kind.get(self.name, self.settings, name)

    def effective(self, name: str) -> Json:
        """Return a setting, or what ``config`` says instead."""
        field = self.kind.by_name[name]
        return field.type.decode(self.config[field.api]) if field.api in self.config else self.get(name)

    def with_latches(self, on: Iterable[str]) -> Resource:
        """Return it with the latches that are *on* already: they stay, and other defaults may follow from them."""
        kept = {name: True for name in on if self.kind.by_name[name].latch and not self.kind.by_name[name].pinned}
        return replace(self, settings={**self.settings, **kept}) if kept else self


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a run may do to data."""

    on_immutable: OnImmutable = "refuse"
    prune: bool = False
    loss: LossPolicy = "expire"
    consent: frozenset[str] = frozenset()
    """Digests of the losses that an owner agreed to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """Everything that the values ask for."""

    accounts: tuple[str, ...] = ("app",)
    resources: tuple[Resource, ...] = ()
    policy: Policy = Policy()
    owner: str = ""
    """Who asks, where the document says so: the chart's does, a values file does not."""

    def of(self, account: str) -> tuple[Resource, ...]:
        """Return the objects of one account."""
        return tuple(each for each in self.resources if each.account == account)
