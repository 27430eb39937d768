"""A process that registers, or reads: instance.py SERVER USER PASSWORD be|read SERVICE [ID]."""

from __future__ import annotations

import asyncio
import sys

import nats

from natsmith.registry import Registry


async def main() -> None:
    """Register until killed, or print what happens."""
    server, user, password, verb, service, *rest = sys.argv[1:]
    client = await nats.connect(
        server, user=user or None, password=password or None, reconnect_time_wait=0.1, max_reconnect_attempts=-1
    )
    async with Registry(client) as registry:
        if verb == "be":
            async with registry.instance(service, id=rest[0]):
                print("ready", flush=True)
                await asyncio.Event().wait()
        await registry.instances(service)
        print("ready", flush=True)
        async for change in registry.watch(service):
            print(f"{change.kind} {change.instance.id}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
