"""One account as it was seen last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from natsmith.model.change import Plan
from natsmith.model.observed import Observed
from natsmith.model.outcome import Holder, Past


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message that a consumer gave up."""

    stream: str
    consumer: str
    sequence: int
    """Where it stands in its stream."""

    time: str
    deliveries: int
    reason: str
    value: str | None = None
    """What it holds, where values may be shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What is known of an account."""

    account: str
    at: float = 0.0
    """When it was read, by our own ``clock``."""

    trouble: str = ""
    """Why it could not be read since; what is here is then from before."""

    server: str = ""
    max_payload: int = 0
    """The most bytes that the server takes in a message; 0: it did not say."""

    observed: Observed | None = None
    plan: Plan | None = None
    """What apply would do now; None where no values were given."""

    pasts: Sequence[Past] = ()
    holder: Holder | None = None
    letters: Sequence[Letter] = ()
    lacking: Sequence[str] = ()
    """What the user that connects may not ask, so that it is not here."""
