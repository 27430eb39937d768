"""Every page is told everything once, and what is new after that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from natsmith.monitor import hub as hubs
from natsmith.monitor.hub import Full, Hub


async def told(reader: AsyncIterator[bytes], count: int) -> list[str]:
    """Return the next *count* events."""
    async with asyncio.timeout(5):
        return [(await anext(reader)).decode() for _ in range(count)]


async def test_who_comes_is_told_everything_and_then_what_changes() -> None:
    """A part that is put again as it was is not told again."""
    hub = Hub()
    hub.put("plan:app", {"changes": 0})
    reader = hub.read()
    assert [": hello\n\n", 'event: plan\ndata: {"changes":0}\n\n'] == await told(reader, 2)

    following = asyncio.create_task(told(reader, 1))
    await asyncio.sleep(0)
    hub.put("plan:app", {"changes": 0})
    hub.put("plan:app", {"changes": 1})

    assert ['event: plan\ndata: {"changes":1}\n\n'] == await following


async def test_who_does_not_read_is_told_everything_anew() -> None:
    """What waits for a reader is bounded; it loses nothing but the steps between."""
    hub = Hub()
    hub.put("plan:app", 0)
    reader = hub.read()
    await told(reader, 2)
    for number in range(1, 10 * hubs.MOST_WAITING):
        hub.put("plan:app", number)

    assert [f"event: plan\ndata: {10 * hubs.MOST_WAITING - 1}\n\n"] == await told(reader, 1)


async def test_there_are_only_so_many_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is turned away, until one goes."""
    monkeypatch.setattr(hubs, "MOST_READERS", 1)  # a limit is the same for one as for hundreds
    hub = Hub()
    first, second = hub.read(), hub.read()
    await told(first, 1)
    with pytest.raises(Full):
        await told(second, 1)

    await first.aclose()  # type: ignore[attr-defined]  # it is a generator

    assert 0 == hub.readers
    assert [": hello\n\n"] == await told(hub.read(), 1)


async def test_a_hub_that_closes_lets_everybody_go() -> None:
    """Or the server would wait for them."""
    hub = Hub()
    reader = hub.read()
    await told(reader, 1)
    waiting = asyncio.create_task(told(reader, 1))
    await asyncio.sleep(0)

    hub.close()

    assert [": goodbye\n\n"] == await waiting
    with pytest.raises(StopAsyncIteration):
        await anext(reader)
