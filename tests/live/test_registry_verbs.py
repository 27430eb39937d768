"""The operator's verbs of the service registry, on real servers."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nats
import nats.aio.client
import pytest

from cli import Natsmith, Result
from embedded import Embedded
from natsmith.actions.registry import Cleaned, clean
from natsmith.adapters.connections import Connection
from natsmith.registry import Registry, Status
from natsmith.registry.line import Line
from natsmith.registry.snapshot import Entries
from versions import VERSIONS
from waiting import Eventually

BUCKET = "service_registry"
NANO = 10**9
SERVICES = 8

newest = pytest.mark.parametrize("release", VERSIONS[-1:])
oldest_and_newest = pytest.mark.parametrize("release", [VERSIONS[0], VERSIONS[-1]])


async def make(client: nats.aio.client.Client, name: str = BUCKET, *, ttl: float = 0, **settings: Any) -> None:
    """Make a bucket as somebody else might have."""
    config = {
        "name": f"KV_{name}",
        "subjects": [f"$KV.{name}.>"],
        "max_msgs_per_subject": 1,
        "max_age": int(ttl * NANO),
        "duplicate_window": int(min(ttl or 120, 120) * NANO),
        "discard": "new",
        "allow_rollup_hdrs": True,
        "allow_direct": True,
        **settings,
    }
    answer = await client.request(f"$JS.API.STREAM.CREATE.KV_{name}", json.dumps(config).encode())
    assert "error" not in json.loads(answer.data)


async def put(client: nats.aio.client.Client, key: str, said: Any, *, own: str = "") -> int:
    """Write an entry as somebody else might have, and return its revision."""
    payload = said if isinstance(said, bytes) else json.dumps(said).encode()
    answer = await client.request(f"$KV.{BUCKET}.{key}", payload, headers={"Nats-TTL": own} if own else None)
    return int(json.loads(answer.data)["seq"])


def entry(status: str = "healthy", ttl: int = 0) -> dict[str, Any]:
    return {"v": 1, "status": status, "ttl": ttl, "run": "r", "metadata": {}}


def row(result: Result, key: str) -> str:
    """Return what is said about an entry."""
    [line] = [each for each in result.stdout.splitlines() if each.startswith(key)]
    return line


async def keys(client: nats.aio.client.Client) -> set[str]:
    """Return the keys that are there, markers left out."""
    line = Line(client)
    async with Entries(line, BUCKET, timeout=10) as entries:
        return {each.key for each in entries.all()}


# -- list


@oldest_and_newest
async def test_a_list_shows_what_is_fresh_and_what_is_not_understood_and_who_leads(
    natsmith: Natsmith, nats_connection: nats.aio.client.Client
) -> None:
    await make(nats_connection, ttl=30)
    await make(nats_connection, "elections", allow_msg_ttl=True)
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
    assert "it is not JSON" in row(listed, "broken x")
    assert "a list and not an object" in row(listed, "list x")
    assert "1048576 bytes, more than" in row(listed, "huge x")
    assert row(listed, "payments a").endswith("30 s by the bucket's TTL; fresh")
    assert "fresh" in row(listed, "stock 7")
    assert "\x1b" not in listed.stdout
    assert f"a lease of 10 s; token {lease.token}" in row(listed, "leader of nightly: a")
    assert listed.last.startswith("6 entries of 3 services: 3 fresh, 3 not understood. 1 leader.")
    assert (6, 1) == (len(document["entries"]), len(document["leaders"]))
    assert lease.token == document["leaders"][0]["token"]


@newest
async def test_a_list_shows_what_readers_hide(
    natsmith: Natsmith, nats_connection: nats.aio.client.Client, eventually: Eventually
) -> None:
    """An entry that is stale, and that the server keeps."""
    await make(nats_connection)
    await put(nats_connection, "dead.x", entry(ttl=1))

    async def stale() -> bool:
        return "stale since" in row(await natsmith("registry", "list"), "dead x")

    await eventually(stale, within=60)
    listed = await natsmith("registry", "list")

    assert "1 s by its age alone: the server keeps it" in row(listed, "dead x")
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
    await make(nats_connection, allow_msg_ttl=True)
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

    assert row(dry, "dead x").endswith("s; no TTL: the server would keep it for ever; would go")
    assert "off x: shut down; would go" == row(dry, "off x")
    assert "broken x: not understood: it is not JSON; left alone" == row(dry, "broken x")
    assert "Nothing was removed: run `natsmith registry clean`." in dry.last
    assert {"dead.x", "off.x", "broken.x", "payments.a"} == untouched
    assert (0, "off x: shut down; removed") == (done.code, row(done, "off x"))
    assert done.last.startswith("2 of 4 entries removed. 1 not understood, left alone")
    assert {"broken.x", "payments.a"} == left
    assert (0, True) == (again.code, again.last.startswith("Nothing to clean: 2 entries."))


@newest
async def test_what_is_not_understood_goes_when_it_is_asked_for(nats_connection: nats.aio.client.Client) -> None:
    """Stale it has to be all the same: a newer natsmith may have written it."""
    await make(nats_connection, allow_msg_ttl=True)
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
    await make(nats_connection, allow_msg_ttl=True)
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
    await make(nats_connection, allow_msg_ttl=True)
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


# -- doctor


@oldest_and_newest
async def test_a_doctor_measures_that_entries_expire(
    natsmith: Natsmith, nats_connection: nats.aio.client.Client
) -> None:
    """While services live, so that their heartbeats are seen too; nobody takes the canary for one."""
    await make(nats_connection, ttl=4, max_msgs_per_subject=10)
    await make(nats_connection, "elections", allow_msg_ttl=True)
    heard: set[str] = set()

    async def watch(registry: Registry) -> None:
        async for change in registry.watch():
            heard.add(change.instance.service)

    async with Registry(nats_connection) as registry, registry.instance("payments", id="a"):
        watching = asyncio.create_task(watch(registry))
        seen = await natsmith("registry", "doctor", "--output", "json")
        watching.cancel()
    document = json.loads(seen.stdout)

    results = {each["about"]: each["result"] for each in document["findings"]}
    assert {"good"} == {results[each] for each in ("ttl", "history", "storage", "expiry", "elections")}, seen.text
    assert (4 if "bad" in results.values() else 0) == seen.code  # on a busy machine heartbeats may be late
    assert 4 == document["promisedSeconds"]
    assert 3 < document["measuredSeconds"]
    assert {"payments"} == heard
    assert set() == {each for each in await keys(nats_connection) if each.startswith("natsmith")}


@oldest_and_newest
async def test_a_doctor_measures_a_ttl_of_a_single_key_where_the_bucket_has_none(
    natsmith: Natsmith, nats_connection: nats.aio.client.Client
) -> None:
    await make(nats_connection, allow_msg_ttl=True)

    seen = await natsmith("registry", "doctor")

    assert 0 == seen.code, seen.text
    assert "promised are 2 s by a TTL of its own" in row(seen, "good expiry")
    assert "there is no bucket elections" in row(seen, "good elections")


@newest
async def test_a_doctor_names_what_never_expires(natsmith: Natsmith, nats_connection: nats.aio.client.Client) -> None:
    await make(nats_connection, storage="memory")
    await make(nats_connection, "elections", max_msgs_per_subject=5, allow_msg_ttl=True)
    await put(nats_connection, "older", {"service": "stock", "id": "7"})

    seen = await natsmith("registry", "doctor")

    assert 4 == seen.code
    assert "set buckets.service_registry.ttlSeconds to 30" in row(seen, "bad ttl")
    assert "in memory" in row(seen, "careful storage")
    assert "nothing expires in this bucket" in row(seen, "careful expiry")
    assert "it keeps 5 values of a key" in row(seen, "bad elections")
    assert "older has the shape of before natsmith" in row(seen, "careful entries")
    assert seen.last.startswith("Not as it should be: 2 findings")


@newest
async def test_a_doctor_asks_before_it_waits_long(natsmith: Natsmith, nats_connection: nats.aio.client.Client) -> None:
    await make(nats_connection, ttl=3600)

    seen = await natsmith("registry", "doctor")

    assert 0 == seen.code
    assert "--prove-seconds 3600 waits for it" in row(seen, "careful expiry")


@newest
async def test_a_doctor_of_a_bucket_that_is_missing(natsmith: Natsmith) -> None:
    seen = await natsmith("registry", "doctor", "--output", "json")
    [finding] = [each for each in json.loads(seen.stdout)["findings"] if each["about"] == "bucket"]

    assert 3 == seen.code
    assert "there is no bucket service_registry" == finding["text"]
    assert "provision it (values: buckets.service_registry, profile serviceRegistry)" == finding["cure"]


@newest
async def test_a_clock_that_is_wrong_changes_nothing_but_is_told(
    natsmith: Natsmith, nats_connection: nats.aio.client.Client, tmp_path: Path
) -> None:
    """Here it is an hour ahead; ages are by the server's."""
    ahead = tmp_path / "ahead"
    ahead.mkdir()
    shift = "import time\nright = time.time\ntime.time = lambda: right() + 3600\n"
    (ahead / "sitecustomize.py").write_text(shift)
    await make(nats_connection, ttl=30)
    async with Registry(nats_connection) as registry, registry.instance("payments", id="a"):
        listed = await natsmith("registry", "list", PYTHONPATH=str(ahead))
        cleaned = await natsmith("registry", "clean", PYTHONPATH=str(ahead))
        seen = await natsmith("registry", "doctor", "--prove-seconds", "1", PYTHONPATH=str(ahead))

    assert row(listed, "payments a").endswith("fresh")
    assert "Nothing to clean: 1 entry." == cleaned.last
    assert "3600 s ahead of the server's" in row(seen, "careful clock")


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
    await make(client, "elections", allow_msg_ttl=True)
    natsmith = Natsmith(tmp_path, Connection(server=server.url, user="less", password="pw"))
    async with Registry(client) as registry, registry.instance("payments", id="a") as presence:
        await presence.say(status=Status.SHUTDOWN)
        codes = [(await natsmith("registry", verb)).code for verb in ("list", "clean")]
        seen = await natsmith("registry", "doctor")
    await client.close()

    assert [listed, cleaned, doctor] == [*codes, seen.code], seen.text
    assert says in seen.stdout


