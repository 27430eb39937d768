"""Work that only one may do at a time: leader.py GROUP ID waits until it leads, works, and lets go."""

from __future__ import annotations

import asyncio
import os
import sys

import nats

from natsmith.registry import NatsmithError, Registry

URL = os.environ.get("NATS_URL", "nats://127.0.0.1:4222")


async def quiet(_: Exception) -> None:
    """Say nothing: a lost connection comes back, and the registry tells what is wrong."""


class Ledger:
    """What the work writes to; it refuses whoever has led before somebody else did."""

    def __init__(self) -> None:
        self._highest = 0

    def write(self, text: str, *, token: int) -> None:
        """Take *text* of the newest leader."""
        if token < self._highest:
            raise PermissionError(f"token {token} is older than {self._highest}: another one leads")
        self._highest = token
        print(f"{text} with a token", flush=True)


async def main(group: str, id: str) -> None:
    """Lead once."""
    ledger = Ledger()
    async with asyncio.timeout(10):
        client = await nats.connect(URL, max_reconnect_attempts=-1, error_cb=quiet)
    try:
        async with Registry(client) as registry, registry.leadership(group, id=id) as lease:
            lease.check()
            ledger.write(f"{id} leads {lease.group}", token=lease.token)
    finally:
        await client.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: leader.py GROUP ID, such as: leader.py nightly-report one")
    try:
        asyncio.run(main(*sys.argv[1:]))
    except TimeoutError:
        sys.exit(f"leader.py: no NATS server at {URL}: start one, or set NATS_URL")
    except NatsmithError as error:
        sys.exit(f"leader.py: {error}")
