"""How a backup is asked for: as one tar, of several accounts, what was lost alone, into which place."""

from __future__ import annotations

import asyncio
import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from bringing import furnish, names
from cli import Natsmith
from natsmith.actions import lease, state
from natsmith.adapters.jetstream import connect
from natsmith.log import Log
from natsmith.model.outcome import Holder
from versions import VERSIONS, Hands, Servers

KINDS = ("EMPTY", "INT", "KV_b", "LOG", "MIR", "OBJ_o", "PURGED", "SEALED", "WQ")
NEWEST = VERSIONS[-1]


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
    assert "9 streams backed up, 0 left out." in said.decode()
    assert [] == list(spool.iterdir())

    with Path("/dev/full").open("wb") as full:  # noqa: ASYNC230
        process = await before.start("backup", "-", stdout=full)
        _, said = await asyncio.wait_for(process.communicate(), 60)
    assert 3 == process.returncode, said.decode()
    assert "does not fit into standard output: No space left on device. What has come there is no" in said.decode()
    assert "Nothing of it was kept" not in said.decode()
    assert 1 == said.decode().count("send it to a file where there is more")
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
    assert ("backed up CACHE: 3 messages" if can else "left out CACHE: it is in memory") in ran.stdout
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
    assert (0, "1 stream restored, 0 restored before, 0 left out.") == (ran.code, ran.last), ran.text
    assert before == await one.messages("T")
    assert 4 == (await one.api("STREAM.INFO.S"))["state"]["messages"]
    ran = await natsmith("restore", "b", "--only", "V")
    assert 2 == ran.code, ran.text
    assert "--only names V, but the backup has S, T, U" in ran.stderr


async def test_a_stream_to_leave_that_is_not_there_is_told(servers: Servers, tmp_path: Path, hands: Hands) -> None:
    """Refused before anything is restored; a backup is made all the same, since what is left may have gone."""
    there, here = servers.fresh(NEWEST), servers.fresh(NEWEST)
    one, other = await hands(there), await hands(here)
    for name in ("S", "T"):
        await one.stream(name, subjects=[name])
    ran = await Natsmith(tmp_path, there)("backup", "b", "--leave", "S", "--leave", "TT")
    assert 0 == ran.code, ran.text
    assert "warning: --leave names TT, but the server has S, T: name one of these" in ran.stderr
    assert "1 stream backed up, 1 left out: S (as asked)." == ran.last
    natsmith = Natsmith(tmp_path, here)
    ran = await natsmith("restore", "b", "--leave", "TT")
    assert 2 == ran.code, ran.text
    assert "--leave names TT, but the backup has T: name one of these" in ran.stderr
    assert [] == await names(other)
    assert 0 == (await natsmith("restore", "b", "--leave", "T")).code


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
    [account] = [each.name for each in (tmp_path / "b").iterdir() if each.is_dir()]
    (tmp_path / "b" / "natsmith.json").unlink()
    ran = await natsmith("restore", "b")
    assert 2 == ran.code, ran.text
    assert "b holds no whole backup: b/natsmith.json is not there" in ran.stderr
    assert f"natsmith restore b/{account}" in ran.stderr
