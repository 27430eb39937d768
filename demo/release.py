"""A release of the chart on this machine: rendered, its server run, its objects provisioned; no cluster."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

import chart
from embedded import ANY_PORT, Embedded

ROOT = Path(__file__).parent.parent
NATSMITH = Path(sys.executable).parent / "natsmith"


class InUse(Exception):
    """The directory's server runs already; two on one store would destroy it."""


class Release:
    """What `helm install` gives, in a directory instead of a cluster; its passwords and data stay there."""

    def __init__(self, values: str, home: Path, sets: Sequence[str] = ()) -> None:
        self.values = values
        self.sets = tuple(sets)
        self.home = home
        self.kept = home / "passwords.yaml"
        self.lock: int | None = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep everybody else out of the directory for a block, and as long as its server lives, even if we die."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InUse from error
            self.lock = file.fileno()
            yield

    def render(self, sets: Sequence[str] = ()) -> chart.Rendered:
        """Return the chart's output, with the passwords that the directory has; new users' are kept from now on."""
        files = [ROOT / self.values, *([self.kept] if self.kept.exists() else [])]
        rendered = chart.render(files, more=[word for each in (*self.sets, *sets) for word in ("--set", each)])
        self.home.mkdir(parents=True, exist_ok=True)
        fresh = self.kept.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(yaml.safe_dump(chart.passwords(rendered)))
        fresh.replace(self.kept)  # whole, or not at all
        return rendered

    def server(self, ports: tuple[int, int] = (ANY_PORT, ANY_PORT)) -> Embedded:
        """Return the release's server, not yet started."""
        rendered = self.render()
        server = chart.server(rendered, self.home, ports=ports)
        if rendered.one("StatefulSet")["spec"]["replicas"] > 1:
            raise chart.NotHere("the release needs several servers (nats.replicas)")
        server.keeps = () if self.lock is None else (self.lock,)
        return server

    def natsmith(self, url: str, words: Sequence[str], sets: Sequence[str] = ()) -> int:
        """Run natsmith where and as the release's Job would, and return its exit code."""
        files = chart.provisioner(self.render(sets), self.home, url)
        environment = {**os.environ, "NATSMITH_CONNECTIONS": str(files / "connections.yaml")}
        # Our own program with arguments of ours.
        return subprocess.run([NATSMITH, *words], cwd=files, env=environment, check=False).returncode  # noqa: S603

    def monitor(self, page: int) -> subprocess.Popen[str]:
        """Start the monitor as its Deployment would, after natsmith ran once; its page is on this machine alone."""
        flags = ["-f", "desired.yaml", "--listen", f"127.0.0.1:{page}", "--log", "json"]
        environment = {**os.environ, "NATSMITH_CONNECTIONS": "monitor.yaml"}
        # As above. A Ctrl-C is for us, who then stop it in order.
        return subprocess.Popen(  # noqa: S603
            [NATSMITH, "monitor", *flags],
            cwd=self.home / "etc/natsmith",
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def password(self, key: str) -> Path:
        """Return the file with the password of a user, such as ``app.app``."""
        return self.home / "etc/natsmith" / f"{key}.password"
