"""The operator's verbs of the service registry, on real servers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import nats
import nats.aio.client
import pytest

from cli import Natsmith
from embedded import Embedded
from natsmith.actions.registry import Cleaned, clean
from natsmith.adapters.connections import Connection
from natsmith.registry import Registry, Status
from natsmith.registry.line import Line
from natsmith.registry.snapshot import Entries
from registering import entry, keys, make, put
from versions import VERSIONS
from waiting import Eventually

BUCKET = "service_registry"
SERVICES = 8

newest = pytest.mark.parametrize("release", VERSIONS[-1:])
oldest_and_newest = pytest.mark.parametrize("release", [VERSIONS[0], VERSIONS[-1]])


# -- list


@oldest_and_newest
async def test_a_list_shows_what_is_fresh_and_what_is_not_understood_and_who_leads(
    natsmith: Natsmith, nats_connection: nats.aio.client.Client
) -> None:
    await make(nats_connection, ttl=30)
    await make(nats_connection, name="elections", allow_msg_ttl=True, ttl=0)
    await put(nats_connection, "broken.x", b"no JSON")
    await put(nats_connection, "list.x", [1])
    await put(nats_connection, "huge.x", b"x" * 2**20)
    await put(nats_connection, "older", {"service_name": "stock", "id": "7", "status": "UP"})
    await put(nats_connection, "escape.x", {"service": "red\x1b[31m", "instance_id": "x"})
    async with (
        Registry(nats_connection) as registry,
        registry.instance("payments", id="a"),
        registry.leadership("nightly", id="a") as lease,
    ):
        listed = await natsmith("registry", "list")
        document = json.loads((await natsmith("registry", "list", "--output", "json")).stdout)

    assert 0 == listed.code
    assert "it is not JSON" in listed.row("broken x")
    assert "a list and not an object" in listed.row("list x")
    assert "1048576 bytes, more than" in listed.row("huge x")
    assert listed.row("payments a").endswith("30 s by the bucket's TTL; fresh")
    assert "fresh" in listed.row("stock 7")
    assert "\x1b" not in listed.stdout
    assert f"a lease of 10 s; token {lease.token}" in listed.row("leader of nightly: a")
    assert listed.last.startswith("6 entries of 3 services: 3 fresh, 3 not understood. 1 leader.")
    assert (6, 1) == (len(document["entries"]), len(document["leaders"]))
    assert lease.token == document["leaders"][0]["token"]


@newest
async def test_a_list_shows_what_readers_hide(
    natsmith: Natsmith, nats_connection: nats.aio.client.Client, eventually: Eventually
) -> None:
    """An entry that is stale, and that the server keeps."""
    await make(nats_connection, ttl=0)
    await put(nats_connection, "dead.x", entry(ttl=1))

    async def stale() -> bool:
        return "stale since" in (await natsmith("registry", "list")).row("dead x")

    await eventually(stale, within=60)
    listed = await natsmith("registry", "list")

    assert "1 s by its age alone: the server keeps it" in listed.row("dead x")
    assert "`natsmith registry clean --dry-run`" in listed.last


@newest
async def test_an_empty_bucket_and_one_that_is_missing(
    natsmith: Natsmith, nats_connection: nats.aio.client.Client
) -> None:
    missing = await natsmith("registry", "list", "--output", "json")
    await make(nats_connection, ttl=30)
    empty = await natsmith("registry", "list")

    assert (3, "registry list") == (missing.code, json.loads(missing.stdout)["command"])
    assert "there is no bucket service_registry: provision it" in missing.stderr
    assert (0, "Bucket service_registry has no entry.") == (empty.code, empty.last)


@newest
async def test_a_name_that_is_none_is_refused(natsmith: Natsmith) -> None:
    assert 2 == (await natsmith("registry", "list", "--bucket", "a.b")).code
    assert 2 == (await natsmith("registry", "list", "--elections", "*")).code


@newest
@pytest.mark.parametrize("verb", ["list", "watch", "clean", "doctor"])
async def test_the_bucket_of_elections_is_no_registry(natsmith: Natsmith, verb: str) -> None:
    refused = await natsmith("registry", verb, "--bucket", "elections")

    assert 2 == refused.code
    assert "--bucket names the one where services register" in refused.stderr


# -- clean


@oldest_and_newest
async def test_a_clean_removes_what_is_dead_and_nothing_else(
    natsmith: Natsmith, nats_connection: nats.aio.client.Client, eventually: Eventually
) -> None:
    """A dry run says all of it before, and removes nothing."""
    await make(nats_connection, allow_msg_ttl=True, ttl=0)
    await put(nats_connection, "dead.x", entry(ttl=1))
    await put(nats_connection, "off.x", entry("shutdown"))
    await put(nats_connection, "broken.x", b"?")
    async with Registry(nats_connection) as registry, registry.instance("payments", id="a") as presence:
        await presence.unhealthy()

        async def judged() -> bool:
            return "dead x" in (await natsmith("registry", "clean", "--dry-run")).stdout

        await eventually(judged, within=60)
        dry = await natsmith("registry", "clean", "--dry-run")
        untouched = await keys(nats_connection)
        done = await natsmith("registry", "clean")
        left = await keys(nats_connection)
        again = await natsmith("registry", "clean")

    assert dry.row("dead x").endswith("s; no TTL: the server would keep it for ever; would go")
    assert "off x: shut down; would go" == dry.row("off x")
    assert "broken x: not understood: it is not JSON; left alone" == dry.row("broken x")
    assert "Nothing was removed: run `natsmith registry clean`." in dry.last
    assert {"dead.x", "off.x", "broken.x", "payments.a"} == untouched
    assert (0, "off x: shut down; removed") == (done.code, done.row("off x"))
    assert done.last.startswith("2 of 4 entries removed. 1 not understood, left alone")
    assert {"broken.x", "payments.a"} == left
    assert (0, True) == (again.code, again.last.startswith("Nothing to clean: 2 entries."))


@newest
async def test_what_is_not_understood_goes_when_it_is_asked_for(nats_connection: nats.aio.client.Client) -> None:
    """Stale it has to be all the same: a newer natsmith may have written it."""
    await make(nats_connection, allow_msg_ttl=True, ttl=0)
    await put(nats_connection, "broken.x", b"?")
    line = Line(nats_connection)
    async with Entries(line, BUCKET, timeout=10) as entries:
        judged, now, bucket = entries.all(), entries.now(), entries.bucket

    young = await clean(line, bucket, judged, now, unread=True, dry_run=False)
    unasked = await clean(line, bucket, judged, now + 60, unread=False, dry_run=False)
    [asked] = await clean(line, bucket, judged, now + 60, unread=True, dry_run=False)

    assert ([], [], "removed") == (young, unasked, asked.fate)
    assert set() == await keys(nats_connection)


@oldest_and_newest
async def test_an_entry_that_is_refreshed_meanwhile_stays(nats_connection: nats.aio.client.Client) -> None:
    await make(nats_connection, allow_msg_ttl=True, ttl=0)
    await put(nats_connection, "off.x", entry("shutdown"))
    line = Line(nats_connection)
    async with Entries(line, BUCKET, timeout=10) as entries:
        judged, now, bucket = entries.all(), entries.now(), entries.bucket
    await put(nats_connection, "off.x", entry())

    [cleaned] = await clean(line, bucket, judged, now, unread=False, dry_run=False)

    assert "stays" == cleaned.fate
    assert {"off.x"} == await keys(nats_connection)


@oldest_and_newest
async def test_no_clean_removes_a_live_entry(nats_connection: nats.aio.client.Client, connection: Connection) -> None:
    """Entries that die and come back in each moment, and two that clean again and again."""
    await make(nats_connection, allow_msg_ttl=True, ttl=0)
    fates: list[str] = []
    ended = asyncio.Event()

    async def cleaner() -> None:
        client = await nats.connect(connection.server, user=connection.user, password=connection.password)
        try:
            line = Line(client)
            while not ended.is_set():
                async with Entries(line, BUCKET, timeout=60) as entries:
                    judged, now, bucket = entries.all(), entries.now(), entries.bucket
                done: list[Cleaned] = await clean(line, bucket, judged, now, unread=True, dry_run=False)
                fates.extend(each.fate for each in done)
        finally:
            await client.close()

    async def service(number: int) -> None:
        key = f"s.{number}"
        line = Line(nats_connection)
        bucket = await line.bucket(BUCKET)
        try:
            while not ended.is_set():
                await put(nats_connection, key, entry("shutdown"))
                await asyncio.sleep(number / 500)
                alive = await put(nats_connection, key, entry())
                for _ in range(2):
                    last = await line.last(bucket, key)
                    assert last is not None, f"{key} was removed though it lives"
                    assert (alive, False) == (last.revision, last.deleted)
        finally:
            ended.set()

    async with Registry(nats_connection) as registry, registry.instance("payments", id="a") as presence:
        async with asyncio.timeout(300), asyncio.TaskGroup() as group:
            for number in range(SERVICES):
                group.create_task(service(number))
            for _ in range(2):
                group.create_task(cleaner())
            while not {"removed", "stays"} <= set(fates) or len(fates) < 300:
                await presence.say(status=Status.UNHEALTHY)
                await asyncio.sleep(0.05)
            ended.set()
        assert {"payments.a", *(f"s.{number}" for number in range(SERVICES))} == await keys(nats_connection)


# -- rights


@newest
@pytest.mark.parametrize(
    ("denied", "listed", "cleaned", "doctor", "says"),
    [
        (f"$KV.{BUCKET}.>", 0, 3, 0, "careful expiry: not measured: the user of this connection may not publish on"),
        ("$JS.API.CONSUMER.CREATE.>", 3, 3, 4, "bad entries: they cannot be read: the user of this connection may not"),
        ("$JS.API.STREAM.MSG.GET.>", 0, 0, 0, "careful expiry: not measured: the user of this connection may not"),
    ],
)
async def test_a_right_that_is_missing_is_named(
    tmp_path: Path,
    private_server: Callable[..., Embedded],
    denied: str,
    listed: int,
    cleaned: int,
    doctor: int,
    says: str,
) -> None:
    """The rest is answered all the same."""
    users = [
        {"user": "all", "password": "pw"},
        {"user": "less", "password": "pw", "permissions": {"publish": {"deny": [denied]}}},
    ]
    server = private_server(accounts={"A": {"jetstream": "enabled", "users": users}})
    client = await nats.connect(server.url, user="all", password="pw")
    await make(client, ttl=6)
    await make(client, name="elections", allow_msg_ttl=True, ttl=0)
    natsmith = Natsmith(tmp_path, Connection(server=server.url, user="less", password="pw"))
    async with Registry(client) as registry, registry.instance("payments", id="a") as presence:
        await presence.say(status=Status.SHUTDOWN)
        codes = [(await natsmith("registry", verb)).code for verb in ("list", "clean")]
        seen = await natsmith("registry", "doctor")
    await client.close()

    assert [listed, cleaned, doctor] == [*codes, seen.code], seen.text
    assert says in seen.stdout
