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


async def test_a_table_is_told_by_the_row() -> None:
    """Who comes is told all of it, who is there only what changed and what went."""
    hub = Hub()
    hub.put_rows("objects:app", {"a": 1, "b": 2}, {"account": "app"})
    reader = hub.read()
    _, whole = await told(reader, 2)
    following = asyncio.create_task(told(reader, 1))
    await asyncio.sleep(0)
    hub.put_rows("objects:app", {"a": 1, "b": 2}, {"account": "app"})
    hub.put_rows("objects:app", {"a": 9}, {"account": "app"})

    assert 'event: objects\ndata: {"account":"app","anew":true,"changed":[1,2],"gone":[]}\n\n' == whole
    assert ['event: objects\ndata: {"account":"app","anew":false,"changed":[9],"gone":["b"]}\n\n'] == await following


async def test_a_large_table_comes_in_parts() -> None:
    """Only the first of which begins anew; no page has to draw thousands of rows in one go."""
    hub = Hub()
    hub.put_rows("objects:app", {str(number): number for number in range(2 * hubs.ROWS_AT_ONCE + 1)}, {})

    _, *parts = await told(hub.read(), 4)

    assert [True, False, False] == ['"anew":true' in each for each in parts]


async def test_who_comes_after_something_was_told_is_told_it_too() -> None:
    """What many that come together share is made anew when it is not so any more."""
    hub = Hub()
    now = [1]
    hub.source("services:app", lambda: iter(now))
    first = (await told(hub.read(), 2))[1]
    now[0] = 2
    shared = (await told(hub.read(), 2))[1]
    hub.tell("services:app", {"changed": 2})

    assert (first, "event: services\ndata: 2\n\n") == (shared, (await told(hub.read(), 2))[1])


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


async def test_who_comes_late_is_told_the_time_as_it_is_then() -> None:
    """What it is told may have been put together a while ago."""
    hub = Hub()
    hub.source("services:app", lambda: iter(["as it was"]))
    times = iter([1, 2])
    hub.clock("services:app", lambda: next(times))

    first, second = (await told(hub.read(), 3))[2], (await told(hub.read(), 3))[2]
    assert ("event: clock\ndata: 1\n\n", "event: clock\ndata: 2\n\n") == (first, second)
