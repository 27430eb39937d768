"""What holds for any values whatever."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import assume, given, settings

from builders import desired
from generated import DOCUMENTS
from memory import MemoryServer
from natsmith.actions.apply import apply, prepare
from natsmith.actions.observe import observe
from natsmith.adapters import values
from natsmith.errors import WrongValues
from natsmith.log import Log
from natsmith.model.desired import Desired
from natsmith.model.reading import read
from natsmith.planning.check import check
from natsmith.views import as_values

ALLOW = {"provisioner": {"loss": "allow", "onImmutable": "replace", "prune": True}}


def sensible(document: Any) -> bool:
    """Return whether nothing is wrong between the settings; whatever the server refuses of the rest is a failure."""
    return not check(desired(document))


async def made(server: MemoryServer, document: Any) -> None:
    outcome = await apply(server, desired({**document, **ALLOW}), account="app", owner="local", log=Log(), timeout=0.2)
    assert outcome.complete, outcome.failed


async def changes(server: MemoryServer, document: Any) -> list[str]:
    plan, _ = await prepare(server, desired({**document, **ALLOW}), account="app", owner="local")
    return [f"{change.action} {change.title} {change.differences}" for change in plan.changes]


@contextmanager
def suppress_latches() -> Iterator[None]:
    """Let a block be refused for what stays on for ever, which excludes some wishes, and for nothing else."""
    try:
        yield
    except WrongValues as refusal:
        if not all("cannot be turned off" in problem for problem in refusal.problems):
            raise


@settings(max_examples=150, deadline=None)
@given(DOCUMENTS, DOCUMENTS)
def test_after_any_change_nothing_is_left_to_change(first: Any, second: Any) -> None:
    """From anything to anything: applied once, the plan is empty."""

    assume(sensible(first) and sensible(second))

    async def run() -> None:
        server = MemoryServer()
        await made(server, first)
        assert [] == await changes(server, first)
        with suppress_latches():
            await made(server, second)
            assert [] == await changes(server, second)

    asyncio.run(run())


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS)
def test_an_exported_account_plans_to_nothing(document: Any) -> None:
    """What export prints, read again, is what is there."""

    assume(sensible(document))

    async def run() -> None:
        server = MemoryServer()
        await made(server, document)
        observed = await observe(server, Desired(), account="app", everything=True)
        printed = as_values.as_yaml(as_values.values(observed))
        loaded = values.load(["-"], stdin=io.BytesIO(printed.encode()))
        again, problems = read(loaded)

        assert [] == problems, printed
        assert [] == await changes(server, loaded), printed
        assert {each.id for each in desired(document).resources} == {each.id for each in again.resources}

    asyncio.run(run())
