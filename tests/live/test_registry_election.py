"""What the election of a leader promises, on real servers; `make elections` tries it under faults."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from nats.aio.client import Client

import electing
from electing import LONG, SOON, Candidate, provision, waiting
from natsmith.adapters.connections import Connection
from natsmith.registry import LeadershipLost, Registry, WrongUse
from versions import Connecting

Join = Callable[[], Awaitable[Client]]


@pytest.fixture
async def join(connection: Connection, connecting: Connecting) -> Join:
    """Connect one more application to the account, which has a bucket for elections."""
    await provision(await connecting(connection))
    return lambda: connecting(connection)


async def test_one_leads_and_the_others_wait(join: Join) -> None:
    """Of five candidates one leads, and everybody can see which, with its token."""
    clients = [await join() for _ in range(5)]
    candidates = [Candidate(client, ttl=LONG, id=f"c{number}") for number, client in enumerate(clients)]
    async with asyncio.timeout(SOON):
        await asyncio.wait([each.lease for each in candidates], return_when=asyncio.FIRST_COMPLETED)
    (leader,) = [each for each in candidates if each.lease.done()]
    seen = await electing.leader(clients[0])
    async with waiting(*[each for each in candidates if each is not leader]):
        lease = await leader.leads()
        lease.check()
    await leader.goes()

    assert seen
    assert (f"c{candidates.index(leader)}", lease.token) == (seen.id, seen.token)
    assert await electing.leader(clients[0]) is None


async def test_who_goes_is_followed_at_once(join: Join) -> None:
    """A leader that lets go is followed long before its lease would be over, by one with a higher token."""
    first = Candidate(await join(), ttl=LONG)
    old = await first.leads()
    second = Candidate(await join(), ttl=LONG)
    await first.goes()
    new = await second.leads()
    await second.goes()

    assert not old.held
    assert new.token > old.token


async def test_who_falls_silent_is_followed_when_its_lease_is_over(join: Join) -> None:
    """A leader whose connection is gone for good is followed after its TTL, and not before; its block is stopped."""
    client, now = await join(), asyncio.get_running_loop().time
    first = Candidate(client, ttl=2)
    old = await first.leads()
    second = Candidate(await join(), ttl=2)
    await client.close()
    closed = now()
    new = await second.leads()
    assert now() - closed > 1
    assert not old.held
    with pytest.raises(LeadershipLost):
        await first.task
    await second.goes()

    assert new.token > old.token


async def test_markers_in_the_bucket_change_nothing(connection: Connection, connecting: Connecting) -> None:
    """Where the server marks expired keys, a leader is followed after its expiry, after its goodbye, and much later."""
    client, leaving = [await connecting(connection) for _ in range(2)]
    await provision(client, subject_delete_marker_ttl=1_000_000_000)
    tokens = []
    silent = Candidate(leaving, ttl=1)
    tokens.append((await silent.leads()).token)
    await leaving.close()
    with pytest.raises(LeadershipLost):
        await silent.task
    for pause in (0, 3):
        await asyncio.sleep(pause)  # until the marker has gone as well
        follower = Candidate(client, ttl=1)
        tokens.append((await follower.leads()).token)
        await follower.goes()

    assert sorted(set(tokens)) == tokens


async def test_a_lease_outlives_its_ttl_while_it_is_renewed(elections: Client) -> None:
    """A leader leads on with the token that it had, although each renewal has a revision of its own."""
    candidate = Candidate(elections, ttl=1)
    lease = await candidate.leads()
    await asyncio.sleep(2.5)  # what is tested is that time goes by
    lease.check()
    seen = await electing.leader(elections)
    await candidate.goes()

    assert seen
    assert lease.token == seen.token


@pytest.mark.parametrize("lost", ["taken", "deleted"])
async def test_a_block_is_stopped_when_the_key_is_not_its_own_any_more(elections: Client, lost: str) -> None:
    """Somebody who writes or deletes the key by hand ends the lease at the next renewal."""
    candidate = Candidate(elections, ttl=3)
    lease = await candidate.leads()
    if lost == "taken":
        await elections.publish("$KV.elections.billing", b"mine")
    else:
        await elections.request("$JS.API.STREAM.PURGE.KV_elections", b"")
    with pytest.raises(LeadershipLost, match="billing"):
        await candidate.task

    assert lease.lost.is_set()
    with pytest.raises(LeadershipLost):
        lease.check()


async def test_a_block_that_swallows_its_end_is_told_all_the_same(elections: Client) -> None:
    """Who leaves the block without LeadershipLost has led all the while."""

    async def deaf() -> None:
        async with Registry(elections) as registry, registry.leadership("billing", ttl=1):
            await elections.request("$JS.API.STREAM.PURGE.KV_elections", b"")
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(LONG)

    async with asyncio.timeout(SOON):
        with pytest.raises(LeadershipLost):
            await deaf()


async def test_a_cancelled_leader_is_followed_at_once(elections: Client) -> None:
    """A block that is cancelled from outside ends as cancelled, and gives the lease back."""
    first = Candidate(elections, ttl=LONG)
    await first.leads()
    await first.is_cancelled()
    second = Candidate(elections, ttl=LONG)
    await second.leads()
    await second.goes()

    assert first.task.cancelled()


async def test_a_cancelled_wait_leaves_nothing_behind(elections: Client) -> None:
    """Who stops waiting, at whatever moment, keeps nobody from leading."""
    for pause in [0.0005 * step for step in range(1, 40)]:
        impatient = Candidate(elections, ttl=LONG)
        await asyncio.sleep(pause)  # the moment is what is tried
        await impatient.is_cancelled()
        after = Candidate(elections, ttl=LONG)
        await after.leads()
        await after.goes()


async def test_an_error_in_the_block_is_the_callers(elections: Client) -> None:
    """An exception goes through, and the next one leads at once."""
    with pytest.raises(ZeroDivisionError):
        async with Registry(elections) as registry, registry.leadership("billing", ttl=LONG):
            raise ZeroDivisionError
    second = Candidate(elections, ttl=LONG)
    await second.leads()
    await second.goes()


async def test_a_timeout_around_the_block_is_a_timeout(elections: Client) -> None:
    """Cancelling and losing in the same moment stays a cancellation."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), Registry(elections) as registry, registry.leadership("billing", ttl=LONG):
            await asyncio.sleep(LONG)


