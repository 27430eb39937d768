"""One family per person who must act; each carries the exit code that tells them apart.

Every problem says what was written, what was found and what to do; several problems travel together.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class Exit(IntEnum):
    """What a process that runs natsmith can learn without reading a word."""

    DONE = 0
    STOPPED_HALFWAY = 1
    WRONG_VALUES = 2
    DECISION_NEEDED = 3
    DIFFERS = 4
    NOT_READY = 75


class NatsmithError(Exception):
    """Something that a person has to act on; never raised itself, only its families."""

    code: ClassVar[Exit]

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class WrongValues(NatsmithError):
    """The author of the values or of the command line has to change what they wrote."""

    code = Exit.WRONG_VALUES


class DecisionNeeded(NatsmithError):
    """An owner has to consent, grant or choose; trying again changes nothing."""

    code = Exit.DECISION_NEEDED


class NotReady(NatsmithError):
    """Nobody has to act: the same command may succeed later."""

    code = Exit.NOT_READY


class Unheard(NotReady):
    """Nobody listens where it was sent, so that nothing was done with it."""


class StoppedHalfway(NatsmithError):
    """The operator has to look: some changes were made and some were not; the next run goes on."""

    code = Exit.STOPPED_HALFWAY
