"""What became of a stream that another server had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """A stream of the other server, and whether it is here."""

    stream: str
    fate: Literal["brought", "there", "left"]
    """Brought now, brought by an earlier run, or left where it is."""

    why: str = ""
    """Why it was left."""

    messages: int = 0
    bytes: int = 0
    first: int = 0
    last: int = 0
    consumers: int = 0
    seconds: float = 0.0
