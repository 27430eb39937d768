"""Standard input and output for a thread that may wait there for long, and is woken when the run ends."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager

FITS = select.PIPE_BUF
"""A pipe that can be written to takes so many bytes without waiting."""


class Ended(Exception):
    """The run ends: nobody waits for more."""


class Standard:
    """What comes from a file that was given to the run, or goes there."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._woken, self._wake = os.pipe()
        self._busy = threading.Lock()
        self._over = False

    @contextmanager
    def used(self) -> Iterator[None]:
        """Have it for a block in a thread; whoever ends it waits until that has noticed."""
        with self._busy:
            yield

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Wake who waits for it when a block ends with an error, which a signal is, too; close it."""
        try:
            yield
        except BaseException:
            os.write(self._wake, b".")
            raise
        finally:
            with self._busy:
                self._over = True
                os.close(self._woken)
                os.close(self._wake)

    def read(self, size: int) -> bytes:
        """Return what is there, at most *size* bytes; nothing at the end."""
        if self._over or self._woken in select.select([self._number, self._woken], [], [])[0]:
            raise Ended
        return os.read(self._number, size)

    def write(self, data: bytes) -> int:
        """Write all of it; what is left of a tar that is cut goes nowhere."""
        rest = memoryview(data)
        while rest and not self._over:
            if self._woken in select.select([self._woken], [self._number], [])[0]:
                raise Ended
            rest = rest[os.write(self._number, rest[:FITS]) :]
        return len(data)
