"""What happens in a play, chosen by its seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
VERSIONS = sorted(
    (path.stem for path in ROOT.glob("tests/servers/*.lock")), key=lambda text: [*map(int, text.split("."))]
)
PROCESS_FAULTS = ("kill", "stop", "partition", "restart", "shift")
GROUP_FAULTS = ("leave", "cancel", "deafen")
FAULTS = PROCESS_FAULTS + GROUP_FAULTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What happens in a play; it follows from the seed, but not when each process gets to run."""

    seed: int
    version: str
    faults: tuple[str, ...]
    groups: int = 40
    sabotage: str = ""


def choose(seed: int) -> Scenario:
    """Return the play of a seed."""
    dice = random.Random(seed)  # noqa: S311  (a play that can be repeated)
    faults = (*dice.sample(PROCESS_FAULTS, 2), *dice.sample(GROUP_FAULTS, 1), dice.choice(FAULTS))
    return Scenario(seed=seed, version=dice.choice(VERSIONS), faults=faults)
