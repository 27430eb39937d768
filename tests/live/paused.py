"""An apply with a short lease that pauses itself halfway: paused.py CONNECTION-JSON VALUES-JSON."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

from natsmith.actions.apply import apply
from natsmith.actions.carry_out import Progress
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import connect
from natsmith.errors import NatsmithError
from natsmith.log import Log
from natsmith.model.reading import read

LEASE_SECONDS = 2
PAUSE_AT = 100


class Pause(Progress):
    """Stops this process, as a frozen container or a closed lid would; somebody else lets it go on."""

    def changes(self, done: int, of: int) -> None:
        """Stop in the middle."""
        if done == PAUSE_AT < of:
            os.kill(os.getpid(), signal.SIGSTOP)


async def main() -> int:
    """Apply, print what came of it, and return 0 if everything was done."""
    connection, values = (json.loads(word) for word in sys.argv[1:3])
    desired, _ = read(values)
    async with await connect(Connection(**connection), timeout=10, log=Log()) as server:
        try:
            outcome = await apply(
                server,
                desired,
                account="app",
                owner="local",
                log=Log(),
                timeout=10,
                progress=Pause(),
                lease_seconds=LEASE_SECONDS,
            )
        except NatsmithError as error:
            print(error)
            return int(error.code)
    for _, why in outcome.failed:
        print(why)
    return 0 if outcome.complete else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
