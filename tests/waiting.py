"""Waiting for what a server does by itself, such as letting a message expire."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from natsmith.adapters.closing import ended

POLL_SECONDS = 0.05


class Eventually(Protocol):
    """How a test waits: on a real server by asking again, on the one in memory by turning its clock."""

    async def __call__(self, happened: Callable[[], Awaitable[bool]], *, within: float) -> None:
        """Return when *happened* is true; fail when it is not after *within* seconds."""


async def over(task: asyncio.Task[None]) -> None:
    """End what goes on for ever beside a test; what it failed of before is raised."""
    await ended(task)
    if not task.cancelled():
        task.result()


async def eventually(happened: Callable[[], Awaitable[bool]], *, within: float) -> None:
    """Wait until *happened* is true; fail when it is not after *within* seconds."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + within
    while not await happened():
        assert clock() < deadline, f"it did not happen within {within} s"
        # A server announces no expiry, so it is asked again; the deadline above bounds the loop.
        await asyncio.sleep(POLL_SECONDS)
