"""A backup whose connection is lost, whose place another run wants, which is ended while it gets its name."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from dataclasses import replace
from pathlib import Path

import pytest

from cli import Natsmith
from slow import slow_link
from versions import VERSIONS, Hands, Servers
from waiting import Eventually

NEWEST = VERSIONS[-1]
LARGE = 12
"""Megabytes, which take six seconds on a slow link."""


def written(place: Path) -> int:
    """Return how many bytes have come."""
    return sum(each.stat().st_size for each in place.glob("natsmith.partial/*/*/stream.tar.s2"))


async def test_a_lost_connection_spoils_nothing(
    servers: Servers, tmp_path: Path, hands: Hands, eventually: Eventually, release: str
) -> None:
    """The stream that was on its way is begun again: a server may go on with what nobody hears."""
    there, here = servers.fresh(release), servers.fresh(release)
    one, other = await hands(there), await hands(here)
    await one.stream("S", subjects=["s"])
    for _ in range(LARGE * 2):
        await one.write("s", 1, os.urandom(500_000))

    async with slow_link(int(there.server.rpartition(":")[2])) as link:
        process = await Natsmith(tmp_path, replace(there, server=link.url)).start("backup", "b")

        async def half() -> bool:
            return written(tmp_path / "b") > LARGE * 500_000

        await eventually(half, within=60)
        link.cut()
        _, said = await asyncio.wait_for(process.communicate(), 120)

    assert 0 == process.returncode, said.decode()
    assert 2 == said.decode().count("back up stream=S"), said.decode()
    assert 0 == (await Natsmith(tmp_path, here)("restore", "b")).code
    assert await one.messages("S") == await other.messages("S")


async def test_who_comes_second_takes_nothing_from_the_first(
    servers: Servers, tmp_path: Path, hands: Hands, eventually: Eventually
) -> None:
    there, here = servers.fresh(NEWEST), servers.fresh(NEWEST)
    one, other = await hands(there), await hands(here)
    await one.stream("S", subjects=["s"])
    for _ in range(LARGE * 2):
        await one.write("s", 1, os.urandom(500_000))
    second = Natsmith(tmp_path, there)

    async with slow_link(int(there.server.rpartition(":")[2])) as link:
        process = await Natsmith(tmp_path, replace(there, server=link.url)).start("backup", "b")

        async def begun() -> bool:
            return written(tmp_path / "b") > 0

        await eventually(begun, within=60)
        refused = await second("backup", "b")
        _, said = await asyncio.wait_for(process.communicate(), 120)

    assert 2 == refused.code, refused.text
    assert "another natsmith backs up into b just now: name another directory" in refused.stderr
    assert 0 == process.returncode, said.decode()
    assert 0 == (await Natsmith(tmp_path, here)("restore", "b")).code
    assert await one.messages("S") == await other.messages("S")


async def test_one_that_was_ended_while_it_got_its_name_is_begun_anew(
    servers: Servers, tmp_path: Path, hands: Hands
) -> None:
    """Some accounts are where they belong by then, and the list is not."""
    there = servers.fresh(NEWEST)
    one = await hands(there)
    await one.stream("S", subjects=["s"])
    natsmith = Natsmith(tmp_path, there)
    assert 0 == (await natsmith("backup", "b")).code
    (tmp_path / "b" / "natsmith.partial").mkdir()
    (tmp_path / "b" / "natsmith.json").rename(tmp_path / "b" / "natsmith.partial" / "natsmith.json")

    assert "holds a backup that is not whole" in (await natsmith("restore", "b")).stderr
    again = await natsmith("backup", "b")
    assert 0 == again.code, again.text
    assert (tmp_path / "b" / "natsmith.json").exists()


async def test_what_is_not_asked_for_may_be_damaged(servers: Servers, tmp_path: Path, hands: Hands) -> None:
    """In a whole backup, and in a directory of one account, as the nats CLI writes it."""
    there = servers.fresh(NEWEST)
    one = await hands(there)
    for name in ("S", "T"):
        await one.stream(name, subjects=[name.lower()])
        await one.write(name.lower(), 3)
    assert 0 == (await Natsmith(tmp_path, there)("backup", "b")).code
    [account] = [each for each in (tmp_path / "b").iterdir() if each.is_dir()]
    (account / "T" / "stream.tar.s2").unlink()

    for place in ("b", str(account)):
        natsmith = Natsmith(tmp_path, servers.fresh(NEWEST))
        whole = await natsmith("restore", place)
        assert 3 == whole.code, whole.text
        assert "stream.tar.s2: it is not there" in whole.stderr
        restored = await natsmith("restore", place, "--only", "S")
        assert 0 == restored.code, restored.text


@pytest.mark.parametrize(
    ("words", "why"),
    [("backup - >&-", "standard output is closed"), ("restore - <&-", "standard input is closed")],
)
async def test_what_is_closed_is_told(tmp_path: Path, words: str, why: str) -> None:
    """What is opened next would have its number, such as the connection to the server."""
    program = Path(sys.executable).parent / "natsmith"
    process = await asyncio.create_subprocess_shell(f"exec {program} {words}", cwd=tmp_path, stderr=PIPE)
    _, said = await asyncio.wait_for(process.communicate(), 60)
    assert 2 == process.returncode, said.decode()
    assert why in said.decode()