# -- watch


@newest
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_watch_tells_what_happens_until_it_is_ended(
    natsmith: Natsmith, nats_connection: nats.aio.client.Client, number: signal.Signals
) -> None:
    # In a shell's background Ctrl-C is ignored, which a child inherits; one that is handled here it does not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    await make(nats_connection, ttl=30)
    async with Registry(nats_connection) as registry:
        async with registry.instance("payments", id="a") as presence:
            process = await natsmith.start("registry", "watch")
            assert process.stdout is not None
            joined = await process.stdout.readline()
            await presence.draining()
            changed = await process.stdout.readline()
        left = await process.stdout.readline()
    process.send_signal(number)
    rest, stderr = await asyncio.wait_for(process.communicate(), timeout=60)

    assert joined.decode().endswith("joined  payments a: healthy\n")
    assert changed.decode().endswith("changed payments a: draining\n")
    assert left.decode().endswith("left    payments a\n")
    assert (0, b"") == (process.returncode, stderr)
    assert rest.decode().endswith(": 1 joined, 1 changed, 1 left.\n")


@newest
async def test_a_watch_for_a_program_is_one_object_a_line(
    natsmith: Natsmith, nats_connection: nats.aio.client.Client
) -> None:
    missing = await natsmith("registry", "watch", "--output", "json")
    await make(nats_connection, ttl=30)
    async with Registry(nats_connection) as registry, registry.instance("payments", id="a"):
        done = await natsmith("registry", "watch", "--seconds", "1", "--output", "json")

    [error] = [json.loads(line) for line in missing.stdout.splitlines()]
    assert ("error", 3) == (error["kind"], missing.code)
    [change] = [json.loads(line) for line in done.stdout.splitlines()]
    assert (0, "joined", "payments") == (done.code, change["change"], change["instance"]["service"])


@newest
async def test_a_watch_that_nobody_reads_ends(natsmith: Natsmith, nats_connection: nats.aio.client.Client) -> None:
    await make(nats_connection, ttl=30)
    process = await natsmith.start("registry", "watch")
    assert process.stdout is not None
    process.stdout._transport.close()  # type: ignore[attr-defined]  # asyncio offers no other way to stop reading
    for number in itertools.count():
        await put(nats_connection, f"s.{number}", entry())
        if process.returncode is not None:
            break
        await asyncio.sleep(0.05)

    assert 0 == process.returncode


@newest
async def test_one_account_has_the_registry(natsmith: Natsmith, connection: Connection) -> None:
    one = {"server": connection.server, "user": connection.user, "password": connection.password}
    natsmith.write("connections.json", json.dumps({"accounts": {"a": one, "b": one}}))

    refused = await natsmith("registry", "list", "--connections", "connections.json", NATS_USER="", NATS_PASSWORD="")

    assert 2 == refused.code, refused.text
