"""A backup that goes through a pipe and is told to end: soon, and without a trace of what it held."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from bringing import Hand, names
from cli import Natsmith
from natsmith.adapters.connections import Connection
from versions import VERSIONS, Hands, Servers
from waiting import eventually

NEWEST = VERSIONS[-1]
SOON = 5
ENDING = [signal.SIGTERM, signal.SIGHUP]


@contextmanager
def _done(number: signal.Signals, by: signal.Handlers) -> Iterator[None]:
    """Start runs that inherit what is done at a signal, whatever nohup or a shell chose for these tests."""
    before = signal.signal(number, by)
    try:
        yield
    finally:
        signal.signal(number, before)


@pytest.fixture(autouse=True)
def hung_up() -> Iterator[None]:
    """Have runs end with their terminal, also where these tests do not."""
    with _done(signal.SIGHUP, signal.SIG_DFL):
        yield


async def _there(place: Path) -> bool:
    return bool(os.listdir(place))


async def _filled(servers: Servers, hands: Hands, spool: Path) -> tuple[Connection, Hand]:
    os.mkdir(spool)
    there = servers.fresh(NEWEST)
    hand = await hands(there)
    for name in ("S", "T"):
        await hand.stream(name, subjects=[name])
        await hand.write(name, 10, os.urandom(100_000))
    return there, hand


async def _ended(process: asyncio.subprocess.Process, number: signal.Signals, spool: Path) -> None:
    """End a run, which says so and leaves nothing."""
    process.send_signal(number)
    try:
        _, said = await asyncio.wait_for(process.communicate(), SOON)
    except TimeoutError:
        process.kill()
        raise
    assert 1 == process.returncode, said.decode()
    assert "stopped by a signal" in said.decode()
    assert "Traceback" not in said.decode()
    assert [] == os.listdir(spool)


@pytest.mark.parametrize("number", ENDING)
async def test_a_restore_whose_tar_stalls(
    servers: Servers, tmp_path: Path, hands: Hands, number: signal.Signals
) -> None:
    there, hand = await _filled(servers, hands, spool := tmp_path / "spool")
    process = await Natsmith(tmp_path, there).start("backup", "-")
    data, _ = await process.communicate()
    for name in ("S", "T"):
        await hand.api(f"STREAM.DELETE.{name}")
    natsmith = Natsmith(tmp_path, there, {"TMPDIR": str(spool)})
    process = await natsmith.start("restore", "-", stdin=asyncio.subprocess.PIPE)
    assert process.stdin
    process.stdin.write(data[: len(data) // 2])
    await process.stdin.drain()
    await eventually(partial(_there, spool), within=20)
    process.send_signal(number)
    try:
        # Not by communicate(), which would end the tar.
        await asyncio.wait_for(process.wait(), SOON)
    except TimeoutError:
        process.kill()
        raise
    assert process.stderr
    said = (await process.stderr.read()).decode()
    assert 1 == process.returncode, said
    assert "stopped by a signal" in said
    assert [] == os.listdir(spool)
    assert [] == await names(hand)


@pytest.mark.parametrize("number", ENDING)
async def test_a_backup_whose_reader_stalls(
    servers: Servers, tmp_path: Path, hands: Hands, number: signal.Signals
) -> None:
    there, _ = await _filled(servers, hands, spool := tmp_path / "spool")
    reads, writes = os.pipe()
    with os.fdopen(reads, "rb"):
        with os.fdopen(writes, "wb") as pipe:
            natsmith = Natsmith(tmp_path, there, {"TMPDIR": str(spool)})
            process = await natsmith.start("backup", "-", stdout=pipe)
        os.set_blocking(reads, True)
        assert os.read(reads, 1)  # the first stream is on its way
        await _ended(process, number, spool)


async def test_nohup_is_heeded(servers: Servers, tmp_path: Path, hands: Hands) -> None:
    """Who has a run ignore that its terminal is closed gets a whole backup."""
    there, _ = await _filled(servers, hands, tmp_path / "spool")
    reads, writes = os.pipe()
    with _done(signal.SIGHUP, signal.SIG_IGN), os.fdopen(writes, "wb") as pipe:
        process = await Natsmith(tmp_path, there).start("backup", "-", stdout=pipe)
    with os.fdopen(reads, "rb") as file:
        assert os.read(reads, 1)
        process.send_signal(signal.SIGHUP)
        assert await asyncio.to_thread(file.read)
    _, said = await asyncio.wait_for(process.communicate(), 20)
    assert 0 == process.returncode, said.decode()


@contextmanager
def _full(largest: int) -> Iterator[None]:
    """Start runs none of whose files gets larger than this, and which are told so instead of being ended."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_restore_without_room_names_what_to_set(servers: Servers, tmp_path: Path, hands: Hands) -> None:
    there, hand = await _filled(servers, hands, spool := tmp_path / "spool")
    process = await Natsmith(tmp_path, there).start("backup", "-")
    data, _ = await process.communicate()
    for name in ("S", "T"):
        await hand.api(f"STREAM.DELETE.{name}")
    (tmp_path / "in.tar").write_bytes(data)
    with _full(100_000), (tmp_path / "in.tar").open("rb") as file:
        process = await Natsmith(tmp_path, there, {"TMPDIR": str(spool)}).start("restore", "-", stdin=file)
    _, said = await asyncio.wait_for(process.communicate(), 20)
    assert 3 == process.returncode, said.decode()
    assert f"does not fit into {spool}" in said.decode()
    assert "have TMPDIR name a directory where there is more" in said.decode()
    assert [] == os.listdir(spool)
    assert [] == await names(hand)


async def test_a_backup_without_room_names_what_to_set(servers: Servers, tmp_path: Path, hands: Hands) -> None:
    there, _ = await _filled(servers, hands, spool := tmp_path / "spool")
    with _full(100_000):
        process = await Natsmith(tmp_path, there, {"TMPDIR": str(spool)}).start("backup", "-")
    _, said = await asyncio.wait_for(process.communicate(), 20)
    assert 3 == process.returncode, said.decode()
    assert f"does not fit into {spool}" in said.decode()
    assert "have TMPDIR name a directory where there is more" in said.decode()
    assert "or name a directory for the backup instead of -" in said.decode()
    assert [] == os.listdir(spool)


@pytest.mark.parametrize("verb", ["backup", "restore"])
async def test_a_run_that_finds_no_temporary_directory_names_what_to_set(
    servers: Servers, tmp_path: Path, hands: Hands, verb: str
) -> None:
    there, _ = await _filled(servers, hands, spool := tmp_path / "spool")
    with _full(0):
        process = await Natsmith(tmp_path, there, {"TMPDIR": str(spool)}).start(verb, "-")
    _, said = await asyncio.wait_for(process.communicate(), 20)
    assert 3 == process.returncode, said.decode()
    assert f"natsmith {verb} - has no temporary directory" in said.decode()
    assert str(spool) in said.decode()
    assert "have TMPDIR name a directory" in said.decode()
