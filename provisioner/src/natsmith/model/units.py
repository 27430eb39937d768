"""The types a setting can have: how a value is read, sent, recognised and shown.

Inside natsmith a value is plain JSON: whole seconds, bytes, words, lists and maps of them.
The server's own forms (nanoseconds, -1 for "no limit") exist only between ``encode`` and ``decode``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol, TypeAlias

Json: TypeAlias = Any
"""A JSON value. ``Any``, since every use narrows it first and a recursive alias would only add casts."""

NANOS = 1_000_000_000
LARGEST = 2**63 - 1
LONGEST_SECONDS = LARGEST // NANOS


class Ambiguous(str):
    """A bare word in a values file that YAML readers take for different things, such as ``no`` or ``12:30``."""

    __slots__ = ()


class Exact(float):
    """Seconds with a part of one, as only a hand-made object has them: a number that keeps every nanosecond."""

    __slots__ = ("nanoseconds",)

    nanoseconds: int

    def __new__(cls, nanoseconds: int) -> Exact:
        """Return so many nanoseconds as seconds."""
        self = super().__new__(cls, nanoseconds / NANOS)
        self.nanoseconds = nanoseconds
        return self

    # A float that is near enough to a whole number would be equal to it.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Exact) and self.nanoseconds == other.nanoseconds

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((Exact, self.nanoseconds))

    def __str__(self) -> str:
        return f"{Decimal(self.nanoseconds).scaleb(-9).normalize():f}"

    __repr__ = __str__


class Type(Protocol):
    """What a setting accepts, and its forms."""

    def read(self, given: Json) -> Json:
        """Return the value a user wrote in natsmith's form, or raise ValueError with what is wrong."""

    def encode(self, value: Json) -> Json:
        """Return the form the server takes; None leaves the field out."""

    def decode(self, raw: Json) -> Json:
        """Return natsmith's form of what the server shows."""

    def schema(self) -> dict[str, Json]:
        """Return the JSON Schema of what a user may write."""

    def show(self, value: Json) -> str:
        """Return the value as a person reads it."""


class Plain:
    """A type whose form here is the server's form as well."""

    __slots__ = ()

    def encode(self, value: Json) -> Json:
        """Return *value*."""
        return value

    def decode(self, raw: Json) -> Json:
        """Return *raw*."""
        return raw

    def show(self, value: Json) -> str:
        """Return *value* as text."""
        return str(value)


class Limit(Plain):
    """A most, whose 0 is no limit; the server writes that as -1."""

    __slots__ = ()

    def encode(self, value: Json) -> Json:
        """Return -1 for no limit."""
        return value or -1

    def decode(self, raw: Json) -> Json:
        """Return 0 for no limit."""
        return max(raw, 0)


def described(text: Json) -> str:
    """Return *text* as it looked in the file, for an error message."""
    if isinstance(text, Ambiguous):
        return f"the bare word {str.__str__(text)}"
    if isinstance(text, bool):
        return "true" if text else "false"
    if text is None:
        return "nothing"
    if isinstance(text, Mapping):
        return "a map"
    if isinstance(text, Sequence) and not isinstance(text, str):
        return "a list"
    return repr(text) if isinstance(text, str) else str(text)


def whole(given: Json, *, least: int = 0, most: int = LARGEST, what: str = "a whole number") -> int:
    """Return *given* as an int within bounds, or raise ValueError; 1e3 is the number 1000, as Helm has it."""
    if isinstance(given, float) and given.is_integer():
        given = int(given)
    if isinstance(given, bool) or not isinstance(given, int):
        raise ValueError(f"is {described(given)}, but must be {what}")
    if not least <= given <= most:
        bounds = f"between {least} and {most}" if most != LARGEST else f"at least {least}"
        raise ValueError(f"is {given}, but must be {bounds}")
    return given


@dataclass(frozen=True, slots=True)
class Seconds(Plain):
    """Whole seconds; the server counts nanoseconds."""

    least: int = 0

    def read(self, given: Json) -> Json:
        unit = re.fullmatch(r"(\d+)\s*(s|sec|m|min|h|d)", given) if isinstance(given, str) else None
        if unit:
            factor = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}[unit[2]]
            raise ValueError(f"is {given!r}, but must be whole seconds without a unit: write {int(unit[1]) * factor}")
        return whole(given, least=self.least, most=LONGEST_SECONDS, what="whole seconds, such as 30")

    def encode(self, value: Json) -> Json:
        return value.nanoseconds if isinstance(value, Exact) else round(value * NANOS)

    def decode(self, raw: Json) -> Json:
        # A hand-made object can have a part of a second; it is kept, so that it shows as a difference.
        return raw // NANOS if raw % NANOS == 0 else Exact(int(raw))

    def schema(self) -> dict[str, Json]:
        return {"type": "integer", "minimum": self.least, "maximum": LONGEST_SECONDS}


