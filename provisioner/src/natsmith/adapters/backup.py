"""A backup: a directory with one of each account and in it one of each stream, as the nats CLI writes and reads it.

``backup.json`` has a stream's configuration and state, and under ``natsmith`` what is compared; ``stream.tar.s2`` is the
stream's store as the server sent it. ``natsmith.json`` names them all, and is written last: without it a backup is not whole.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shlex
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from natsmith.adapters import answers
from natsmith.adapters.server import ConsumerInfo, StreamInfo
from natsmith.adapters.sources import Sent
from natsmith.errors import DecisionNeeded, WrongValues
from natsmith.model.bringing import Fate

ABOUT, STORE = "backup.json", "stream.tar.s2"
"""What the nats CLI calls the two files of a stream."""

LIST = "natsmith.json"
"""All that belongs to a backup."""

PARTIAL = "natsmith.partial"
"""Where a backup is written until it is whole."""

FORMAT = 1
READ = 1024 * 1024
LARGEST = 64 * 2**20
"""Bytes of the largest description of a stream; a server's answers are smaller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A stream in a backup."""

    path: Path
    about: Mapping[str, Any]
    """What ``backup.json`` says."""

    digest: str
    """The sha256 of its store, by which a stream that was restored from it is known."""

    @property
    def name(self) -> str:
        """What the stream is called."""
        return str(self.about["config"]["name"])

    @property
    def ours(self) -> Mapping[str, Any]:
        """What natsmith wrote beside what the nats CLI knows; nothing where that has made the backup."""
        ours: Mapping[str, Any] = self.about.get("natsmith") or {}
        return ours

    @property
    def info(self) -> StreamInfo:
        """The stream as it was."""
        return answers.stream({**self.about, "created": self.ours.get("created", "")})


class FromBackup:
    """The streams of an account in a backup."""

    verb = "restore"
    done: Fate = "restored"

    def __init__(self, where: str, kept: Mapping[str, Kept], names: Collection[str]) -> None:
        self.where = where
        self.kept = kept
        self.names = names
        """What it holds, also what was not asked for."""

    async def streams(self) -> list[StreamInfo]:
        """Return every stream of the account."""
        return [each.info for each in self.kept.values()]

    async def last_sequence(self, name: str) -> int:  # noqa: ARG002  (the same of every stream)
        """Nobody writes to a backup."""
        return 0

    async def consumers(self, name: str) -> list[ConsumerInfo]:
        """Return where durable consumers stood, as far as the backup tells."""
        return [
            ConsumerInfo(
                stream=name,
                name=each["name"],
                config={"durable_name": each["name"]},
                delivered=each["delivered"],
                ack_floor=each["ackFloor"],
            )
            for each in self.kept[name].ours.get("consumers", ())
        ]

    def mark(self, info: StreamInfo) -> str:
        """Return what is the same for no other backup, also of the same stream."""
        return f"sha256:{self.kept[info.config['name']].digest}"

    def still(self, info: StreamInfo) -> bool:
        """Return whether nobody wrote or removed anything while it was backed up."""
        return bool(self.kept[info.config["name"]].ours.get("still"))

    @asynccontextmanager
    async def sending(self, name: str, size: int) -> AsyncIterator[Sent]:
        """Have a stream's store read for a block."""
        one = self.kept[name]
        path = one.path / STORE
        with _told(path):
            opened = _opened(path)
        with opened as file:
            about = {"config": one.about["config"], "state": one.about["state"]}
            async with aclosing(_pieces(path, file, size)) as pieces:
                yield Sent(about=about, pieces=pieces)


async def _pieces(path: Path, file: BinaryIO, size: int) -> AsyncGenerator[bytes, None]:
    while True:
        with _told(path):
            piece = await asyncio.to_thread(file.read, size)
        if not piece:
            return
        yield piece


def read(place: Path, only: Collection[str] = ()) -> dict[str, FromBackup]:
    """Return the streams of each account in the backup at *place*, all of it there and as it was written, or raise why not.

    With *only*, no others are looked at; a backup that was large is read in part.
    An account of it, a stream of it, and what the nats CLI has written, have no list, and no name of an account.
    """
    with _told(place):
        names = sorted(each.name for each in place.iterdir())
    if LIST in names:
        return _whole(place, only)
    if PARTIAL in names:
        raise DecisionNeeded(
            f"{place} holds a backup that is not whole: {place / PARTIAL} is what a run has begun. "
            "If it still runs, let it end; if not, restore another backup, or back up again into the same directory"
        )
    inside = [place / each for each in names]
    streams = [place] if ABOUT in names else _looked(inside)
    if not streams:
        raise WrongValues(_nothing(place, inside))
    return {"": _account(str(place), streams, {}, only)}


def _looked(inside: list[Path]) -> list[Path]:
    """Return which are of a stream; a disk's lost+found, which only root may enter, is none."""
    streams: list[Path] = []
    for each in inside:
        if each.name == "lost+found":
            continue
        with _told(each):
            try:
                (each / ABOUT).stat()
                streams.append(each)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except PermissionError:
                raise WrongValues(
                    f"{each} may not be entered by this user, and a stream may be in it: change its permissions, "
                    "or move it elsewhere if it is not of the backup"
                ) from None
    return streams


