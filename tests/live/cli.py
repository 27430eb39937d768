"""The command line as a user runs it: a process of its own, in a directory of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from natsmith.adapters.connections import Connection

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Result:
    """How a run ended, and what it printed."""

    code: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        """Everything that it printed."""
        return self.stdout + self.stderr

    @property
    def last(self) -> str:
        """The line that sums it up."""
        return self.stdout.strip().splitlines()[-1] if self.stdout.strip() else ""

    def row(self, key: str) -> str:
        """Return the only line that begins with *key*."""
        [line] = [each for each in self.stdout.splitlines() if each.startswith(key)]
        return line


@dataclass
class Natsmith:
    """Runs natsmith in *home*, connected by the environment."""

    home: Path
    connection: Connection
    environment: Mapping[str, str] = field(default_factory=dict)

    def write(self, name: str, text: str) -> Path:
        """Write a file that a command will read."""
        path = self.home / name
        path.write_text(text)
        return path

    @staticmethod
    def value_file(name: str) -> str:
        """Return one of the repository's values files."""
        return (ROOT / "values" / name).read_text()

    async def start(
        self,
        *words: str,
        stdin: int | BinaryIO = asyncio.subprocess.DEVNULL,
        stdout: int | BinaryIO = asyncio.subprocess.PIPE,
        **environment: str,
    ) -> asyncio.subprocess.Process:
        """Start a run."""
        known = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "NATS_URL": self.connection.server,
            "NATS_USER": self.connection.user,
            "NATS_PASSWORD": self.connection.password,
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "PYTHONWARNINGS": "error",
        }
        given = {**known, **self.environment, **environment}
        return await asyncio.create_subprocess_exec(
            Path(sys.executable).parent / "natsmith",
            *words,
            cwd=self.home,
            env={key: value for key, value in given.items() if value},
            stdin=stdin,
            stdout=stdout,
            stderr=asyncio.subprocess.PIPE,
        )

    async def __call__(self, *words: str, **environment: str) -> Result:
        """Run to the end; whatever happens there is no traceback."""
        process = await self.start(
            *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, **environment
        )
        stdout, stderr = await asyncio.wait_for(process.communicate(), timeout=60)
        result = Result(process.returncode or 0, stdout.decode(), stderr.decode())
        assert "Traceback" not in result.text, result.text
        assert "this is a bug" not in result.text, result.text
        if self.connection.password and len(self.connection.password) > 4:
            assert self.connection.password not in result.text
        return result
