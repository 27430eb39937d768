"""Asking several things at once."""

from __future__ import annotations

import asyncio

import pytest

from natsmith.actions.observe import in_parallel


async def test_the_first_that_fails_ends_the_others_and_they_have_ended_when_it_is_told() -> None:
    ended: list[str] = []

    async def ask(what: str) -> str:
        try:
            if what == "fails":
                raise LookupError(what)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(what)
        return what

    with pytest.raises(LookupError, match="fails"):
        await in_parallel(ask, ["waits", "fails", "waits too"])
    assert {"waits", "fails", "waits too"} == set(ended)


async def test_answers_come_in_the_order_of_the_questions() -> None:
    async def ask(turns: int) -> int:
        for _ in range(turns):
            await asyncio.sleep(0)
        return turns

    assert [3, 1, 2] == list(await in_parallel(ask, [3, 1, 2], at_once=2))
