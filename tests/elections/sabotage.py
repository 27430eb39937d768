"""Elections that are wrong on purpose, to see that the harness sees it."""

from __future__ import annotations

from typing import Any

from natsmith.registry import Lease, election
from natsmith.registry.line import Line

WRONG = {
    "margin": ("a leader believes in its lease for twice as long as it lasts", "partition", "one leader"),
    "for ever": ("a leader never looks at the clock", "stop", "one leader"),
    "unguarded": ("the resource looks at no token", "stop", "fencing"),
    "same token": ("every leader has the same token", "leave", "fencing"),
    "endless": ("the key does not expire", "kill", "follower"),
    "untold": ("the block is not stopped", "partition", "told"),
}
"""What is wrong, the fault that shows it, and the truth that it breaks."""


def sabotage(name: str) -> None:
    """Make the library of this process wrong in one way; do nothing without a name."""
    if name == "margin":
        election.MARGIN = -1.0
    elif name == "for ever":
        Lease.held = property(lambda _: True)  # type: ignore[assignment, method-assign]
    elif name == "same token":
        first = Lease.__init__

        def born(self: Lease, group: str, _token: int, **more: Any) -> None:
            first(self, group, 7, **more)

        Lease.__init__ = born  # type: ignore[method-assign, assignment]
    elif name == "endless":
        write = Line.write

        async def for_ever(self: Line, *given: Any, ttl: int = 0, **more: Any) -> int:
            return await write(self, *given, **more)

        Line.write = for_ever  # type: ignore[method-assign]
    elif name == "untold":

        async def alone(self: election.Leadership, lease: Lease) -> None:
            await self._keep(lease)

        election.Leadership._hold = alone  # type: ignore[method-assign]
