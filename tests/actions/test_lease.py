"""One run writes at a time."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest

from builders import desired
from memory import MemoryServer
from natsmith.actions import lease, state
from natsmith.actions.apply import apply
from natsmith.actions.lease import Lease, held
from natsmith.errors import NotReady, StoppedHalfway
from natsmith.log import Log
from natsmith.model.outcome import Holder

ONE = Holder(owner="ns/one", who="job@pod", since="2026-01-01T12:00:00Z")
TWO = Holder(owner="ns/two", who="me@laptop", since="2026-01-01T12:00:01Z")


async def server_with_state() -> MemoryServer:
    server = MemoryServer()
    await state.ensure(server, 1)
    return server


async def test_the_second_waits_and_names_the_holder() -> None:
    """It gives up after --timeout, and a reader knows whom to ask."""
    server = await server_with_state()
    events = io.StringIO()
    async with held(server, ONE, log=Log(), timeout=0):
        with pytest.raises(NotReady, match=r"ns/one \(job@pod, since 2026-01-01T12:00:00Z\)"):
            async with held(server, TWO, log=Log(stream=events), timeout=0):
                pass

    assert "lock.waiting held_by=ns/one who=job@pod" in events.getvalue()


async def test_the_lock_is_free_after_the_block() -> None:
    """At once, not when its time is over."""
    server = await server_with_state()
    async with held(server, ONE, log=Log(), timeout=0):
        pass
    async with held(server, TWO, log=Log(), timeout=0):
        assert TWO == await lease.holder(server)


async def test_a_dead_holder_lets_go() -> None:
    """Its lease runs out on the server."""
    server = await server_with_state()
    dead = Lease(server, ONE, seconds=15)
    assert await dead.take()

    server.now += timedelta(seconds=16)

    async with held(server, TWO, log=Log(), timeout=0):
        assert TWO == await lease.holder(server)


async def test_a_late_holder_neither_renews_nor_releases_anothers_lock() -> None:
    """It was paused; the lock is another's now."""
    server = await server_with_state()
    late = Lease(server, ONE, seconds=15)
    await late.take()
    server.now += timedelta(seconds=16)
    async with held(server, TWO, log=Log(), timeout=0):
        await late.renew()
        await late.release()

        assert TWO == await lease.holder(server)
        with pytest.raises(StoppedHalfway, match="another run took the lock over"):
            late.check()


async def test_no_write_begins_when_the_lease_is_nearly_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """The own clock tells, without asking anybody: a paused process learns it first thing."""
    server = await server_with_state()
    mine = Lease(server, ONE, seconds=15)
    await mine.take()
    mine.check()
    later = lease.clock() + 10
    monkeypatch.setattr(
        lease, "clock", lambda: later
    )  # the clock is the world here: nobody waits ten seconds in a test

    with pytest.raises(StoppedHalfway, match="could not be renewed in time"):
        mine.check()


async def test_a_run_with_nothing_to_write_takes_no_lock() -> None:
    """So it works while another one writes."""
    server = MemoryServer()
    values = desired({"buckets": {"b": {}}})
    await apply(server, values, account="app", owner="local", log=Log(), timeout=0)

    async with held(server, ONE, log=Log(), timeout=0):
        outcome = await apply(server, values, account="app", owner="local", log=Log(), timeout=0)

    assert () == outcome.plan.changes


async def test_a_state_bucket_that_is_none_is_told() -> None:
    """Somebody's stream of that name cannot hold a lock."""
    server = MemoryServer()
    await server.create_stream({"name": state.STREAM, "subjects": ["x"]})

    with pytest.raises(Exception, match="is not natsmith's state bucket"):
        await apply(server, desired({"buckets": {"b": {}}}), account="app", owner="local", log=Log(), timeout=0)
