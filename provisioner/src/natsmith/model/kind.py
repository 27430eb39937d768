"""A kind of object: its name, its settings, and when two of it are alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from natsmith.model.fields import Field, Settings
from natsmith.model.units import Json


@dataclass(frozen=True, kw_only=True, eq=False)
class Kind:
    """One kind of object: where the values keep it, how the server names it, and what can be set."""

    word: str
    """As messages say it: ``bucket``."""

    section: str
    """The key of the values that holds these objects by name: ``buckets``."""

    prefix: str = ""
    """What the name of its stream begins with."""

    legal_name: str
    """The pattern of a legal name."""

    name_rule: str
    """The same in words."""

    fields: tuple[Field, ...] = field(repr=False)

    @cached_property
    def by_name(self) -> dict[str, Field]:
        """The fields by the names the values use."""
        return {field.name: field for field in self.fields}

    @cached_property
    def by_api(self) -> dict[str, Field]:
        """The fields by the names the server uses."""
        return {field.api: field for field in self.fields}

    def get(self, name: str, settings: Settings, field: str) -> Json:
        """Return the value of *field* for the object called *name*, default included."""
        if field in settings:
            return settings[field]
        return self.by_name[field].default_for(name, settings)

    def normal(self, name: str, given: Settings) -> dict[str, Json]:
        """Return *given* without what is the default anyway; the same objects give the same settings."""
        return {key: value for key, value in given.items() if value != self.by_name[key].default_for(name, given)}
