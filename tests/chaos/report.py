"""What came of one run."""

from __future__ import annotations

from dataclasses import dataclass, field

from chaos.ledger import Violation
from chaos.scenario import Scenario


@dataclass(slots=True, kw_only=True)
class Report:
    """What came of a run."""

    scenario: Scenario
    cluster: bool
    violations: list[Violation]
    counts: dict[str, int]
    pause: float = 0.0
    calm: float = 0.0
    seconds: float = 0.0
    killed: list[str] = field(default_factory=list)
    """Where natsmith was killed."""

    crashed: bool = False
    """Whether a server was."""

    steps: list[str] = field(default_factory=list)
    """The steps that natsmith announced, run by run."""

    text: str = ""
    """All that natsmith wrote."""
