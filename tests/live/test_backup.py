"""What a server has is in a directory, and comes back as it was: every message, and where every consumer stands."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import stat
from pathlib import Path

import pytest

from bringing import Hand, furnish, names, positions
from cli import Natsmith
from versions import VERSIONS, Hands, Servers
from waiting import eventually, over

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
    assert "0 streams restored, 9 restored before, 0 left out." == again.last
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
        await over(going)
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
    assert "1 stream restored, 0 restored before, 2 left out: S (as asked), T (as asked)." == ran.last
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


async def large(one: Hand) -> None:
    """Make three streams that take their time."""
    for name in ("A", "B", "C"):
        await one.stream(name, subjects=[name])
        await one.write(name, 300, os.urandom(100_000))


async def killed(natsmith: Natsmith, verb: str, seconds: float) -> int:
    """Kill a run some time after it began the first stream, and return how it ended."""
    process = await natsmith.start(verb, "b")
    assert process.stderr
    await process.stderr.readline()
    await asyncio.sleep(seconds)  # somewhere in the middle
    with contextlib.suppress(ProcessLookupError):  # it was faster
        process.kill()
    return await process.wait()


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.15, 0.3])
async def test_one_that_was_killed_is_no_backup_and_is_begun_anew(
    servers: Servers, tmp_path: Path, hands: Hands, seconds: float
) -> None:
    there, here = servers.fresh(NEWEST), servers.fresh(NEWEST)
    one, other = await hands(there), await hands(here)
    await large(one)
    natsmith = Natsmith(tmp_path, there)
    if (
        not await killed(natsmith, "backup", seconds) or (tmp_path / "b" / "natsmith.json").exists()
    ):  # it was whole by then
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
    await large(one)
    assert 0 == (await Natsmith(tmp_path, there)("backup", "b")).code
    natsmith = Natsmith(tmp_path, here)
    await killed(natsmith, "restore", seconds)
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
    words, done = (("restore", "b"), "restored") if verb == "restore" else (("bring", "--from", former), "brought")
    natsmith = Natsmith(tmp_path, here)
    ran = await asyncio.gather(*(natsmith(*words, "--output", "json") for _ in range(3)))
    assert [0, 0, 0] == [each.code for each in ran], "\n\n".join(each.text for each in ran)
    fates = [{row["stream"]: row["fate"] for row in json.loads(each.stdout)["accounts"][0]["streams"]} for each in ran]
    for name in ("A", "B", "C", "D"):
        assert sorted(["kept", "kept", done]) == sorted(fate[name] for fate in fates), fates
        assert await one.messages(name) == await other.messages(name)
