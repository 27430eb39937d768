"""A backup as one tar on standard output, and from standard input: ``kubectl exec`` carries it out of a pod and back.

What it needs on the way is room for the largest stream under TMPDIR, and to restore for all of them: nothing is sent before
all of it was looked at. The list of what belongs to it comes last, so a tar that was cut is no whole backup.
"""

from __future__ import annotations

import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from natsmith.adapters.backup import LIST
from natsmith.adapters.backup_writer import Writer, writing, written
from natsmith.errors import DecisionNeeded, WrongValues

STANDARD = "-"
DEEP = 3
"""A file of a stream is in its directory, and that in its account's."""


@contextmanager
def streamed(made: str) -> Iterator[Writer]:
    """Write a backup to standard output for a block."""
    if sys.stdout.isatty():
        raise WrongValues("natsmith backup - writes a tar, which a terminal cannot show: add > monday.tar")
    shown = Path("standard output")
    with (
        written(shown),
        tempfile.TemporaryDirectory(prefix="natsmith-backup-") as folder,
        os.fdopen(os.dup(1), "wb") as out,
        tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as tar,
        writing(Path(folder) / "backup", made) as writer,
    ):

        def pack(path: Path, name: str) -> None:
            with written(shown):
                tar.add(path, name)
                out.flush()
            if path.is_dir():
                shutil.rmtree(path)

        writer.pack = pack
        yield writer


@contextmanager
def unpacked() -> Iterator[Path]:
    """Have the backup that standard input holds in a directory for a block."""
    if sys.stdin.isatty():
        raise WrongValues("natsmith restore - reads a tar: add < monday.tar")
    with tempfile.TemporaryDirectory(prefix="natsmith-restore-") as folder:
        place = Path(folder)
        try:
            with written(place), tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as tar:
                for member in tar:
                    _unpack(tar, member, place)
        except (tarfile.TarError, EOFError) as error:
            raise DecisionNeeded(f"standard input holds no whole backup: {error}. {CURE}") from error
        if not (place / LIST).is_file():
            raise DecisionNeeded(
                f"standard input holds no whole backup: {LIST}, which comes last, is not in it. {CURE}"
            )
        yield place


CURE = "Nothing was restored: take another copy of it, as natsmith backup - wrote it"


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
