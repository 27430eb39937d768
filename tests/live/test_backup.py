"""What a server has is in a directory, and comes back as it was: every message, and where every consumer stands."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import stat
import tarfile
from pathlib import Path

import pytest

from bringing import furnish, names, positions
from cli import Natsmith
from natsmith.actions import lease, state
from natsmith.adapters.jetstream import connect
from natsmith.log import Log
from natsmith.model.outcome import Holder
from versions import VERSIONS, Hands, Servers
from waiting import eventually

KINDS = ("EMPTY", "INT", "KV_b", "LOG", "MIR", "OBJ_o", "PURGED", "SEALED", "WQ")
NEWEST = VERSIONS[-1]


@pytest.mark.parametrize("release", VERSIONS)
async def test_everything_comes_back_as_it_was(servers: Servers, tmp_path: Path, hands: Hands, release: str) -> None:
    there, here = servers.fresh(release), servers.fresh(release)
    one, other = await hands(there), await hands(here)
    await furnish(one)
    stood = {name: await positions(there, name) for name in KINDS}
    ran = await Natsmith(tmp_path, there)("backup", "b", "--output", "json")
    assert 0 == ran.code, ran.text
    told = json.loads(ran.stdout)
    assert "backup" == told["kind"]
    assert dict.fromkeys(KINDS, "backed up") == {
        each["stream"]: each["fate"] for each in told["accounts"][0]["streams"]
    }

    natsmith = Natsmith(tmp_path, here)
    ran = await natsmith("restore", "b", "--output", "json")
    assert 0 == ran.code, ran.text
    for name in KINDS:
        assert await one.messages(name) == await other.messages(name), name
        assert stood[name] == await positions(here, name), name
        theirs, ours = [(await each.api(f"STREAM.INFO.{name}"))["state"] for each in (one, other)]
        assert theirs["last_seq"] == ours["last_seq"], name

    # What is there goes on: consumers hand out what they had before them, mirrors copy.
    pulled = await other.js.pull_subscribe_bind("pulls", stream="INT")
    assert [*range(11, 31)] == [each.metadata.sequence.stream for each in await pulled.fetch(20, timeout=5)]
    await other.write("log.a", 1)

    async def copied() -> bool:
        return bool((await other.api("STREAM.INFO.MIR"))["state"]["last_seq"] == 301)

    await eventually(copied, within=15)
    again = await natsmith("restore", "b")
    assert 0 == again.code, again.text
    assert "0 streams restored, 9 restored before, 0 left." == again.last
    assert 301 == (await other.api("STREAM.INFO.LOG"))["state"]["last_seq"]


async def test_nobody_else_reads_it(servers: Servers, tmp_path: Path, hands: Hands) -> None:
    there = servers.fresh(NEWEST)
    await (await hands(there)).stream("S", subjects=["s"])
    ran = await Natsmith(tmp_path, there)("backup", "deep/b")
    assert 0 == ran.code, ran.text
    found = sorted((tmp_path / "deep" / "b").rglob("*"))
    assert ["backup.json", "natsmith.json", "stream.tar.s2"] == sorted(each.name for each in found if each.is_file())
    assert {0o600} == {stat.S_IMODE(each.stat().st_mode) for each in found if each.is_file()}
    assert {0o700} == {stat.S_IMODE(each.stat().st_mode) for each in found if each.is_dir()}


async def test_what_is_written_meanwhile_does_not_spoil_it(servers: Servers, tmp_path: Path, hands: Hands) -> None:
    """A backup is made while everything goes on: it has what was there when it began, and perhaps more."""
    there, here = servers.fresh(NEWEST), servers.fresh(NEWEST)
    one, other = await hands(there), await hands(here)
    await one.stream("S", subjects=["s.>"], max_msgs_per_subject=50)
    await one.consumer("S", "c")
    await one.write("s.big", 40, os.urandom(500_000))
    pulled = await one.js.pull_subscribe_bind("c", stream="S")

    async def goes_on() -> None:
        while True:
            await one.write("s.a", 5)
            for each in await pulled.fetch(3, timeout=5):
                await each.ack_sync()
            await one.api("STREAM.PURGE.S", {"filter": "s.a", "keep": 3})

    going = asyncio.create_task(goes_on())
    try:
        ran = await Natsmith(tmp_path, there)("backup", "b")
    finally:
        going.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await going
    assert 0 == ran.code, ran.text
    ran = await Natsmith(tmp_path, here)("restore", "b")
    assert 0 == ran.code, ran.text
    big = [each for each in await one.messages("S") if each["subject"] == "s.big"]
    assert big == [each for each in await other.messages("S") if each["subject"] == "s.big"]
    assert 1 == len(await positions(here, "S"))


async def test_what_is_there_is_never_written_over(servers: Servers, tmp_path: Path, hands: Hands) -> None:
    """Neither another stream of that name, nor the same one of another backup; all of them are told at once."""
    there, here = servers.fresh(NEWEST), servers.fresh(NEWEST)
    one, other = await hands(there), await hands(here)
    for name in ("S", "T", "U"):
        await one.stream(name, subjects=[name])
        await one.write(name, 3)
    before, natsmith = Natsmith(tmp_path, there), Natsmith(tmp_path, here)
    assert 0 == (await before("backup", "monday")).code
    await one.write("S", 1)
    assert 0 == (await before("backup", "tuesday")).code
    await other.stream("T", subjects=["T"])
    await other.write("T", 2)
    ran = await natsmith("restore", "monday", "--leave", "T", "--leave", "U")
    assert 0 == ran.code, ran.text

    ran = await natsmith("restore", "tuesday")
    assert 3 == ran.code, ran.text
    assert "stream S is at tuesday/A" in ran.stderr
    assert "with 2 messages (1 to 2): neither is written over" in ran.stderr
    assert ["S", "T"] == await names(other)
    ran = await natsmith("restore", "tuesday", "--leave", "S", "--leave", "T")
    assert 0 == ran.code, ran.text
    assert "1 stream restored, 0 restored before, 2 left: S (as asked), T (as asked)." == ran.last
    assert [3, 2] == [(await other.api(f"STREAM.INFO.{name}"))["state"]["messages"] for name in ("S", "T")]


async def test_a_damaged_one_is_refused_before_anything_is_sent(servers: Servers, tmp_path: Path, hands: Hands) -> None:
    there, here = servers.fresh(NEWEST), servers.fresh(NEWEST)
    one, other = await hands(there), await hands(here)
    for name in ("CUT", "FLIPPED", "GONE", "KEPT", "TOLD", "WAY"):
        await one.stream(name, subjects=[name])
        await one.write(name, 30)
    assert 0 == (await Natsmith(tmp_path, there)("backup", "b")).code
    [account] = [each for each in (tmp_path / "b").iterdir() if each.is_dir()]
    cut, flipped = account / "CUT" / "stream.tar.s2", account / "FLIPPED" / "stream.tar.s2"
    cut.write_bytes(cut.read_bytes()[:-1])
    data = bytearray(flipped.read_bytes())
    data[len(data) // 2] ^= 1
    flipped.write_bytes(data)
    (account / "GONE" / "stream.tar.s2").unlink()
    told = account / "TOLD" / "backup.json"
    told.write_text(told.read_text().replace('"TOLD"', '"OTHER"'))
    (account / "WAY" / "backup.json").unlink()
    ran = await Natsmith(tmp_path, here)("restore", "b")
    assert 3 == ran.code, ran.text
    for name in ("CUT", "FLIPPED", "GONE", "TOLD", "WAY"):
        assert f"{account.name}/{name}/" in ran.stderr, ran.text
    assert 5 == ran.stderr.count("the backup is damaged") + ran.stderr.count("does not exist")
    assert [] == await names(other)
    ran = await Natsmith(tmp_path, here)("restore", "b", "--only", "KEPT")
    assert 0 == ran.code, ran.text
    assert ["KEPT"] == await names(other)


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.15, 0.3])
async def test_one_that_was_killed_is_no_backup_and_is_begun_anew(
    servers: Servers, tmp_path: Path, hands: Hands, seconds: float
) -> None:
    there, here = servers.fresh(NEWEST), servers.fresh(NEWEST)
    one, other = await hands(there), await hands(here)
    for name in ("A", "B", "C"):
        await one.stream(name, subjects=[name])
        await one.write(name, 300, os.urandom(100_000))
    natsmith = Natsmith(tmp_path, there)
    process = await natsmith.start("backup", "b")
    assert process.stderr
    await process.stderr.readline()  # it writes the first
    await asyncio.sleep(seconds)  # somewhere in the middle
    with contextlib.suppress(ProcessLookupError):  # it was faster
        process.kill()
    if not await process.wait():
        return
    ran = await Natsmith(tmp_path, here)("restore", "b")
    assert ran.code in (2, 3), ran.text
    assert [] == await names(other)
    ran = await natsmith("backup", "b")
    assert 0 == ran.code, ran.text
    ran = await Natsmith(tmp_path, here)("restore", "b")
    assert 0 == ran.code, ran.text
    for name in ("A", "B", "C"):
        assert await one.messages(name) == await other.messages(name)


@pytest.mark.parametrize("seconds", [0.02, 0.1, 0.2, 0.3])
async def test_a_restore_that_was_killed_is_gone_on_with(
    servers: Servers, tmp_path: Path, hands: Hands, seconds: float
) -> None:
    there, here = servers.fresh(NEWEST), servers.fresh(NEWEST)
    one, other = await hands(there), await hands(here)
    for name in ("A", "B", "C"):
        await one.stream(name, subjects=[name])
        await one.write(name, 300, os.urandom(100_000))
    assert 0 == (await Natsmith(tmp_path, there)("backup", "b")).code
    natsmith = Natsmith(tmp_path, here)
    process = await natsmith.start("restore", "b")
    assert process.stderr
    await process.stderr.readline()
    await asyncio.sleep(seconds)
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
    ran = await natsmith("restore", "b")  # waits for the lock of the dead one
    assert 0 == ran.code, ran.text
    for name in ("A", "B", "C"):
        assert await one.messages(name) == await other.messages(name)


@pytest.mark.parametrize("verb", ["bring", "restore"])
async def test_two_at_once_do_not_spoil_each_other(servers: Servers, tmp_path: Path, hands: Hands, verb: str) -> None:
    """One waits for the lock, and finds what the other has done."""
    there, here = servers.fresh(VERSIONS[-2]), servers.fresh(NEWEST)
    one, other = await hands(there), await hands(here)
    before = Natsmith(tmp_path, there)
    before.write("v.json", '{"buckets": {"k": {}}}')
    # natsmith's own notes, in which the lock is, come along themselves.
    assert 0 == (await before("apply", "-f", "v.json")).code
    for name in ("A", "B", "C", "D"):
        await one.stream(name, subjects=[name])
        await one.write(name, 200, os.urandom(100_000))
    assert 0 == (await before("backup", "b")).code
    former = there.server.replace("://", f"://{there.user}:{there.password}@")
    words = ("restore", "b") if verb == "restore" else ("bring", "--from", former)
    natsmith = Natsmith(tmp_path, here)
    ran = await asyncio.gather(*(natsmith(*words, "--output", "json") for _ in range(3)))
    assert [0, 0, 0] == [each.code for each in ran], "\n\n".join(each.text for each in ran)
    fates = [{row["stream"]: row["fate"] for row in json.loads(each.stdout)["accounts"][0]["streams"]} for each in ran]
    for name in ("A", "B", "C", "D"):
        assert ["there", "there"] == sorted(fate[name] for fate in fates)[1:], fates
        assert await one.messages(name) == await other.messages(name)


async def test_one_tar_goes_out_and_comes_back(servers: Servers, tmp_path: Path, hands: Hands) -> None:
    """As `kubectl exec` carries it; one that was cut, or has more in it, is none."""
    there, here = servers.fresh(NEWEST), servers.fresh(NEWEST)
    one, other = await hands(there), await hands(here)
    await furnish(one)
    spool = tmp_path / "spool"
    spool.mkdir()
    before, natsmith = Natsmith(tmp_path, there, {"TMPDIR": str(spool)}), Natsmith(tmp_path, here)
    process = await before.start("backup", "-")
    data, said = await asyncio.wait_for(process.communicate(), 60)
    assert 0 == process.returncode, said.decode()
    assert "9 streams backed up, 0 left." in said.decode()
    assert [] == list(spool.iterdir())

    with Path("/dev/full").open("wb") as full:  # noqa: ASYNC230
        process = await before.start("backup", "-", stdout=full)
        _, said = await asyncio.wait_for(process.communicate(), 60)
    assert 3 == process.returncode, said.decode()
    assert "does not fit into standard output: No space left on device" in said.decode()
    reads, writes = os.pipe()
    with os.fdopen(writes, "wb") as pipe:
        process = await before.start("backup", "-", stdout=pipe)
    os.close(reads)
    _, said = await asyncio.wait_for(process.communicate(), 60)
    assert 1 == process.returncode, said.decode()
    assert "standard output was closed before the backup was whole" in said.decode()
    assert [] == list(spool.iterdir())

    async def restored(given: bytes) -> tuple[int, str]:
        (tmp_path / "in.tar").write_bytes(given)
        with (tmp_path / "in.tar").open("rb") as file:
            process = await natsmith.start("restore", "-", stdin=file)
            out, said = await asyncio.wait_for(process.communicate(), 60)
        return process.returncode or 0, (out + said).decode()

    more = io.BytesIO(data)
    with tarfile.open(fileobj=more, mode="a") as tar:
        tar.addfile(tarfile.TarInfo("../../outside"))
    for given in (data[: len(data) // 2], data[:-11000], b"", b"no tar" * 1000, more.getvalue()):
        code, text = await restored(given)
        assert 3 == code, text
        assert "standard input holds" in text
        assert "Traceback" not in text
        assert [] == await names(other)
    code, text = await restored(data)
    assert 0 == code, text
    for name in KINDS:
        assert await one.messages(name) == await other.messages(name), name


@pytest.mark.parametrize("release", VERSIONS)
async def test_what_is_in_memory_is_told(servers: Servers, tmp_path: Path, hands: Hands, release: str) -> None:
    """Before 2.15 a server cannot write it down: all else is backed up, and the exit code says so, unless it is meant."""
    there, here = servers.fresh(release), servers.fresh(release)
    one, other = await hands(there), await hands(here)
    await one.stream("CACHE", subjects=["c"], storage="memory")
    await one.stream("S", subjects=["s"])
    await one.write("c", 3)
    can = release == NEWEST
    natsmith = Natsmith(tmp_path, there)
    ran = await natsmith("backup", "b")
    assert (0 if can else 3) == ran.code, ran.text
    assert ("backed up CACHE: 3 messages" if can else "left CACHE: it is in memory") in ran.stdout
    assert 0 == (await natsmith("backup", "c", "--leave", "CACHE")).code
    assert 0 == (await Natsmith(tmp_path, here)("restore", "b")).code
    assert (["CACHE", "S"] if can else ["S"]) == await names(other)


async def test_what_was_lost_alone_is_restored(servers: Servers, tmp_path: Path, hands: Hands) -> None:
    here = servers.fresh(NEWEST)
    one = await hands(here)
    for name in ("S", "T", "U"):
        await one.stream(name, subjects=[name])
        await one.write(name, 3)
    natsmith = Natsmith(tmp_path, here)
    assert 0 == (await natsmith("backup", "b")).code
    before = await one.messages("T")
    await one.api("STREAM.DELETE.T")
    await one.write("S", 1)
    ran = await natsmith("restore", "b", "--only", "T")
    assert (0, "1 stream restored, 0 restored before, 0 left.") == (ran.code, ran.last), ran.text
    assert before == await one.messages("T")
    assert 4 == (await one.api("STREAM.INFO.S"))["state"]["messages"]
    ran = await natsmith("restore", "b", "--only", "V")
    assert 2 == ran.code, ran.text
    assert "--only names V, but the backup has S, T, U" in ran.stderr


async def test_every_account_of_a_file_of_connections(servers: Servers, tmp_path: Path, hands: Hands) -> None:
    """All of them into one backup; back each into its own, or one of them into an account of another name."""
    places = [servers.fresh(NEWEST) for _ in range(3)]
    users = [{"user": each.user, "password": each.password} for each in places]
    natsmith = Natsmith(tmp_path, places[0])
    for name, count in (("both.json", 2), ("all.json", 3)):
        accounts = dict(zip([each.user for each in places[:count]], users, strict=False))
        natsmith.write(name, json.dumps({"server": places[0].server, "accounts": accounts}))
    for connection in places[:2]:
        hand = await hands(connection)
        await hand.stream("S", subjects=["s"])
        await hand.write("s", 2, connection.user.encode())
    ran = await natsmith("backup", "b", "--connections", "both.json", NATS_USER="", NATS_PASSWORD="")
    assert 0 == ran.code, ran.text
    assert f"backed up {places[1].user}/S" in ran.stdout
    held = [await (await hands(each)).messages("S") for each in places[:2]]
    for connection in places[:2]:
        await (await hands(connection)).api("STREAM.DELETE.S")
    ran = await natsmith("restore", "b")
    assert 2 == ran.code, ran.text
    assert f"the backup has the accounts {places[0].user}, {places[1].user}" in ran.stderr
    ran = await natsmith("restore", "b", "--connections", "all.json", NATS_USER="", NATS_PASSWORD="")
    assert 0 == ran.code, ran.text
    assert held == [await (await hands(each)).messages("S") for each in places[:2]]
    ran = await Natsmith(tmp_path, places[2])("restore", f"b/{places[1].user}")
    assert 0 == ran.code, ran.text
    assert held[1] == await (await hands(places[2])).messages("S")


async def test_a_run_that_changes_the_account_is_waited_for(servers: Servers, tmp_path: Path, hands: Hands) -> None:
    """What it moves is in two streams meanwhile."""
    there = servers.fresh(NEWEST)
    one = await hands(there)
    await one.stream("S", subjects=["s"])
    natsmith = Natsmith(tmp_path, there)
    async with await connect(there, timeout=10, log=Log()) as server:
        await state.ensure(server, 1)
        mine = Holder(owner="ns/release", who="a Job", since="now")
        async with lease.held(server, mine, log=Log(), timeout=5):
            ran = await natsmith("backup", "b", "--timeout", "1")
            assert 75 == ran.code, ran.text
            assert "ns/release (a Job, since now) changes the account" in ran.stderr
            process = await natsmith.start("backup", "b")
    assert 0 == await asyncio.wait_for(process.wait(), 30)


async def test_its_place_must_be_empty(servers: Servers, tmp_path: Path, hands: Hands) -> None:
    there = servers.fresh(NEWEST)
    await (await hands(there)).stream("S", subjects=["s"])
    natsmith = Natsmith(tmp_path, there)
    assert 0 == (await natsmith("backup", "b")).code
    (tmp_path / "file").write_text("x")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thing").write_text("x")
    for place, said in (
        ("b", "b holds a backup already"),
        ("other", "other holds thing already"),
        ("file", "file is a file or lies in one"),
        ("file/b", "file/b is a file or lies in one"),
        ("/proc/b", "cannot be written to /proc/b"),
    ):
        ran = await natsmith("backup", place)
        assert 2 == ran.code, ran.text
        assert said in ran.stderr, ran.text
    for place, said in (("nowhere", "does not exist"), ("file", "is a file"), ("other", "holds no backup")):
        ran = await natsmith("restore", place)
        assert 2 == ran.code, ran.text
        assert said in ran.stderr, ran.text
