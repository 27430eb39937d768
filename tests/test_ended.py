"""A run that is told to end before it has done anything says what ended it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

NATSMITH = Path(sys.executable).parent / "natsmith"
SOON = 30


@pytest.mark.parametrize("words", [("status",), ("bring", "--from", "nats://127.0.0.1:1"), ("backup", "b")])
@pytest.mark.parametrize(
    ("number", "expected"),
    [(signal.SIGTERM, "a signal"), (signal.SIGHUP, "a signal"), (signal.SIGINT, "the keyboard")],
)
def test_what_ended_it(tmp_path: Path, words: tuple[str, ...], number: signal.Signals, expected: str) -> None:
    """Its server takes the connection, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(SOON)
        url = f"nats://127.0.0.1:{silent.getsockname()[1]}"
        words = tuple(url if each.startswith("nats:") else each for each in words)
        before = signal.signal(number, signal.SIG_DFL)  # inherited; a shell has what runs behind it ignore the keyboard
        try:
            run = subprocess.Popen([NATSMITH, *words, "--server", url], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        finally:
            signal.signal(number, before)
        with run, silent.accept()[0]:
            run.send_signal(number)
            try:
                _, said = run.communicate(timeout=SOON)
            finally:
                run.kill()

    assert (1, f"error: stopped by {expected}: run the same command again to go on\n") == (run.returncode, said)
