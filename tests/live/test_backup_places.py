"""Where a backup comes from and goes to: three servers, one, a disk that is full, and a large one."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from bringing import Hand, Pair, names, pair, positions
from cli import Natsmith
from embedded import nats_server
from natsmith.adapters.connections import Connection
from versions import VERSIONS, Hands, Servers, binary
from waiting import eventually

NEWEST = VERSIONS[-1]
RIGHTS = ["$JS.API.INFO", "$JS.API.STREAM.INFO.*", "$JS.API.CONSUMER.LIST.*"]
BACKS_UP = [*RIGHTS, "$JS.API.STREAM.LIST", "$JS.API.STREAM.SNAPSHOT.*", "$JS.SNAPSHOT.ACK.>"]
RESTORES = [
    *RIGHTS,
    *("$JS.API.STREAM.RESTORE.*", "$JS.SNAPSHOT.RESTORE.*.*"),
    *("$JS.API.STREAM.CREATE.KV_natsmith_state", "$JS.API.STREAM.UPDATE.*", "$JS.API.STREAM.DELETE.*"),
    "$KV.natsmith_state.lock",
    *("$JS.API.STREAM.MSG.GET.KV_natsmith_state", "$JS.API.STREAM.PURGE.KV_natsmith_state"),
]
TIDY = ("$JS.API.STREAM.DELETE.*", "$JS.API.STREAM.MSG.GET.KV_natsmith_state", "$JS.API.STREAM.PURGE.KV_natsmith_state")
"""What is needed where another run was ended or is under way, and to give the lock back at once."""


@pytest.fixture(scope="module", params=[VERSIONS[0], NEWEST])
def both(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """One server and three, of the oldest version and of the newest."""
    with pair(request.param, request.param) as found:
        yield found


async def furnished(hand: Hand, replicas: int) -> None:
    """Make a stream and a bucket with a consumer in the middle."""
    await hand.stream("S", subjects=["s"], num_replicas=replicas)
    await hand.consumer("S", "c")
    await hand.write("s", 200, os.urandom(10_000))
    pulled = await hand.js.pull_subscribe_bind("c", stream="S")
    for each in await pulled.fetch(50):
        await each.ack_sync()
    await hand.stream("KV_b", subjects=["$KV.b.>"], max_msgs_per_subject=1, num_replicas=replicas)
    await hand.write("$KV.b.k", 3)


@pytest.mark.parametrize("way", ["three to one", "one to three", "three to three"])
async def test_replicas_are_as_many_as_there_are_servers(both: Pair, tmp_path: Path, hands: Hands, way: str) -> None:
    one, many = await both.fresh()
    _, others = await both.fresh()
    there, here = {"three to one": (many, one), "one to three": (one, many), "three to three": (many, others)}[way]
    source, target = await hands(there), await hands(here)
    has = 3 if way.startswith("three") else 1
    await furnished(source, has)
    stood = await positions(there, "S")
    assert 0 == (await Natsmith(tmp_path, there)("backup", "b")).code
    ran = await Natsmith(tmp_path, here)("restore", "b")
    assert 0 == ran.code, ran.text
    for name in ("S", "KV_b"):
        assert await source.messages(name) == await target.messages(name)
        gets = (await target.api(f"STREAM.INFO.{name}"))["config"]["num_replicas"]
        assert (1 if way.endswith("one") else has) == gets
    assert stood == await positions(here, "S")
    assert ("it has 1 replica, not 3" in ran.stdout) is (way == "three to one")


async def test_a_cluster_with_too_few_servers_gives_one_replica(both: Pair, tmp_path: Path, hands: Hands) -> None:
    """Of five, restored where there are three."""
    _, there = await both.fresh()
    _, here = await both.fresh()
    source, target = await hands(there), await hands(here)
    await furnished(source, 1)
    assert 0 == (await Natsmith(tmp_path, there)("backup", "b")).code
    [path] = (tmp_path / "b").glob("*/S/backup.json")
    [account] = [each for each in (tmp_path / "b").iterdir() if each.is_dir()]
    path.write_text(path.read_text().replace('"num_replicas": 1', '"num_replicas": 5'))
    ran = await Natsmith(tmp_path, here)("restore", f"b/{account.name}")
    assert 0 == ran.code, ran.text
    assert "it has 1 replica, not 5" in ran.stdout
    assert 1 == (await target.api("STREAM.INFO.S"))["config"]["num_replicas"]


async def test_a_full_disk_is_told_and_leaves_nothing(servers: Servers, tmp_path: Path, hands: Hands) -> None:
    there = servers.fresh(NEWEST)
    one = await hands(there)
    await one.stream("A", subjects=["a"])
    await one.stream("S", subjects=["s"])
    await one.write("s", 40, os.urandom(100_000))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Inherited by the run: no file of it gets larger than this, and it is told so instead of being ended.
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        ran = await Natsmith(tmp_path, there)("backup", "b")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert 3 == ran.code, ran.text
    assert "the backup does not fit into b: File too large" in ran.stderr
    assert [] == list((tmp_path / "b").iterdir())
    assert 0 == (await Natsmith(tmp_path, there)("backup", "b")).code


async def test_a_large_stream_needs_little_memory(servers: Servers, tmp_path: Path, hands: Hands) -> None:
    """Pieces go straight to the file, and from it."""
    there, here = servers.fresh(NEWEST), servers.fresh(NEWEST)
    one = await hands(there)
    await one.stream("S", subjects=["s"])
    for _ in range(4):
        await one.write("s", 100, os.urandom(700_000))
    peaks = []
    for connection, words in ((there, ("backup", "b")), (here, ("restore", "b"))):
        process = await Natsmith(tmp_path, connection).start(*words)
        drained = asyncio.create_task(process.communicate())
        peak = 0
        while not drained.done():
            try:
                status = Path(f"/proc/{process.pid}/status").read_text()  # noqa: ASYNC240
            except (FileNotFoundError, ProcessLookupError):
                break
            peak = max(peak, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)
            await asyncio.wait({drained}, timeout=0.02)
        await drained
        assert 0 == process.returncode
        peaks.append(peak // 1024)
    assert 0 < max(peaks) < 150, f"{peaks} MiB for 280 MB"


async def test_sources_are_never_doubled(servers: Servers, tmp_path: Path, hands: Hands) -> None:
    """2.15 would take what is restored for others than those it copied from."""
    for release in (VERSIONS[-2], NEWEST):
        there, here = servers.fresh(release), servers.fresh(release)
        one, other = await hands(there), await hands(here)
        await one.stream("LOG", subjects=["log"])
        await one.write("log", 20)
        await one.stream("SRC", sources=[{"name": "LOG"}])
        await eventually(partial(_holds, one, 20), within=15)
        before, natsmith = Natsmith(tmp_path, there), Natsmith(tmp_path, here)
        assert 0 == (await before("backup", release)).code
        ran = await natsmith("restore", release)
        if release == NEWEST:
            assert 3 == ran.code, ran.text
            assert "stream SRC has sources (LOG)" in ran.stderr
            assert [] == await names(other)
            ran = await natsmith("restore", release, "--leave", "SRC")
        assert 0 == ran.code, ran.text
        if release != NEWEST:
            await other.write("log", 1)
            await eventually(partial(_holds, other, 21), within=15)


async def _holds(hand: Hand, count: int) -> bool:
    return bool((await hand.api("STREAM.INFO.SRC"))["state"]["messages"] == count)


@pytest.mark.parametrize("lacking", [*BACKS_UP, ""])
async def test_rights_to_back_up(tmp_path: Path, hands: Hands, lacking: str) -> None:
    code, said = await _with(tmp_path, hands, [each for each in BACKS_UP if each != lacking], "backup")
    assert (code != 0) is bool(lacking), said
    assert lacking in said
    assert "grant that user publish" in said or not lacking


@pytest.mark.parametrize("lacking", [*(each for each in RESTORES if each not in TIDY), ""])
async def test_rights_to_restore(tmp_path: Path, hands: Hands, lacking: str) -> None:
    code, said = await _with(tmp_path, hands, [each for each in RESTORES if each != lacking], "restore")
    assert (code != 0) is bool(lacking), said
    assert lacking.removesuffix(".lock").split(".KV_")[0] in said


async def _with(home: Path, hands: Hands, allowed: list[str], verb: str) -> tuple[int, str]:
    """Return how a run of a user ended who may publish so, and what it said."""
    users = [{"user": "a", "password": "pw"}]
    users.append({"user": "p", "password": "pw", "permissions": {"publish": {"allow": allowed}}})  # type: ignore[dict-item]
    with nats_server(binary(NEWEST), {"accounts": {"A": {"jetstream": "enabled", "users": users}}}) as server:
        application = Connection(server=server.url, user="a", password="pw")
        hand = await hands(application)
        await hand.stream("S", subjects=["s"])
        await hand.consumer("S", "c")
        for _ in range(12):
            await hand.write("s", 2, os.urandom(500_000))
        if verb == "restore":
            assert 0 == (await Natsmith(home, application)("backup", "b")).code
            await hand.api("STREAM.DELETE.S")
        ran = await Natsmith(home, Connection(server=server.url, user="p", password="pw"))(verb, "b", "--timeout", "3")
        return ran.code, ran.text