@dataclass(frozen=True, slots=True)
class SecondsList:
    """Several waits, one after the other."""

    def read(self, given: Json) -> Json:
        return [Seconds(1).read(each) for each in listed(given, "whole seconds")]

    def encode(self, value: Json) -> Json:
        return [Seconds().encode(each) for each in value] or None

    def decode(self, raw: Json) -> Json:
        return [Seconds().decode(each) for each in raw or []]

    def schema(self) -> dict[str, Json]:
        return {"type": "array", "items": Seconds(1).schema()}

    def show(self, value: Json) -> str:
        return "[" + ", ".join(str(each) for each in value) + "]"


SIZES = {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


@dataclass(frozen=True, slots=True)
class Size(Limit):
    """Bytes, as a number or as 512Ki, 1Mi, 5Gi; 0 is no limit, which the server writes as -1."""

    most: int = LARGEST

    def read(self, given: Json) -> Json:
        if isinstance(given, str) and not isinstance(given, Ambiguous):
            match = re.fullmatch(r"(\d+)(Ki|Mi|Gi|Ti|)", given)
            if match:
                return whole(int(match[1]) * SIZES[match[2]], most=self.most)
            decimal = re.fullmatch(r"(\d+)\s*([kKMGT])B?", given)
            if decimal:
                unit = decimal[2].upper() + "i"
                raise ValueError(
                    f"is {given!r}, which Kubernetes and nats-server read as different sizes: write {decimal[1]}{unit}"
                )
        if isinstance(given, str):
            raise ValueError(f"is {described(given)}, but must be a size such as 512Ki, 1Mi or 5Gi")
        return whole(given, most=self.most, what="a size such as 512Ki, 1Mi or 5Gi")

    def schema(self) -> dict[str, Json]:
        return {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": self.most},
                {"type": "string", "pattern": r"^[0-9]+(Ki|Mi|Gi|Ti|)$"},
            ]
        }

    def show(self, value: Json) -> str:
        for unit in ("Ti", "Gi", "Mi", "Ki"):
            if value and value % SIZES[unit] == 0:
                return f"{value // SIZES[unit]}{unit}"
        return str(value)


@dataclass(frozen=True, slots=True)
class Count(Limit):
    """How many; 0 is no limit, which the server writes as -1."""

    most: int = LARGEST

    def read(self, given: Json) -> Json:
        return whole(given, most=self.most)

    def schema(self) -> dict[str, Json]:
        return {"type": "integer", "minimum": 0, "maximum": self.most}


@dataclass(frozen=True, slots=True)
class Number(Plain):
    """A whole number that means itself, zero included."""

    least: int = 0
    most: int = LARGEST

    def read(self, given: Json) -> Json:
        return whole(given, least=self.least, most=self.most)

    def schema(self) -> dict[str, Json]:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True, slots=True)
class Flag(Plain):
    """Yes or no."""

    def read(self, given: Json) -> Json:
        if not isinstance(given, bool):
            raise ValueError(f"is {described(given)}, but must be true or false")
        return given

    def schema(self) -> dict[str, Json]:
        return {"type": "boolean"}

    def show(self, value: Json) -> str:
        return "true" if value else "false"


def listed(given: Json, of: str) -> Sequence[Json]:
    """Return *given* if it is a list, or raise ValueError."""
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise ValueError(f"is {described(given)}, but must be a list of {of}")
    return given


TIME = r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})"


def write_time(moment: datetime) -> str:
    """Return a time of UTC as the server writes it."""
    return moment.isoformat().replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """Return an RFC 3339 time, as the server writes it, for reckoning; nanoseconds are cut to microseconds."""
    match = re.fullmatch(TIME, text)
    try:
        if match:
            fraction = (match[2] or ".0")[1:7].ljust(6, "0")
            zone = "+00:00" if match[3] == "Z" else match[3]
            return datetime.fromisoformat(f"{match[1]}.{fraction}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        pass  # a 13th month, or a time of year 1 that is in year 0 elsewhere
    raise ValueError(f"is {text!r}, but must be a time such as 2026-01-31T12:00:00Z")


def utc(text: str) -> str:
    """Return an RFC 3339 time in UTC with every digit that the server counts, written one way."""
    moment = parse_time(text).replace(microsecond=0, tzinfo=None)
    match = re.fullmatch(TIME, text)
    fraction = (match[2] or "" if match else "")[:10].rstrip("0").rstrip(".")
    return f"{moment.isoformat()}{fraction}Z"
