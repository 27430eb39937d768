"""What became of a stream that another server had, or a backup, or that was backed up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Fate: TypeAlias = Literal["brought", "restored", "backed up", "there", "left"]
"""Brought now, there by an earlier run, or left where it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """A stream of the other side, and whether it is here."""

    stream: str
    fate: Fate
    why: str = ""
    """Why it was left, or is not all that it was."""

    messages: int = 0
    bytes: int = 0
    first: int = 0
    last: int = 0
    consumers: int = 0
    seconds: float = 0.0
