"""A service that is in the registry while it runs: service.py NAME, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import nats

from natsmith.registry import NatsmithError, Registry

URL = os.environ.get("NATS_URL", "nats://127.0.0.1:4222")


async def quiet(_: Exception) -> None:
    """Say nothing: a lost connection comes back, and the registry tells what is wrong."""


async def main(name: str) -> None:
    """Register, and stay until somebody ends it."""
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with asyncio.timeout(10):
        client = await nats.connect(URL, max_reconnect_attempts=-1, error_cb=quiet)
    try:
        async with Registry(client) as registry, registry.instance(name, id="one", metadata={"port": 8080}) as presence:
            print(f"{presence.key} is registered; after a crash it is gone {presence.expiry}", flush=True)
            await ended.wait()
    finally:
        await client.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: service.py NAME, such as: service.py payments")
    try:
        asyncio.run(main(*sys.argv[1:]))
    except TimeoutError:
        sys.exit(f"service.py: no NATS server at {URL}: start one, or set NATS_URL")
    except NatsmithError as error:
        sys.exit(f"service.py: {error}")
