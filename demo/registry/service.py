"""A service that is in the registry while it runs: service.py NAME, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import nats

from natsmith.registry import Registry


async def main(name: str) -> None:
    """Register, and stay until somebody ends it."""
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    client = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    async with Registry(client) as registry, registry.instance(name, id="one", metadata={"port": 8080}) as presence:
        print(f"{presence.key} is registered; after a crash it is gone {presence.expiry}", flush=True)
        await ended.wait()
    await client.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
