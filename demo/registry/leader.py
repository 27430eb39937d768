"""Work that only one may do at a time: leader.py GROUP ID waits until it leads, works, and lets go."""

from __future__ import annotations

import asyncio
import os
import sys

import nats

from natsmith.registry import Registry


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
    client = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    async with Registry(client) as registry, registry.leadership(group, id=id) as lease:
        lease.check()
        ledger.write(f"{id} leads {lease.group}", token=lease.token)
    await client.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