async def test_who_is_cancelled_while_it_takes_the_lease_lets_go(elections: Client) -> None:
    """Nobody holds what nobody knows of: the next one does not wait for it to expire."""
    real = elections.request
    asked = asyncio.Event()

    async def slowly(subject: str, *given: Any, **more: Any) -> Any:
        """Ask a server that takes its time: what was sent arrives, whoever gives up."""
        if not subject.startswith("$KV."):
            return await real(subject, *given, **more)

        async def late() -> Any:
            asked.set()
            await asyncio.sleep(0.3)
            return await real(subject, *given, **more)

        return await asyncio.shield(late())

    elections.request = slowly  # type: ignore[method-assign]  # as the library asks
    candidate = Candidate(elections, ttl=LONG)
    await asked.wait()
    await candidate.is_cancelled()
    await asyncio.sleep(0.5)  # until it has arrived

    assert await electing.leader(elections) is None


async def test_a_leadership_is_used_again_but_not_twice_at_once(elections: Client) -> None:
    """One object leads again and again, each time with a higher token; two blocks at a time need two."""
    async with Registry(elections) as registry:
        leadership = registry.leadership("billing", ttl=LONG)
        async with leadership as first:
            with pytest.raises(WrongUse, match="entered already"):
                await leadership.__aenter__()
        async with leadership as second:
            seen = await registry.leader("billing")

    assert second.token > first.token
    assert seen
    assert second.token == seen.token


async def test_two_candidates_of_one_process_are_two(elections: Client) -> None:
    """Two wishes of the same process to lead the same group follow one another."""
    first, second = (Candidate(elections, ttl=LONG, id="same") for _ in range(2))
    async with asyncio.timeout(SOON):
        await asyncio.wait([first.lease, second.lease], return_when=asyncio.FIRST_COMPLETED)
    leader, other = (first, second) if first.lease.done() else (second, first)
    assert not other.lease.done()
    await leader.goes()
    await other.leads()
    await other.goes()


async def test_groups_do_not_know_each_other(elections: Client) -> None:
    """Each group has a leader of its own."""
    candidates = [Candidate(elections, ttl=LONG, group=f"group-{number}") for number in range(5)]
    for each in candidates:
        await each.leads()
    for each in candidates:
        await each.goes()


async def test_a_closed_registry_does_not_end_a_lease(elections: Client) -> None:
    """Closing the registry ends its view; who leads leads on."""
    async with Registry(elections) as registry, registry.leadership("billing", ttl=1) as lease:
        await registry.close()
        await asyncio.sleep(2)  # what is tested is that time goes by
        lease.check()