def _nothing(place: Path, inside: list[Path]) -> str:
    """Return that there is no backup, and what there is instead."""
    accounts = [str(each) for each in inside if each.name != "lost+found" and any(each.glob(f"*/{ABOUT}"))]
    if accounts:
        return (
            f"{place} holds no whole backup: {place / LIST} is not there. If natsmith backup wrote it, that came last, and "
            f"names all that belongs to it: take another copy of the backup. Or restore what {' and '.join(accounts)} "
            f"{'has' if len(accounts) == 1 else 'have'}, of which nothing tells whether it is all: natsmith restore {shlex.quote(accounts[0])}"
        )
    return (
        f"{place} holds no backup: there is no {LIST} as natsmith backup writes it, nor {ABOUT} and {STORE} of a stream. "
        "Name the directory that natsmith backup, nats account backup or nats stream backup was given"
    )


def _whole(place: Path, only: Collection[str]) -> dict[str, FromBackup]:
    listed = _document(place / LIST)
    version = listed.get("version")
    if version != FORMAT:
        raise DecisionNeeded(
            f"{place / LIST} has version {version!r}, but this natsmith reads {FORMAT}: take a newer one"
        )
    problems: list[str] = []
    found: dict[str, FromBackup] = {}
    try:
        accounts = [(each["account"], place / each["directory"], dict(each["streams"])) for each in listed["accounts"]]
    except (KeyError, TypeError, ValueError):
        raise DecisionNeeded(_damaged(place / LIST, "it does not name accounts and streams")) from None
    for account, path, digests in accounts:
        try:
            found[account] = _account(str(path), [path / each for each in digests], digests, only)
        except (DecisionNeeded, WrongValues) as error:
            problems += error.problems
    if problems:
        raise DecisionNeeded(*problems)
    return found


def _account(where: str, paths: list[Path], digests: Mapping[str, str], only: Collection[str]) -> FromBackup:
    kept: dict[str, Kept] = {}
    problems: list[str] = []
    names = set(digests)
    for path in paths:
        if only and digests and path.name not in only:
            continue
        try:
            about = _document(path / ABOUT, digests.get(path.name, ""))
            name = _name(path, about)
            names.add(name)
            if not only or name in only:
                kept[name] = _stream(path, about)
        except (DecisionNeeded, WrongValues) as error:
            problems += error.problems
    if problems:
        raise DecisionNeeded(*problems)
    return FromBackup(where, kept, names)


def _name(path: Path, about: Mapping[str, Any]) -> str:
    try:
        return str(about["config"]["name"])
    except (KeyError, TypeError):
        raise DecisionNeeded(_damaged(path / ABOUT, "it describes no stream")) from None


def _stream(path: Path, about: Mapping[str, Any]) -> Kept:
    """Return a stream whose store is whole."""
    if not (path / STORE).is_file():
        raise DecisionNeeded(_damaged(path / STORE, "it is not there"))
    try:
        one = Kept(path=path, about=about, digest=sha256(path / STORE))
        size, info = (path / STORE).stat().st_size, one.info
        wanted, expected = one.ours.get("bytes", size), one.ours.get("sha256", one.digest)
        _ = info.first_sequence + info.last_sequence
    except (KeyError, TypeError, AttributeError):
        raise DecisionNeeded(_damaged(path / ABOUT, "it describes no stream")) from None
    if size != wanted:
        raise DecisionNeeded(_damaged(path / STORE, f"it has {size} bytes, and was written with {wanted}"))
    if one.digest != expected:
        raise DecisionNeeded(
            _damaged(path / STORE, f"its sha256 is {one.digest}, and was {expected} when it was written")
        )
    return one


def _document(path: Path, digest: str = "") -> dict[str, Any]:
    """Return what a file holds; *digest* is its sha256 where that is known."""
    try:
        with _told(path), open(path, "rb") as file:
            data = file.read(LARGEST)
    except WrongValues as error:
        raise DecisionNeeded(*error.problems) from error
    if digest and hashlib.sha256(data).hexdigest() != digest:
        raise DecisionNeeded(_damaged(path, "it is not what was written"))
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise DecisionNeeded(_damaged(path, "it is not JSON"))
    return found


def _damaged(path: Path, what: str) -> str:
    return f"the backup is damaged at {path}: {what}. Nothing was restored: take another copy of it"


def _opened(path: Path) -> BinaryIO:
    return open(path, "rb")


def sha256(path: Path) -> str:
    """Return the digest of a file, however large."""
    with _told(path), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what the system says about *path* into a sentence with a cure."""
    try:
        yield
    except FileNotFoundError as error:
        raise WrongValues(f"{path} does not exist: check its name and the directory you are in") from error
    except NotADirectoryError as error:
        raise WrongValues(f"{path} is a file, but a backup is a directory: name the directory") from error
    except PermissionError as error:
        raise WrongValues(f"{path} may not be read by this user: change its permissions") from error
    except OSError as error:
        raise WrongValues(f"{path} cannot be read: {error.strerror or error}") from error
