"""What a run comes to, gathered while it goes on and written to ``--outcome`` when it is over, however that came."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from natsmith.adapters.files import write_bytes
from natsmith.cli.arguments import last, verb_in
from natsmith.errors import Exit, NatsmithError
from natsmith.log import Log

if TYPE_CHECKING:  # --help needs no model
    from natsmith.model.outcome import Outcome


@dataclass
class Report:
    """The outcome of a run, for the file that ``--outcome`` names."""

    path: str = ""
    """Where it is written; empty, and it is not."""

    owner: str = ""
    outcomes: list[Outcome] = field(default_factory=list)
    under_way: int = 0
    """How many changes the account's run has made that is not over yet."""

    problems: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, words: Sequence[str]) -> Report:
        """Return the report of a command line that may hold a mistake: its file is named as far as it can be read."""
        path = last("--outcome", words) if verb_in(words) == "apply" else ""
        # An option where the name should be is no name.
        return cls(path="" if path.startswith("-") else path)

    def write(self, code: int, words: Sequence[str]) -> int:
        """Write it, and return the exit code: a run whose outcome is lost is no success."""
        if not self.path:
            return code
        from natsmith.views.as_line import outcome  # noqa: PLC0415  (each run pays only for what it uses)

        line = outcome(
            code,
            owner=self.owner,
            outcomes=self.outcomes,
            problems=self.problems,
            under_way=self.under_way,
            seconds=time.monotonic() - self.began,
        )
        try:
            write_bytes(self.path, line)
        except NatsmithError as error:
            log = Log(format="json" if last("--log", words) == "json" else "text")
            log.fail(f"the run ended with exit code {int(code)}, but its outcome could not be written: {error}")
            return code or Exit.STOPPED_HALFWAY
        return code
