"""Those who want to lead a group, as tests see them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import nats
from nats.aio.client import Client

from natsmith.adapters.connections import Connection
from natsmith.registry import Leader, Lease, Registry

LONG = 20
"""A lease that no test waits for: what happens within it did not wait for it."""

SOON = 10.0
"""Seconds within which everything happens that waits for nothing, on a machine that does other things as well."""


async def nothing(*_: object) -> None:
    """Hear of a lost connection, which is what these tests make."""


async def connected(connection: Connection) -> Client:
    """Connect an application that looks for its server again and again."""
    return await nats.connect(
        connection.server,
        user=connection.user,
        password=connection.password,
        reconnect_time_wait=0.05,
        max_reconnect_attempts=-1,
        error_cb=nothing,
    )


async def provision(client: Client, **wanted: object) -> None:
    """Create a bucket as the profile election has it, or otherwise as *wanted*."""
    config: dict[str, Any] = {
        "name": "KV_elections",
        "subjects": ["$KV.elections.>"],
        "max_msgs_per_subject": 1,
        "storage": "file",
        "discard": "new",
        "deny_delete": True,
        "allow_rollup_hdrs": True,
        "allow_direct": True,
        "allow_msg_ttl": True,
    }
    answer = await client.request("$JS.API.STREAM.CREATE.KV_elections", json.dumps(config | wanted).encode())
    assert "error" not in json.loads(answer.data), answer.data


async def leader(client: Client, group: str = "billing") -> Leader | None:
    """Return who leads."""
    async with Registry(client) as registry:
        return await registry.leader(group)


class Candidate:
    """One that wants to lead, in a task of its own."""

    def __init__(self, client: Client, *, ttl: int, id: str = "", group: str = "billing") -> None:
        self._registry, self._group, self._id, self._ttl = Registry(client), group, id, ttl
        self.done = asyncio.Event()
        self.lease: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(self._lead())

    async def _lead(self) -> None:
        async with self._registry as registry, registry.leadership(self._group, id=self._id, ttl=self._ttl) as lease:
            self.lease.set_result(lease)
            await self.done.wait()

    async def leads(self, within: float = SOON) -> Lease:
        """Return its lease when it leads."""
        async with asyncio.timeout(within):
            both: set[asyncio.Future[Any]] = {self.lease, self.task}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not self.lease.done():
            await self.task  # which tells why
        return await self.lease

    async def goes(self) -> None:
        """Let its block end."""
        self.done.set()
        await self.task

    async def is_cancelled(self) -> None:
        """Cancel it from outside."""
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


@asynccontextmanager
async def waiting(*candidates: Candidate) -> AsyncIterator[None]:
    """See that none of these leads while the block runs, and let them go after it."""
    try:
        yield
        assert not any(each.lease.done() for each in candidates)
    finally:
        for each in candidates:
            await each.is_cancelled()
