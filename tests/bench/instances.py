"""A process of the registry's benchmark: instances.py URL be SERVICES FIRST COUNT SECONDS | read.

``be`` registers instances, spread over some seconds as real ones are. ``read`` answers questions, one a line.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median

import nats

from natsmith.registry import Registry

LOOKUPS = 5000


async def be(url: str, services: int, first: int, count: int, seconds: float) -> None:
    """Register until the process is ended."""
    client = await nats.connect(url)
    async with Registry(client) as registry, AsyncExitStack() as stack:
        for number in range(first, first + count):
            metadata = {"host": f"10.0.{number // 250}.{number % 250}", "port": 8080, "version": "1.4.2"}
            instance = registry.instance(service(number % services), id=f"i{number}", metadata=metadata)
            await stack.enter_async_context(instance)
            await asyncio.sleep(seconds / count)
        print("ready", flush=True)
        await asyncio.Event().wait()


async def read(url: str) -> None:
    """Answer what a reader costs: ``open``, ``usage``, ``lookups``."""
    client = await nats.connect(url)
    async with Registry(client) as registry:
        while question := (await asyncio.to_thread(sys.stdin.readline)).strip():
            answer: dict[str, float] = {}
            if question == "open":
                began = time.perf_counter()
                answer["instances"] = len(await registry.all_instances())
                answer["seconds"] = time.perf_counter() - began
            elif question == "lookups":
                answer["seconds"] = await lookups(registry)
            answer |= {"cpu": time.process_time(), "megabytes": megabytes()}
            print(json.dumps(answer), flush=True)


async def lookups(registry: Registry) -> float:
    """Return the median of the seconds that a lookup takes."""
    took = []
    for _ in range(LOOKUPS):
        began = time.perf_counter()
        await registry.instances(service(7))
        took.append(time.perf_counter() - began)
    return median(took)


def service(number: int) -> str:
    """Return the name of a service."""
    return f"service-{number:02d}"


def megabytes() -> float:
    """Return the memory that this process has now, where the system can tell."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20 if statm.exists() else 0.0


if __name__ == "__main__":
    address, verb, *rest = sys.argv[1:]
    if verb == "be":
        asyncio.run(be(address, int(rest[0]), int(rest[1]), int(rest[2]), float(rest[3])))
    else:
        asyncio.run(read(address))
