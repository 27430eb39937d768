"""What the election of a leader promises, on real servers; `make elections` tries it under faults."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import nats
import pytest
from nats.aio.client import Client

from conftest import VERSIONS, Servers
from embedded import Embedded
from natsmith.adapters.connections import Connection
from natsmith.registry import DecisionNeeded, Leadership, LeadershipLost, Lease, NotReady, Registry, WrongValues
from waiting import Eventually

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


async def closed(client: Client) -> None:
    """Close a connection, perhaps to a server that is gone."""
    with contextlib.suppress(OSError):
        await client.close()


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


Connect = Callable[[Connection], Awaitable[Client]]
Join = Callable[[], Awaitable[Client]]


@pytest.fixture
async def connecting() -> AsyncIterator[Connect]:
    """Connect applications, until the test ends."""
    async with AsyncExitStack() as stack:

        async def one(connection: Connection) -> Client:
            client = await connected(connection)
            stack.push_async_callback(closed, client)
            return client

        yield one


@pytest.fixture
async def join(connection: Connection, connecting: Connect) -> Join:
    """Connect one more application to the account, which has a bucket for elections."""
    await provision(await connecting(connection))
    return lambda: connecting(connection)


@pytest.fixture
async def newest_client(servers: Servers, newest: str, connecting: Connect) -> Client:
    """Connect to an account of the newest server, where there is nothing yet."""
    return await connecting(servers.fresh(newest))


@pytest.fixture
async def elections(newest_client: Client) -> Client:
    """Connect to the newest server, where there is a bucket for elections."""
    await provision(newest_client)
    return newest_client


class Candidate:
    """One that wants to lead, in a task of its own."""

    def __init__(self, client: Client, *, ttl: int, id: str = "", group: str = "billing") -> None:
        self.leadership = Registry(client).leadership(group, id=id, ttl=ttl)
        self.done = asyncio.Event()
        self.lease: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(self._lead())

    async def _lead(self) -> None:
        async with self.leadership as lease:
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


async def test_one_leads_and_the_others_wait(join: Join) -> None:
    """Of five candidates one leads, and everybody can see which, with its token."""
    clients = [await join() for _ in range(5)]
    candidates = [Candidate(client, ttl=LONG, id=f"c{number}") for number, client in enumerate(clients)]
    async with asyncio.timeout(SOON):
        await asyncio.wait([each.lease for each in candidates], return_when=asyncio.FIRST_COMPLETED)
    (leader,) = [each for each in candidates if each.lease.done()]
    seen = await Registry(clients[0]).leader("billing")
    async with waiting(*[each for each in candidates if each is not leader]):
        lease = await leader.leads()
        lease.check()
    await leader.goes()

    assert seen
    assert (f"c{candidates.index(leader)}", lease.token) == (seen.id, seen.token)
    assert await Registry(clients[0]).leader("billing") is None


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


async def test_markers_in_the_bucket_change_nothing(connection: Connection, connecting: Connect) -> None:
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
    seen = await Registry(elections).leader("billing")
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
        async with Registry(elections).leadership("billing", ttl=1):
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
        async with Registry(elections).leadership("billing", ttl=LONG):
            raise ZeroDivisionError
    second = Candidate(elections, ttl=LONG)
    await second.leads()
    await second.goes()


async def test_a_timeout_around_the_block_is_a_timeout(elections: Client) -> None:
    """Cancelling and losing in the same moment stays a cancellation."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), Registry(elections).leadership("billing", ttl=LONG):
            await asyncio.sleep(LONG)


async def test_a_leadership_is_used_again_but_not_twice_at_once(elections: Client) -> None:
    """One object leads again and again, each time with a higher token; two blocks at a time need two."""
    leadership = Registry(elections).leadership("billing", ttl=LONG)
    async with leadership as first:
        with pytest.raises(RuntimeError, match="entered already"):
            await leadership.__aenter__()
    async with leadership as second:
        seen = await Registry(elections).leader("billing")

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
    registry = Registry(elections)
    async with registry.leadership("billing", ttl=1) as lease:
        await registry.close()
        await asyncio.sleep(2)  # what is tested is that time goes by
        lease.check()


async def test_who_waits_on_a_closed_connection_is_told(servers: Servers, newest: str, connecting: Connect) -> None:
    """A connection that is closed for good ends the wait with an error."""
    connection = servers.fresh(newest)
    first, second = [await connecting(connection) for _ in range(2)]
    await provision(first)
    leader = Candidate(first, ttl=LONG)
    await leader.leads()
    other = Candidate(second, ttl=LONG)
    await asyncio.sleep(0.3)  # until it waits
    await second.close()
    async with asyncio.timeout(SOON):
        with pytest.raises(DecisionNeeded, match="closed"):
            await other.task
    await leader.goes()


async def test_a_value_that_never_goes_is_told(
    elections: Client, caplog: pytest.LogCaptureFixture, eventually: Eventually
) -> None:
    """A value that somebody put there by hand keeps everybody waiting, who say so; when it is deleted one leads."""
    await elections.request("$KV.elections.billing", b"{}")
    candidate = Candidate(elections, ttl=1)

    async def told() -> bool:
        return "delete it" in caplog.text

    await eventually(told, within=60)
    assert not candidate.lease.done()
    await elections.request("$JS.API.STREAM.PURGE.KV_elections", b"")
    await candidate.leads()
    await candidate.goes()


REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "memory": ({"storage": "memory"}, "in memory"),
    "history": ({"max_msgs_per_subject": 5}, "keeps 5 values"),
    "no TTL of a key": ({"allow_msg_ttl": False}, "perKeyTTL: true"),
    "markers that stay longer": ({"subject_delete_marker_ttl": 5_000_000_000}, "markers stay 5 s"),
    "a shorter TTL": ({"max_age": 1_000_000_000, "duplicate_window": 0}, "drops every entry after 1 s"),
}


@pytest.mark.parametrize("why", REFUSED)
async def test_a_bucket_that_elects_nobody_is_refused(newest_client: Client, why: str) -> None:
    """Where two could lead at once, or a token would not rise, nobody does, and it is said why."""
    wanted, said = REFUSED[why]
    await provision(newest_client, **wanted)
    with pytest.raises(DecisionNeeded, match=said) as refusal:
        await Registry(newest_client).leadership("billing", ttl=2).__aenter__()

    assert "profile election" in str(refusal.value)


async def test_a_missing_bucket_is_refused(newest_client: Client) -> None:
    """Without a bucket nobody waits."""
    with pytest.raises(DecisionNeeded, match="no bucket elections: provision it"):
        await Registry(newest_client).leadership("billing").__aenter__()


@pytest.mark.parametrize("ttl", [0, -1, 1.5, True, "5"])
def test_a_ttl_that_the_server_does_not_know_is_refused(ttl: Any) -> None:
    """A lease is whole seconds."""
    with pytest.raises(WrongValues, match="whole seconds"):
        Leadership(None, "elections", "billing", id="", ttl=ttl)  # type: ignore[arg-type]  # it is not looked at


DENIED = (
    "$JS.API.STREAM.INFO.KV_elections",
    "$JS.API.CONSUMER.CREATE.>",
    "$JS.API.STREAM.MSG.GET.KV_elections",
    "$KV.elections.>",
)


@pytest.mark.parametrize("subject", DENIED)
@pytest.mark.parametrize("release", VERSIONS[-1:])
async def test_a_missing_right_is_named(
    private_server: Callable[..., Embedded], connecting: Connect, subject: str
) -> None:
    """A user who may not do what an election needs is told which subject it is, at once."""
    users = [
        {"user": "admin", "password": "pw"},
        {"user": "app", "password": "pw", "permissions": {"publish": {"deny": [subject]}}},
    ]
    server = private_server(accounts={"A": {"jetstream": "enabled", "users": users}})
    admin, app = [
        await connecting(Connection(server=server.url, user=user, password="pw")) for user in ("admin", "app")
    ]
    await provision(admin)
    async with asyncio.timeout(SOON):
        with pytest.raises(DecisionNeeded, match="may not publish") as refusal:
            await Registry(app).leadership("billing", ttl=LONG).__aenter__()
    assert subject.rstrip(">").lower() in str(refusal.value).lower()


@pytest.mark.parametrize("release", VERSIONS[-1:])
async def test_a_stopped_server_ends_the_lease_in_time(
    private_server: Callable[..., Embedded], connecting: Connect
) -> None:
    """A leader that cannot renew its lease is stopped before somebody else can have it."""
    server = private_server()
    client = await connecting(Connection(server=server.url))
    await provision(client)
    candidate = Candidate(client, ttl=2)
    lease = await candidate.leads()
    server.kill()
    async with asyncio.timeout(SOON):
        with pytest.raises(LeadershipLost):
            await candidate.task

    assert not lease.held


async def test_a_lease_outlives_a_restart(
    private_server: Callable[..., Embedded], connecting: Connect, eventually: Eventually
) -> None:
    """A leader leads on if its server is back before the lease is over; and who waited waits on."""
    server = private_server()
    first, second = [await connecting(Connection(server=server.url)) for _ in range(2)]
    await provision(first)
    leader = Candidate(first, ttl=LONG)
    lease = await leader.leads()
    other = Candidate(second, ttl=LONG)
    await asyncio.sleep(0.3)  # until it waits
    before = await Registry(first).leader("billing")
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)

    async def renewed() -> bool:
        with contextlib.suppress(NotReady):
            now = await Registry(second).leader("billing")
            return bool(now and before and now.heard > before.heard and now.token == lease.token)
        return False

    await eventually(renewed, within=LONG)
    lease.check()
    assert not other.lease.done()
    await leader.goes()
    await other.leads()
    await other.goes()


async def test_who_waits_outlives_the_bucket(elections: Client) -> None:
    """When the bucket is deleted and made anew, one of those who waited leads."""
    first = Candidate(elections, ttl=1)
    await first.leads()
    second = Candidate(elections, ttl=1)
    await asyncio.sleep(0.3)  # until it waits
    await elections.request("$JS.API.STREAM.DELETE.KV_elections", b"")
    with pytest.raises(LeadershipLost):
        await first.task
    await provision(elections)
    await second.leads(within=30)
    await second.goes()
