"""How a connection of nats-py ends, also in the moment in which its server goes."""

from __future__ import annotations

import asyncio
import contextlib

import nats.aio.client

AGAIN_SECONDS = 0.025
"""Between two cancellations of a task that may have lost one."""


async def closed(client: nats.aio.client.Client) -> None:
    """Close *client*, perhaps in the moment in which its server goes."""
    # nats-py's close() cancels the task that connects again, and with it what both may be waiting for: it then ends as
    # cancelled itself, which must not look like a cancellation of whoever closes.
    closing = asyncio.create_task(client.close())
    await asyncio.wait({closing})
    with contextlib.suppress(OSError, asyncio.CancelledError):  # an OSError is of a connection that is gone already
        closing.result()
    if client._reconnection_task:
        await ended(client._reconnection_task)


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel *task* until it is over.

    nats-py tries to connect in a loop, and on Python 3.11 the ``wait_for`` in there loses a cancellation that comes in
    the moment of an answer. A loop that goes on would keep ``asyncio.run`` from ending: tests/live/test_connecting_lost.py.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=AGAIN_SECONDS)
    if not task.cancelled():
        task.exception()  # told elsewhere; asyncio would print one that nobody looks at
