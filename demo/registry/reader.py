"""Who uses services: reader.py NAME prints the instances that are fresh, and then what happens to them, for ever."""

from __future__ import annotations

import asyncio
import os
import sys

import nats

from natsmith.registry import Registry


async def main(name: str) -> None:
    """Print who is there, and every change."""
    client = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    async with Registry(client) as registry:
        for each in await registry.instances(name):
            print(f"{each.service} {each.id} is {each.status}, at port {each.metadata.get('port')}", flush=True)
        async for change in registry.watch(name):
            print(f"{change.instance.id} {change.kind}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
