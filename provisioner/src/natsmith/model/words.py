"""The types of settings that are words: choices, texts, lists and maps of them, moments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from natsmith.model.units import TIME, Ambiguous, Json, Plain, described, listed, utc


@dataclass(frozen=True, slots=True)
class Choice(Plain):
    """One of a few words."""

    words: tuple[str, ...]

    def read(self, given: Json) -> Json:
        if not isinstance(given, str) or given not in self.words:
            raise ValueError(f"is {described(given)}, but must be {' or '.join(self.words)}")
        return given

    def schema(self) -> dict[str, Json]:
        return {"enum": list(self.words)}


@dataclass(frozen=True, slots=True)
class Text:
    """Words for a person, or a name; empty leaves it out."""

    def read(self, given: Json) -> Json:
        if isinstance(given, Ambiguous):
            raise ValueError(f"is {described(given)}, which YAML readers take for different things: put it in quotes")
        if not isinstance(given, str):
            raise ValueError(f"is {described(given)}, but must be text: put it in quotes")
        return given

    def encode(self, value: Json) -> Json:
        return value or None

    def decode(self, raw: Json) -> Json:
        return raw or ""

    def schema(self) -> dict[str, Json]:
        return {"type": "string"}

    def show(self, value: Json) -> str:
        return value or '""'


@dataclass(frozen=True, slots=True)
class Texts:
    """Several names, in order; empty leaves them out."""

    def read(self, given: Json) -> Json:
        return [Text().read(each) for each in listed(given, "texts")]

    def encode(self, value: Json) -> Json:
        return list(value) or None

    def decode(self, raw: Json) -> Json:
        return list(raw or [])

    def schema(self) -> dict[str, Json]:
        return {"type": "array", "items": {"type": "string"}}

    def show(self, value: Json) -> str:
        return "[" + ", ".join(value) + "]"


@dataclass(frozen=True, slots=True)
class Labels:
    """Text by key. Keys that nobody named here are somebody else's and stay: see planning/compare.py."""

    def read(self, given: Json) -> Json:
        if not isinstance(given, Mapping):
            raise ValueError(f"is {described(given)}, but must be a map of texts")
        for key, value in given.items():
            if key.startswith(("natsmith.", "_nats.")):
                raise ValueError(
                    f"has the key {key}, but keys under {key.split('.')[0]}. are kept for natsmith and nats-server"
                )
            if isinstance(key, Ambiguous):
                raise ValueError(
                    f"has {described(key)} as a key, which YAML readers take for different things: put it in quotes"
                )
            if value is not None and (not isinstance(value, str) or isinstance(value, Ambiguous)):
                raise ValueError(f"has {described(value)} under {key}, but must have text there: put it in quotes")
        return {key: value for key, value in given.items() if value is not None}

    def encode(self, value: Json) -> Json:
        return dict(value)

    def decode(self, raw: Json) -> Json:
        return dict(raw or {})

    def schema(self) -> dict[str, Json]:
        return {
            "type": "object",
            "propertyNames": {"not": {"pattern": r"^(natsmith|_nats)\."}},
            "additionalProperties": {"type": ["string", "null"]},
        }

    def show(self, value: Json) -> str:
        return "{" + ", ".join(f"{key}: {text}" for key, text in sorted(value.items())) + "}"


@dataclass(frozen=True, slots=True)
class Time:
    """A moment, in RFC 3339; kept in UTC. Empty leaves it out."""

    def read(self, given: Json) -> Json:
        if not isinstance(given, str):
            raise ValueError(f"is {described(given)}, but must be a time such as 2026-01-31T12:00:00Z")
        return utc(given) if given else ""

    def encode(self, value: Json) -> Json:
        return value or None

    def decode(self, raw: Json) -> Json:
        try:
            return utc(raw) if raw else ""
        except ValueError:
            return raw  # what the values pass on raw is the server's to judge

    def schema(self) -> dict[str, Json]:
        return {"type": "string", "pattern": f"^$|^{TIME}$"}

    def show(self, value: Json) -> str:
        return value or '""'
