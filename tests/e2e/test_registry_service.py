"""Row B: a service in a pod registers with the library of the image, and is gone when the pod is."""

from __future__ import annotations

import asyncio

from e2e.release import MakeRelease
from natsmith.registry import Kind, Registry

TTL = 10
"""Seconds that an entry lives in this test."""

SERVICE = """
import asyncio, os, nats
from natsmith.registry import Registry

async def main():
    password = open("/credentials/app.app.password").read().strip()
    client = await nats.connect(os.environ["SERVER"], user="app", password=password)
    async with Registry(client) as registry, registry.instance("orders", id="pod", metadata={"port": 8080}):
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_service_is_gone_soon_after_its_pod_was_killed(release: MakeRelease) -> None:
    """A reader outside of the cluster sees it come, and expire within its time to live and a few seconds."""
    registry = release("registry")
    registry.installed("registry.yaml", sets=[f"buckets.service_registry.ttlSeconds={TTL}"])
    async with registry.client() as client, Registry(client) as reader:
        changes = reader.watch("orders")
        service = registry.application("orders", SERVICE)
        service["spec"]["terminationGracePeriodSeconds"] = 0

        registry.namespace.apply(service)
        async with asyncio.timeout(60):
            joined = await anext(changes)
        assert (Kind.JOINED, "pod", 8080) == (joined.kind, joined.instance.id, joined.instance.metadata["port"])
        assert ["pod"] == [each.id for each in await reader.instances("orders")]

        registry.namespace.kubectl("delete", "pod", "orders", "--grace-period=0", "--force")
        # Its time to live, and what a busy node takes to kill a process.
        async with asyncio.timeout(TTL + 10):
            gone = await anext(changes)
        assert (Kind.EXPIRED, "pod") == (gone.kind, gone.instance.id)
        assert () == await reader.instances("orders")
