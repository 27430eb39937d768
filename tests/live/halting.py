"""An apply that stands still or dies at a step of a move: halting.py CONNECTION-JSON VALUES-JSON SIGNAL STEP NTH."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

from natsmith.actions.apply import apply
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import connect
from natsmith.errors import NatsmithError
from natsmith.log import Log
from natsmith.model.reading import read

LEASE_SECONDS = 2


class Halting(Log):
    """Tells everything, and sends this process a signal when a step is told for the n-th time."""

    def __init__(self, number: int, step: str, nth: int) -> None:
        super().__init__()
        self._number, self._step, self._left = number, step, nth

    def info(self, event: str, **fields: object) -> None:
        """Tell that *event* happened, and that it is the one."""
        super().info(event, **fields)
        if event == "move.step" and fields["step"] == self._step:
            self._left -= 1
            if self._left == 0:
                print("halt", flush=True)
                os.kill(os.getpid(), self._number)


async def main() -> int:
    """Apply, print why not everything was done, and return 0 if it was."""
    connection, values = (json.loads(word) for word in sys.argv[1:3])
    number, step, nth = signal.Signals[sys.argv[3]], sys.argv[4], int(sys.argv[5])
    # Whoever comes after a dead one waits for its lease; one that stands still keeps it.
    lease = LEASE_SECONDS if number is signal.SIGKILL else 60
    desired, problems = read(values)
    if problems:
        raise ValueError(problems)
    log = Halting(number, step, nth)
    async with await connect(Connection(**connection), timeout=10, log=log) as server:
        try:
            outcome = await apply(
                server, desired, account="app", owner="local", log=log, timeout=10, lease_seconds=lease
            )
        except NatsmithError as error:
            print(error)
            return int(error.code)
    for change, why in outcome.failed:
        print(f"{change.title}: {why}")
    return 0 if outcome.complete else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
