"""Small files, read whole or refused in a sentence; never large ones, and never a traceback."""

from __future__ import annotations

import os
import stat
from typing import BinaryIO

from natsmith.errors import WrongValues

LARGEST = 4 * 2**20
"""Bytes of the largest file; Kubernetes keeps at most 1 MiB of it."""


def read_bytes(path: str) -> bytes:
    """Return the content of the file at *path*; one that is too large is refused before it is read whole."""
    try:
        with open(path, "rb") as file:
            about = os.fstat(file.fileno())
            if stat.S_ISREG(about.st_mode) and about.st_size > LARGEST:
                raise WrongValues(_too_large(path, f"{about.st_size} bytes"))
            return bounded(file, path)
    except IsADirectoryError as error:
        raise WrongValues(f"{path} is a directory, but must be a file: name the file in it") from error
    except FileNotFoundError as error:
        raise WrongValues(f"{path} does not exist: check its name and the directory you are in") from error
    except PermissionError as error:
        raise WrongValues(f"{path} may not be read by this user: change its permissions") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its name holds a null character"
        raise WrongValues(f"{path!r} cannot be read: {reason}") from error


def bounded(file: BinaryIO, name: str) -> bytes:
    """Return what *file* holds, or refuse it once more than the bound was read."""
    try:
        data = file.read(LARGEST + 1)
    except OSError as error:
        raise WrongValues(f"{name} cannot be read: {error.strerror or 'it is closed'}") from error
    if len(data) > LARGEST:
        raise WrongValues(_too_large(name, f"more than {LARGEST} bytes"))
    return data


def _too_large(name: str, size: str) -> str:
    return f"{name} has {size}, but at most {LARGEST} are read (4 MiB): split it into several -f files, or render less"


def write_bytes(path: str, data: bytes) -> None:
    """Make *data* the content of the file at *path*; in place, since it may be a device or a mount of its own."""
    try:
        with open(path, "wb") as file:
            file.write(data)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its name holds a null character"
        raise WrongValues(
            f"{path} cannot be written: {reason}. Check that its directory is there and writable"
        ) from error
