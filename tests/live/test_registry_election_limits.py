"""Where no leader can be elected, and what becomes of one without its server: on real servers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from nats.aio.client import Client

import electing
from electing import LONG, SOON, Candidate, provision
from embedded import Embedded
from natsmith.adapters.connections import Connection
from natsmith.registry import DecisionNeeded, Leadership, LeadershipLost, NotReady, Registry, WrongValues
from versions import VERSIONS, Connecting, Servers
from waiting import Eventually


async def test_who_waits_on_a_closed_connection_is_told(servers: Servers, newest: str, connecting: Connecting) -> None:
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
        async with Registry(newest_client) as registry, registry.leadership("billing", ttl=2):
            pass

    assert "profile election" in str(refusal.value)


async def test_a_missing_bucket_is_refused(newest_client: Client) -> None:
    """Without a bucket nobody waits."""
    with pytest.raises(DecisionNeeded, match="no bucket elections: provision it"):
        async with Registry(newest_client) as registry, registry.leadership("billing"):
            pass


@pytest.mark.parametrize("ttl", [0, -1, 1.5, True, "5"])
def test_a_ttl_that_the_server_does_not_know_is_refused(ttl: Any) -> None:
    """A lease is whole seconds."""
    with pytest.raises(WrongValues, match="whole seconds"):
        Leadership(None, "elections", "billing", id="", ttl=ttl)  # type: ignore[arg-type]  # it is not looked at


@pytest.mark.parametrize("id", [None, 5, {"a": 1}, "x" * 129, "a\nb"])
def test_who_cannot_be_named_does_not_lead(id: Any) -> None:
    """An id is what others get to read."""
    with pytest.raises(WrongValues, match="cannot tell who leads: use a text of up to 128 characters"):
        Leadership(None, "elections", "billing", id=id, ttl=1)  # type: ignore[arg-type]  # it is not looked at


def test_a_lease_so_long_that_a_dead_leader_stops_the_work_is_refused() -> None:
    """A lease is renewed, so that nobody needs a long one."""
    with pytest.raises(WrongValues, match="must be 3600 s at most: when a leader dies, nobody leads for that long"):
        Leadership(None, "elections", "billing", id="", ttl=3601)  # type: ignore[arg-type]  # it is not looked at


DENIED = (
    "$JS.API.STREAM.INFO.KV_elections",
    "$JS.API.CONSUMER.CREATE.>",
    "$JS.API.STREAM.MSG.GET.KV_elections",
    "$KV.elections.>",
)


@pytest.mark.parametrize("subject", DENIED)
@pytest.mark.parametrize("release", VERSIONS[-1:])
async def test_a_missing_right_is_named(
    private_server: Callable[..., Embedded], connecting: Connecting, subject: str
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
            async with Registry(app) as registry, registry.leadership("billing", ttl=LONG):
                pass
    assert subject.rstrip(">").lower() in str(refusal.value).lower()


@pytest.mark.parametrize("release", VERSIONS[-1:])
async def test_a_stopped_server_ends_the_lease_in_time(
    private_server: Callable[..., Embedded], connecting: Connecting
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
    private_server: Callable[..., Embedded], connecting: Connecting, eventually: Eventually
) -> None:
    """A leader leads on if its server is back before the lease is over; and who waited waits on."""
    server = private_server()
    first, second = [await connecting(Connection(server=server.url)) for _ in range(2)]
    await provision(first)
    leader = Candidate(first, ttl=LONG)
    lease = await leader.leads()
    other = Candidate(second, ttl=LONG)
    await asyncio.sleep(0.3)  # until it waits
    before = await electing.leader(first)
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)

    async def renewed() -> bool:
        with contextlib.suppress(NotReady):
            now = await electing.leader(second)
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
