"""A backup as one tar on standard output, and from standard input: ``kubectl exec`` carries it out of a pod and back.

What it needs on the way is room for the largest stream under TMPDIR, and to restore for all of them: nothing is sent before
all of it was looked at. The list of what belongs to it comes last, so a tar that was cut is no whole backup.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tarfile
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, cast

from natsmith.adapters.backup import LIST, READ
from natsmith.adapters.backup_writer import NO_ROOM, Writer, writing, written
from natsmith.adapters.standard import Standard
from natsmith.errors import DecisionNeeded, WrongValues

STANDARD = "-"
DEEP = 3
"""A file of a stream is in its directory, and that in its account's."""

ROOM = (
    "have TMPDIR name a directory where there is more (each stream is there on its way), "
    "or name a directory for the backup instead of -"
)
"""The cure where there is no room on the way."""

CURE = "Nothing was restored: take another copy of it, as natsmith backup - wrote it"
"""The cure for a tar that is not whole."""


@asynccontextmanager
async def streamed(made: str) -> AsyncIterator[Writer]:
    """Write a backup to standard output for a block."""
    if sys.__stdout__ is None:  # whoever started the run has closed it
        raise WrongValues("natsmith backup - writes a tar, but standard output is closed: add > monday.tar")
    if sys.stdout.isatty():
        raise WrongValues("natsmith backup - writes a tar, which a terminal cannot show: add > monday.tar")
    out = Standard(1)
    with (
        _shown(),
        _folder("backup") as folder,
        tarfile.open(fileobj=cast("IO[bytes]", out), mode="w|", format=tarfile.PAX_FORMAT) as tar,
        writing(folder / "backup", made, ROOM) as writer,
        out.ending(),
    ):

        def pack(path: Path, name: str) -> None:
            with out.used(), _shown():
                tar.add(path, name)
            if path.is_dir():
                shutil.rmtree(path)

        def finish() -> None:
            with out.used(), _shown():
                tar.close()

        writer.pack = pack
        yield writer
        await asyncio.to_thread(finish)


@asynccontextmanager
async def unpacked() -> AsyncIterator[Path]:
    """Have the backup that standard input holds in a directory for a block."""
    if sys.__stdin__ is None:
        raise WrongValues("natsmith restore - reads a tar, but standard input is closed: add < monday.tar")
    if sys.stdin.isatty():
        raise WrongValues("natsmith restore - reads a tar: add < monday.tar")
    with _folder("restore") as place:
        try:
            with written(place), _room(), (given := Standard(sys.stdin.fileno())).ending():
                await asyncio.to_thread(_take, given, place)
        except (tarfile.TarError, EOFError) as error:
            raise DecisionNeeded(f"standard input holds no whole backup: {error}. {CURE}") from error
        if not (place / LIST).is_file():
            raise DecisionNeeded(
                f"standard input holds no whole backup: {LIST}, which comes last, is not in it. {CURE}"
            )
        yield place


def _shown() -> AbstractContextManager[None]:
    """Have a sentence with a cure where standard output takes no more; what it has taken cannot be called back."""
    return written(
        Path("standard output"), "send it to a file where there is more", "What has come there is no whole backup"
    )


@contextmanager
def _folder(verb: str) -> Iterator[Path]:
    """Have a temporary directory for a block; Python takes none of those in which nothing can be written."""
    try:
        folder = tempfile.TemporaryDirectory(prefix=f"natsmith-{verb}-")
    except FileNotFoundError as error:
        raise DecisionNeeded(
            f"natsmith {verb} - has no temporary directory: {error.strerror}; each is full, or may not be written to. "
            "Make room in one, or have TMPDIR name a directory where there is some, and run it again"
        ) from error
    with folder as name:
        yield Path(name)


@contextmanager
def _room() -> Iterator[None]:
    """Say where all of it is on its way, and how to have that elsewhere."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise DecisionNeeded(
            f"the backup does not fit into {tempfile.gettempdir()}, where all of it is looked at before anything is sent: "
            f"{error.strerror}. Nothing was restored: make room there, or have TMPDIR name a directory where there is "
            "more, and run it again"
        ) from error


def _take(given: Standard, place: Path) -> None:
    """Write all files of a tar."""
    with given.used(), tarfile.open(fileobj=cast("IO[bytes]", given), mode="r|", bufsize=READ) as tar:
        for member in tar:
            _unpack(tar, member, place)


def _unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, place: Path) -> None:
    """Write one file; a tar may name what lies elsewhere, and this one may not."""
    parts = [each for each in PurePosixPath(member.name).parts if each != "."]
    if member.isdir():
        return
    file = tar.extractfile(member) if member.isreg() else None
    if file is None or len(parts) not in (1, DEEP) or any(each in ("..", "/") for each in parts):
        raise DecisionNeeded(f"standard input holds {member.name!r}, which is nothing of a backup. {CURE}")
    path = place.joinpath(*parts)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(path, "xb") as to:
        shutil.copyfileobj(file, to, 1024 * 1024)
