"""An example of docs/config-merge.md: installed with a port that is free here, and connected to."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from nats.aio.client import Client

from installed import Installed

Install = Callable[..., Installed]

PAGE = Path(__file__).parents[2] / "docs/config-merge.md"
EXAMPLES = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.M | re.S)]
with_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificate")


def example(section: str, *, tls: bool = False) -> dict[str, Any]:
    """Return the values of the page's example that has this section of nats.conf."""
    [found] = [each for each in EXAMPLES if section in merged(each) and tls == ("tls" in each["nats"])]
    copy: dict[str, Any] = json.loads(json.dumps(found))
    return copy


def merged(values: dict[str, Any]) -> dict[str, Any]:
    """Return what an example lays over nats.conf."""
    found: dict[str, Any] = values["nats"]["config"]["merge"]
    return found


def free() -> int:
    """Return a port that nobody listens on: the server does not tell where it listens for all of these."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@pytest.fixture
def running(install: Install, tmp_path: Path) -> Callable[..., Installed]:
    """Install an example, with a port that is free here in place of the section's own."""

    def one(section: str, values: dict[str, Any], *, port: int, **more: Any) -> Installed:
        assert [merged(values)[section]["port"]] == [each["port"] for each in values["nats"]["extraPorts"].values()]
        merged(values)[section].update(port=port, host="127.0.0.1")
        file = tmp_path / "values.yaml"
        file.write_text(json.dumps({**values, "buckets": {"b": {}}}))
        return install(file, **more)

    return one


@asynccontextmanager
async def subscribed(client: Client, subject: str) -> AsyncIterator[asyncio.Future[tuple[str, bytes]]]:
    """Give what comes first on a subject, and close the client after it."""
    first: asyncio.Future[tuple[str, bytes]] = asyncio.get_running_loop().create_future()

    async def note(message: Any) -> None:
        if not first.done():
            first.set_result((message.subject, message.data))

    try:
        await client.subscribe(subject, cb=note)
        await client.flush()
        yield first
    finally:
        await client.close()


@asynccontextmanager
async def dialled(port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[Any, Any]]:
    """Open a connection for a block, which may take ten seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    try:
        async with asyncio.timeout(10):
            yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):  # the server may have been first
            await writer.wait_closed()
