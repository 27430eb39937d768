"""A server, a monitor in front of it, and what a test does to them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nats.aio.client import Client

from embedded import Embedded
from waiting import eventually

VALUES = {
    "buckets": {
        "service_registry": {"profile": "serviceRegistry", "ttlSeconds": 6},
        "sessions": {"profile": "sessionCache", "ttlSeconds": 300},
        "elections": {"profile": "election"},
    },
    "streams": {
        "MESSAGES": {
            "subjects": ["messages.>"],
            "consumers": {"workers": {"maxDeliver": 1, "deadLetter": {"stream": "DEAD"}}},
        }
    },
}


@dataclass
class Watched:
    """A nats-server with a monitor."""

    server: Embedded
    home: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.port}/"

    async def apply(self, values: Mapping[str, Any] = VALUES) -> None:
        """Make the account be what values say, with a file that the monitor does not read."""
        file = self.home / "applied.json"
        file.write_text(json.dumps(values))
        process = await self._natsmith("apply", "-f", str(file))
        _, error = await process.communicate()
        assert process.returncode == 0, error.decode()

    async def watch(self, *words: str, values: Mapping[str, Any] | None = VALUES) -> None:
        """Start the monitor; return when it listens."""
        if values is not None:
            file = self.home / "values.json"
            file.write_text(json.dumps(values))
            words = ("-f", str(file), *words)
        self.process = await self._natsmith("monitor", "--listen", f"127.0.0.1:{self.port}", "--log", "json", *words)
        assert self.process.stderr
        async with asyncio.timeout(30):
            while True:
                line = await self.process.stderr.readline()
                assert line, "the monitor ended"
                said = json.loads(line)
                if said["event"] == "monitor.listens":
                    break
        self.port = int(said["at"].rpartition(":")[2].strip("/"))

    async def stop(self) -> int:
        """Stop the monitor as Kubernetes does, and return its exit code."""
        process = self.process
        if process is None:
            return 0
        self.process = None
        if process.returncode is None:
            process.terminate()
        _, error = await process.communicate()
        assert "Traceback" not in error.decode(), error.decode()
        return process.returncode or 0

    async def _natsmith(self, *words: str) -> asyncio.subprocess.Process:
        known = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "NATS_URL": self.server.url,
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "PYTHONWARNINGS": "error",
        }
        return await asyncio.create_subprocess_exec(
            Path(sys.executable).parent / "natsmith",
            *words,
            env={key: value for key, value in {**known, **self.environment}.items() if value},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )


def changed(values: Mapping[str, Any], path: Sequence[str], value: object) -> dict[str, Any]:
    """Return *values* with one of them changed."""
    result: dict[str, Any] = json.loads(json.dumps(values))
    place = result
    for each in path[:-1]:
        place = place[each]
    place[path[-1]] = value
    return result


async def refused(client: Client, payload: bytes) -> None:
    """Have a worker refuse a message for good."""
    stream = client.jetstream()
    await stream.publish("messages.one", payload)
    worker = await stream.pull_subscribe_bind("workers", "MESSAGES")
    (message,) = await worker.fetch(1)
    await message.term()

    async def noted() -> bool:
        return (await stream.stream_info("DEAD")).state.messages > 0

    await eventually(noted, within=5)
