"""Who uses services: reader.py NAME prints the instances that are fresh, and what happens to them, until Ctrl-C."""

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


async def read(registry: Registry, name: str) -> None:
    """Print who is there, and every change."""
    for each in await registry.instances(name):
        print(f"{each.service} {each.id} is {each.status}, at port {each.metadata.get('port')}", flush=True)
    async for change in registry.watch(name):
        print(f"{change.instance.id} {change.kind}", flush=True)


async def main(name: str) -> None:
    """Read until somebody ends it."""
    async with asyncio.timeout(10):
        client = await nats.connect(URL, max_reconnect_attempts=-1, error_cb=quiet)
    try:
        async with Registry(client) as registry:
            reading = asyncio.create_task(read(registry, name))
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, reading.cancel)
            await asyncio.wait({reading})
    finally:
        await client.close()
    if not reading.cancelled():
        await reading


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: reader.py NAME, such as: reader.py payments")
    try:
        asyncio.run(main(sys.argv[1]))
    except TimeoutError:
        sys.exit(f"reader.py: no NATS server at {URL}: start one, or set NATS_URL")
    except NatsmithError as error:
        sys.exit(f"reader.py: {error}")
