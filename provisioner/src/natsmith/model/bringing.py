"""What became of a stream that another server had, or a backup, or that was backed up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Fate: TypeAlias = Literal["brought", "restored", "backed up", "kept", "left out"]
"""Brought now, kept as an earlier run brought it, or left out."""

ASKED = "as asked"
GONE = "it was deleted meanwhile"
NOTES = "natsmith's own notes"
"""What the reason begins with for which these are left out; the rest says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """A stream of the other side, and whether it is here."""

    stream: str
    fate: Fate
    why: str = ""
    """Why it was left out, or is not all that it was."""

    messages: int = 0
    bytes: int = 0
    first: int = 0
    last: int = 0
    consumers: int = 0
    seconds: float = 0.0

    @property
    def meant(self) -> bool:
        """Whether it was left out so that nobody will miss it."""
        return self.why in (ASKED, GONE) or self.why.startswith(NOTES)
