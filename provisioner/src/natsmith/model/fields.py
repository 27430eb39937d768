"""What a setting is: its names here and on the server, its type, its default, and what changing it means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from natsmith.model.units import Json, Type, described

Settings = Mapping[str, Json]
"""What differs from the defaults, by the names the values use. Two objects are alike when these are equal."""

Loss = Literal["", "age", "per_subject", "limits", "interest", "waiting"]
"""By which rule a change of the field destroys messages at once; empty: it never does."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Field:
    """One setting of one kind of object."""

    name: str
    """As the values write it."""

    api: str
    """As the server's JSON writes it."""

    type: Type
    default: Json = None
    """What holds when nobody says anything; with ``derived`` it is only what the documentation shows."""

    doc: str = ""

    derived: Callable[[Settings], Json] | None = None
    """The default, where it depends on the other settings."""

    named: bool = False
    """Whether the default is a list of texts in which ``{name}`` stands for the object's name."""

    fixed: str = ""
    """Why the server cannot change it in place; empty: it can."""

    fixed_if: Callable[[Json, Json, int], bool] | None = None
    """Which changes, from old to new on a server of an API level, ``fixed`` is about; None: all of them."""

    latch: str = ""
    """Why it can be turned on but never off; it stays as it is unless the values mention it."""

    loses: Loss = ""
    level: int = 0
    """The lowest API level of a server that knows it."""

    pinned: bool = False
    """What makes the object its kind: held, shown when it differs, and not for users to set."""

    def default_for(self, name: str, settings: Settings) -> Json:
        """Return what holds for the object called *name* when nobody says anything."""
        if self.named:
            return [text.replace("{name}", name) for text in self.default]
        return self.derived(settings) if self.derived else self.default

    def refuses(self, old: Json, new: Json, level: int) -> bool:
        """Return whether a server of API *level* cannot change *old* to *new* in place."""
        return bool(self.fixed) and (self.fixed_if is None or self.fixed_if(old, new, level))


@dataclass(frozen=True, slots=True)
class Group:
    """Settings that belong together, such as a placement; empty leaves them out."""

    fields: tuple[Field, ...]

    def read(self, given: Json) -> Json:
        if not isinstance(given, Mapping):
            raise ValueError(f"is {described(given)}, but must be a map of {_names(self.fields)}")
        known = {field.name: field for field in self.fields}
        result = {}
        for key, value in given.items():
            if key not in known:
                raise ValueError(f"has the key {key}, but knows only {_names(self.fields)}")
            if value is None:
                continue
            try:
                read = known[key].type.read(value)
            except ValueError as error:
                raise ValueError(f"{key} {error}") from None
            if read != known[key].default:
                result[key] = read
        return result

    def encode(self, value: Json) -> Json:
        known = {field.name: field for field in self.fields}
        return {known[name].api: known[name].type.encode(each) for name, each in value.items()} or None

    def decode(self, raw: Json) -> Json:
        result = {}
        for field in self.fields:
            if raw and field.api in raw:
                value = field.type.decode(raw[field.api])
                if value != field.default:
                    result[field.name] = value
        return result

    def schema(self) -> dict[str, Json]:
        return {
            "type": "object",
            "additionalProperties": False,
            "properties": {field.name: described_schema(field) for field in self.fields},
        }

    def show(self, value: Json) -> str:
        known = {field.name: field.type for field in self.fields}
        return "{" + ", ".join(f"{name}: {known[name].show(each)}" for name, each in value.items()) + "}"


@dataclass(frozen=True, slots=True)
class Groups:
    """Several groups, in order."""

    group: Group

    def read(self, given: Json) -> Json:
        if not isinstance(given, list | tuple):
            raise ValueError(f"is {described(given)}, but must be a list of maps")
        return [self.group.read(each) for each in given]

    def encode(self, value: Json) -> Json:
        return [self.group.encode(each) for each in value] or None

    def decode(self, raw: Json) -> Json:
        return [self.group.decode(each) for each in raw or []]

    def schema(self) -> dict[str, Json]:
        return {"type": "array", "items": self.group.schema()}

    def show(self, value: Json) -> str:
        return "[" + ", ".join(self.group.show(each) for each in value) + "]"


def described_schema(field: Field) -> dict[str, Json]:
    """Return the JSON Schema of what a user may write for *field*; null takes it out, as in every overlay."""
    schema = field.type.schema()
    if "type" in schema:
        schema["type"] = [schema["type"], "null"]
    elif "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    else:
        schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]
    return {"description": field.doc, **schema}


def _names(fields: tuple[Field, ...]) -> str:
    return ", ".join(field.name for field in fields)
