"""A monitor in a process of its own, and what it answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Monitor:
    """A monitor that listens."""

    url: str

    async def text(self, path: str) -> str:
        """Return what it answers."""
        return await asyncio.to_thread(self._fetched, path)

    async def api(self, name: str) -> dict[str, dict[str, Any]]:
        """Return a document of the API, by account."""
        document = json.loads(await self.text(f"/api/{name}"))
        return {each["account"]: each for each in document["accounts"]}

    async def metrics(self) -> str:
        """Return what Prometheus would scrape."""
        return await self.text("/metrics")

    def _fetched(self, path: str) -> str:
        # Its own address, on the loopback interface.
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:  # noqa: S310
            return str(answer.read().decode())


@asynccontextmanager
async def monitoring(home: Path, *words: str, **environment: str) -> AsyncIterator[Monitor]:
    """Run a monitor for a block; it must end without a traceback."""
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).parent / "natsmith",
        *("monitor", "--listen", "127.0.0.1:0", "--log", "json", *words),
        cwd=home,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONWARNINGS": "error", **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    lines: list[str] = []
    listens: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def hear() -> None:
        assert process.stderr
        async for line in process.stderr:
            lines.append(line.decode())
            said = json.loads(lines[-1]) if lines[-1].startswith("{") else {}
            if said.get("event") == "monitor.listens":
                listens.set_result(str(said["at"]))

    hearing = asyncio.create_task(hear())
    try:
        ended: set[asyncio.Future[Any]] = {hearing, listens}
        await asyncio.wait(ended, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        assert listens.done(), "".join(lines)
        yield Monitor(listens.result().rstrip("/"))
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        await hearing
    assert "Traceback" not in "".join(lines), "".join(lines)
