"""One run writes at a time."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest

from builders import desired
from memory import MemoryServer
from natsmith.actions import lease, state
from natsmith.actions.apply import apply
from natsmith.actions.lease import Lease, held
from natsmith.adapters.server import Refused
from natsmith.clock import clock
from natsmith.errors import DecisionNeeded, NotReady, StoppedHalfway
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
    later = clock() + 10
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


async def test_a_lock_in_a_state_bucket_that_was_made_anew_is_not_stolen() -> None:
    """Its sequences begin anew, so the second holder's lock has the number that the first one's had."""
    server = await server_with_state()
    first, second = Lease(server, ONE, seconds=15), Lease(server, TWO, seconds=15)
    await first.take()
    await server.delete_stream(state.STREAM)
    await state.ensure(server, 1)
    assert await second.take()

    await first.renew()
    await first.release()

    assert TWO == await lease.holder(server)
    with pytest.raises(StoppedHalfway, match="lost its lock"):
        first.check()
    await second.renew()
    second.check()


async def test_two_runs_of_one_person_are_two_holders() -> None:
    """Who and since may be the same; the lock is known by more than that."""
    server = await server_with_state()
    first, second = Lease(server, ONE, seconds=15), Lease(server, ONE, seconds=15)
    await first.take()
    await server.delete_stream(state.STREAM)
    await state.ensure(server, 1)
    assert await second.take()

    await first.renew()

    with pytest.raises(StoppedHalfway):
        first.check()


async def test_a_renewal_whose_answer_was_lost_is_ours() -> None:
    """The server stored it all the same."""
    server = await server_with_state()
    mine = Lease(server, ONE, seconds=15)
    await mine.take()
    last = await server.last(state.STREAM, lease.KEY)
    assert last
    await server.publish(lease.KEY, last.payload, expect=last.sequence, ttl=15)

    await mine.renew()

    mine.check()
    await mine.release()
    assert await lease.holder(server) is None


@pytest.mark.parametrize("payload", [b"", b"rubbish", b'{"owner": "me", "who": "x", "since": "y"}'])
async def test_a_lock_that_never_expires_is_nobodys(payload: bytes) -> None:
    """Put there by hand, or what `nats kv del` leaves: it would block for ever."""
    server = await server_with_state()
    await server.publish(lease.KEY, payload)

    assert await lease.holder(server) is None
    async with held(server, TWO, log=Log(), timeout=0):
        assert TWO == await lease.holder(server)


class Refusing(MemoryServer):
    """A server that from some time on refuses to store anything."""

    refusing = False

    async def publish(self, subject: str, payload: bytes, **how: Any) -> int:
        """Store a message, or refuse."""
        if self.refusing:
            raise Refused(request=f"publish on {subject}", code=10047, text="insufficient storage resources available")
        return await super().publish(subject, payload, **how)


async def test_a_refused_renewal_is_tried_again_and_the_lock_given_back() -> None:
    """Only when the lease is nearly over does the run stop."""
    server = Refusing()
    await state.ensure(server, 1)
    async with held(server, ONE, log=Log(), timeout=0) as mine:
        server.refusing = True
        await mine.renew()
        mine.check()

    assert await lease.holder(server) is None


async def test_a_lock_that_the_server_refuses_to_store_is_told() -> None:
    """With the cure, and not as a bug."""
    server = Refusing()
    await state.ensure(server, 1)
    server.refusing = True

    with pytest.raises(DecisionNeeded, match="insufficient storage"):
        async with held(server, ONE, log=Log(), timeout=0):
            pass


async def test_no_write_begins_after_the_lock_was_given_back() -> None:
    """Whatever is still under way when a run ends in an unforeseen way."""
    server = await server_with_state()
    mine = Lease(server, ONE, seconds=15)
    await mine.take()
    await mine.release()

    with pytest.raises(StoppedHalfway, match="it was given back"):
        mine.check()
