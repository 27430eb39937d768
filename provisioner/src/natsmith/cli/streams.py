"""The ends of stdin, stdout and stderr: whatever is there stops no run."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


class _Stream(io.TextIOWrapper):
    """Text to *below*'s file: what its encoding lacks is escaped, and who no longer reads stops no run.

    A run that ended in the middle because of ``| head -1`` would leave an account half made, and would say so to nobody.
    """

    lost: OSError | None = None
    """Why what was written did not arrive."""

    def __init__(self, below: io.TextIOWrapper) -> None:
        super().__init__(
            below.buffer,
            encoding=below.encoding,
            errors="backslashreplace",
            line_buffering=below.line_buffering,
            write_through=below.write_through,
        )

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self._lose(error)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        """Let the rest go nowhere, or Python would complain once more when it flushes at the end."""
        self.lost = self.lost or error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


@contextmanager
def streams() -> Iterator[None]:
    """Make sys.stdin, sys.stdout and sys.stderr such that whatever is at their other ends stops no run."""
    before = sys.stdin, sys.stdout, sys.stderr
    with ExitStack() as stack:
        # One that is closed is None to Python. Opened for writing, standard input says that it cannot be read.
        given = [each or stack.enter_context(open(os.devnull, "w", encoding="utf-8")) for each in before]
        own = [_Stream(each) if isinstance(each, io.TextIOWrapper) else each for each in given[1:]]
        sys.stdin, sys.stdout, sys.stderr = given[0], own[0], own[1]
        try:
            yield
        finally:
            sys.stdin, sys.stdout, sys.stderr = before
            for each in own:
                if isinstance(each, _Stream):
                    each.flush()
                    each.detach()
