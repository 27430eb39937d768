"""Writing a backup: beside its place until all of it is on the disk, so that what looks like a backup is a whole one."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import natsmith
from natsmith.adapters import answers
from natsmith.adapters.backup import ABOUT, FORMAT, LIST, PARTIAL, STORE
from natsmith.adapters.server import ConsumerInfo, StreamInfo
from natsmith.adapters.sources import PIECE, FromServer
from natsmith.errors import DecisionNeeded, NotReady, StoppedHalfway, WrongValues

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
IN_USE = (errno.EWOULDBLOCK, errno.EAGAIN)

ELSEWHERE = "name a directory where there is more"
"""The cure where there is no room."""

NOTHING = "Nothing of it was kept"
"""What is left of a backup for which there is no room."""


class Writer:
    """A backup under way."""

    def __init__(self, place: Path, made: str, room: str) -> None:
        self.place = place
        self._room = room
        self._made = made
        self._partial = place / PARTIAL
        self._accounts: dict[str, dict[str, str]] = {}
        self.pack: Callable[[Path, str], None] | None = None
        """Where each stream goes when it is written, if it does not stay."""

    def account(self, name: str) -> None:
        """Begin an account."""
        if name in self._accounts:
            raise WrongValues(f"two connections are of the account {name}: pick one with --account")
        self._accounts[name] = {}
        with written(self.place, self._room):
            (self._partial / directory(name)).mkdir(mode=0o700)

    async def stream(
        self, account: str, source: FromServer, info: StreamInfo, told: Callable[[int], None]
    ) -> tuple[StreamInfo, list[ConsumerInfo]]:
        """Write one stream; return it as its snapshot has it, and the consumers whose positions are known."""
        name = info.config["name"]
        path = self._partial / directory(account) / name
        # A consumer that goes on meanwhile is in the snapshot where it was now, or further.
        before = {each.name: each for each in await source.consumers(name) if each.config.get("durable_name")}
        with written(self.place, self._room):
            if path.exists():
                # Of a try that failed.
                await asyncio.to_thread(shutil.rmtree, path)
            path.mkdir(mode=0o700)
            about, size, digest = await _store(path / STORE, source, name, told)
            taken = answers.stream(about)
            after = {each.name: each.created for each in await source.consumers(name)}
            stay = [each for each in before.values() if after.get(each.name) == each.created]
            now = await source.server.stream(name)
            if now is None or now.created != info.created:
                raise NotReady(f"stream {name} was made anew at {source.where} while it was backed up: run it again")
            about["natsmith"] = {
                "created": info.created,
                "still": _state(now) == _state(taken) == _state(info),
                "bytes": size,
                "sha256": digest,
                "consumers": [
                    {"name": each.name, "delivered": each.delivered, "ackFloor": each.ack_floor} for each in stay
                ],
            }
            self._accounts[account][name] = _write(path / ABOUT, about)
            _settle(path)
            if self.pack:
                await asyncio.to_thread(self.pack, path, f"{directory(account)}/{name}")
        return taken, stay

    def finish(self) -> None:
        """Make it a backup: all of it is on the disk before it is named."""
        listed = {
            "version": FORMAT,
            "made": self._made,
            "natsmith": natsmith.__version__,
            "accounts": [
                {"account": name, "directory": directory(name), "streams": streams}
                for name, streams in self._accounts.items()
            ],
        }
        with written(self.place, self._room):
            for name in self._accounts:
                _settle(self._partial / directory(name))
            _write(self._partial / LIST, listed)
            if self.pack:
                self.pack(self._partial / LIST, LIST)
                return
            for name in self._accounts:
                (self._partial / directory(name)).rename(self.place / directory(name))
            _settle(self.place)
            (self._partial / LIST).rename(self.place / LIST)
            self._partial.rmdir()
            _settle(self.place)


@contextmanager
def writing(place: Path, made: str, room: str = ELSEWHERE) -> Iterator[Writer]:
    """Have an empty directory for a block, and nobody else write there; what is not finished is removed.

    *room* says what to do, other than making it, where there is none.
    """
    with written(place, room):
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _alone(place, held)
        _empty(place, room)
        try:
            yield Writer(place, made, room)
        finally:
            # A backup that is finished has none of it. What cannot be removed here is by the next run.
            with contextlib.suppress(OSError):
                shutil.rmtree(place / PARTIAL)
    finally:
        os.close(held)


def directory(account: str) -> str:
    """Return how the directory of an account is called; an account may have any name."""
    return quote(account, safe="$ @+=,").replace(".", "%2E")


def _alone(place: Path, held: int) -> None:
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in IN_USE:
            raise WrongValues(f"another natsmith backs up into {place} just now: name another directory") from error
        # A file system that cannot lock is used all the same.


def _empty(place: Path, room: str) -> None:
    """Begin, where there is nothing but what a run has left that was ended."""
    with written(place, room):
        if (place / PARTIAL).is_dir() and not (place / LIST).exists():
            for each in _named(place / PARTIAL / LIST):
                shutil.rmtree(place / each, ignore_errors=True)
            shutil.rmtree(place / PARTIAL)
        there = sorted(each.name for each in place.iterdir() if each.name != "lost+found")
        if there:
            what = "a backup" if LIST in there else ", ".join(there[:3])
            raise WrongValues(
                f"{place} holds {what} already, and nothing is written over: name a directory that is empty, or not there yet"
            )
        (place / PARTIAL).mkdir(mode=0o700)


def _named(path: Path) -> list[str]:
    """Return the directories of accounts that a list names: a run that is ended when it names its backup has moved some."""
    try:
        return [str(each["directory"]) for each in json.loads(path.read_text())["accounts"]]
    except (FileNotFoundError, ValueError):
        return []


async def _store(
    path: Path, source: FromServer, name: str, told: Callable[[int], None]
) -> tuple[dict[str, Any], int, str]:
    """Write what a server sends; return what it says about it, its size and its sha256."""
    digest, size = hashlib.sha256(), 0
    with _private(path) as file:
        async with source.sending(name, PIECE) as sending:
            async for piece in sending.pieces:
                # In a thread: a disk that stalls must not keep the connection from answering.
                await asyncio.to_thread(file.write, piece)
                digest.update(piece)
                size += len(piece)
                told(size)
        await asyncio.to_thread(_flush, file)
    return {"config": sending.about["config"], "state": sending.about["state"]}, size, digest.hexdigest()


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _write(path: Path, document: dict[str, Any]) -> str:
    """Write a document, and return its sha256."""
    data = json.dumps(document, indent=2).encode()
    with _private(path) as file:
        file.write(data)
        _flush(file)
    return hashlib.sha256(data).hexdigest()


def _private(path: Path) -> BinaryIO:
    """Open a new file that nobody else may read."""
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _settle(path: Path) -> None:
    """Have the names in a directory on the disk."""
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _state(info: StreamInfo) -> tuple[int, ...]:
    return info.messages, info.bytes, info.first_sequence, info.last_sequence


@contextmanager
def written(place: Path, room: str = ELSEWHERE, left: str = NOTHING) -> Iterator[None]:
    """Turn what the system says into a sentence with a cure; where there is no room, *left* and *room* belong to it."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in NO_ROOM:
            raise DecisionNeeded(
                f"the backup does not fit into {place}: {reason}. {left}: make room, or {room}, and run it again"
            ) from error
        if isinstance(error, BrokenPipeError):
            raise StoppedHalfway(
                f"{place} was closed before the backup was whole, so it is none: run it again"
            ) from error
        if isinstance(error, (NotADirectoryError, FileExistsError)):
            raise WrongValues(f"{place} is a file or lies in one, but a backup is a directory: name another") from error
        raise WrongValues(
            f"the backup cannot be written to {place}: {reason}. Change its permissions, or name another directory"
        ) from error
