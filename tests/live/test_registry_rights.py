"""What a user has to be allowed to register, to read and to lead: exactly this, and an error names what is missing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import chart
from cli import Natsmith
from embedded import Embedded, nats_server
from installed import data
from natsmith.adapters.connections import Connection
from natsmith.errors import DecisionNeeded
from natsmith.registry import Registry
from registering import api, config, connected, make, put
from versions import VERSIONS, binary

PASSWORD = "pw"
INBOX = "_INBOX.>"


def reading(stream: str) -> list[str]:
    """Return what hears what happens in a bucket."""
    consumer = f"$JS.API.CONSUMER.CREATE.{stream}.*", f"$JS.API.CONSUMER.DELETE.{stream}.*"
    return [f"$JS.API.STREAM.INFO.{stream}", *consumer, f"$JS.FC.{stream}.>"]


FLOW = "$JS.FC.KV_service_registry.>"
REGISTRY, ELECTIONS = "KV_service_registry", "KV_elections"
ROLES = {
    "register": [
        *(f"$JS.API.STREAM.INFO.{REGISTRY}", f"$JS.API.STREAM.MSG.GET.{REGISTRY}"),
        "$KV.service_registry.payments.>",
    ],
    "read": reading(REGISTRY),
    "lead": [*reading(ELECTIONS), f"$JS.API.STREAM.MSG.GET.{ELECTIONS}", "$KV.elections.payments"],
}
POLITE = ("CONSUMER.DELETE", "$JS.FC.")
"""Without the first the server cleans up by itself, without the second it tells all at once and not in portions."""

MISSING = [
    (role, right)
    for role, rights in ROLES.items()
    for right in (*rights, INBOX)
    if not any(each in right for each in POLITE)
]


async def register(registry: Registry) -> None:
    async with registry.instance("payments", id="a") as own:
        await own.draining()


async def read(registry: Registry) -> None:
    assert 100 == len(await registry.instances("payments"))


async def lead(registry: Registry) -> None:
    async with registry.leadership("payments", ttl=2) as lease:
        lease.check()


DOES: dict[str, Callable[[Registry], Awaitable[None]]] = {"register": register, "read": read, "lead": lead}


def user(role: str, missing: str) -> dict[str, Any]:
    """Return a user who may do what a role needs, but for one thing."""
    allowed = {
        "publish": [each for each in ROLES[role] if each != missing],
        "subscribe": [each for each in (INBOX,) if each != missing] or ["nothing"],
    }
    return {"user": f"{role} {missing}", "password": PASSWORD, "permissions": allowed}


@pytest.fixture(scope="module")
def embedded() -> Iterator[Embedded]:
    """Run a server with a user for each role, and one for each right that is missing."""
    told = data(chart.render())["accounts"]["app"]["users"]
    [may] = [each["permissions"] for each in told if each["user"] == "provisioner-app"]
    provisioner = {"user": "provisioner", "password": PASSWORD, "permissions": may}
    users = [user(*each) for each in [*((role, "") for role in ROLES), *MISSING, ("read", FLOW)]]
    owner = {"user": "owner", "password": PASSWORD}
    account = {"jetstream": "enabled", "users": [owner, provisioner, *users]}
    with nats_server(binary(VERSIONS[-1]), {"accounts": {"A": account}}) as server:
        yield server


@pytest.fixture
async def prepared(embedded: Embedded) -> AsyncIterator[Embedded]:
    """Have both buckets, and as much in one that the server asks whether it arrives."""
    owner = await connected(Connection(server=embedded.url, user="owner", password=PASSWORD))
    await make(owner, ttl=0)
    for number in range(100):
        await put(owner, f"payments.{number}", b'{"v":1,"ttl":9999,"metadata":{"x":"%s"}}' % (b"x" * 60_000))
    await make(owner, name="elections", ttl=0, per_key=True)
    yield embedded
    for name in ("service_registry", "elections"):
        await api(owner, f"STREAM.DELETE.{config(name=name)['name']}")
    await owner.close()


@pytest.mark.parametrize("role", ROLES)
async def test_these_rights_are_enough(prepared: Embedded, role: str) -> None:
    errors: list[Exception] = []

    async def tell(error: Exception) -> None:
        errors.append(error)

    client = await connected(Connection(server=prepared.url, user=f"{role} ", password=PASSWORD), error_cb=tell)
    async with Registry(client) as registry:
        await DOES[role](registry)
    await client.flush()
    await client.close()

    assert [] == errors


async def test_what_a_provisioner_may_is_enough_to_look(prepared: Embedded, tmp_path: Path) -> None:
    """So that the toolbox can; a bucket of 6 MB is told in portions, which it may not acknowledge."""
    natsmith = Natsmith(tmp_path, Connection(server=prepared.url, user="provisioner", password=PASSWORD))
    for words in (["list"], ["watch", "--seconds", "1"], ["doctor", "--prove-seconds", "1"], ["clean", "--dry-run"]):
        seen = await natsmith("registry", *words, "--inbox-prefix", "_INBOX_natsmith")

        assert seen.code in (0, 4), seen.text  # the bucket has no TTL, which the doctor finds bad
        assert "cannot be read" not in seen.text


@pytest.mark.parametrize(("role", "missing"), MISSING)
async def test_a_right_that_is_missing_is_named_in_seconds(prepared: Embedded, role: str, missing: str) -> None:
    async def ignore(_: Exception) -> None:
        """Say nothing: that it is forbidden is what is looked for."""

    client = await connected(
        Connection(server=prepared.url, user=f"{role} {missing}", password=PASSWORD), error_cb=ignore
    )
    async with Registry(client) as registry:
        with pytest.raises(DecisionNeeded, match="may not") as found:
            async with asyncio.timeout(15):
                await DOES[role](registry)
    await client.close()

    assert missing.rstrip(">*.") in str(found.value)


async def test_a_reader_that_may_not_acknowledge_portions_is_told_all_without_them(prepared: Embedded) -> None:
    async def ignore(_: Exception) -> None:
        """Say nothing."""

    client = await connected(Connection(server=prepared.url, user=f"read {FLOW}", password=PASSWORD), error_cb=ignore)
    async with Registry(client) as registry:
        await read(registry)
    await client.close()
