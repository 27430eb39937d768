"""The programs of demo/registry do what docs/registry.md says, on a real server."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path

import pytest

from cli import Natsmith
from embedded import Embedded
from natsmith.adapters.connections import Connection
from versions import VERSIONS

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.parametrize("release", VERSIONS[-1:])


async def start(url: str, name: str, *words: str) -> Process:
    """Start one of the programs."""
    environment = {**os.environ, "NATS_URL": url, "PYTHONWARNINGS": "error"}
    program = ROOT / "demo" / "registry" / f"{name}.py"
    return await asyncio.create_subprocess_exec(
        sys.executable, program, *words, env=environment, stdout=PIPE, stderr=PIPE
    )


async def said(process: Process) -> str:
    """Return the next line that a program prints."""
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), timeout=60)).decode().strip()


async def test_a_service_is_found_watched_and_gone_when_it_ends(
    tmp_path: Path, private_server: Callable[..., Embedded]
) -> None:
    url = private_server().url
    natsmith = Natsmith(tmp_path, Connection(server=url))
    natsmith.write("values.yaml", natsmith.value_file("registry.yaml"))
    assert 0 == (await natsmith("apply", "-f", "values.yaml")).code

    service = await start(url, "service", "payments")
    registered = await said(service)
    reader = await start(url, "reader", "payments")
    there = [await said(reader), await said(reader)]
    service.send_signal(signal.SIGTERM)
    gone = await said(reader)
    reader.send_signal(signal.SIGTERM)
    assert 0 == await reader.wait()

    assert "payments.one is registered; after a crash it is gone 30 s by the bucket's TTL" == registered
    assert ["payments one is healthy, at port 8080", "one joined"] == there
    assert "one left" == gone
    assert 0 == await service.wait()


@pytest.mark.parametrize("name", ["service", "reader", "leader"])
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (False, r"usage: {0}\.py [A-Z ]+, such as: {0}\.py .+"),
        (True, r"{0}\.py: there is no bucket .+: provision it .+"),
    ],
    ids=["without words", "without a bucket"],
)
async def test_what_is_missing_is_one_line(
    private_server: Callable[..., Embedded], name: str, words: bool, says: str
) -> None:
    given = {"service": ["payments"], "reader": ["payments"], "leader": ["nightly", "a"]}[name]
    process = await start(private_server().url, name, *(given if words else []))
    assert process.stderr is not None
    told = (await asyncio.wait_for(process.stderr.read(), timeout=60)).decode()

    assert re.fullmatch(says.format(name) + "\n", told), told
    assert 1 == await process.wait()


@pytest.mark.parametrize("name", ["service", "reader", "leader"])
async def test_a_server_that_is_not_there_is_one_line(private_server: Callable[..., Embedded], name: str) -> None:
    server = private_server()
    server.kill()
    given = {"service": ["payments"], "reader": ["payments"], "leader": ["nightly", "a"]}[name]
    process = await start(server.url, name, *given)
    assert process.stderr is not None
    told = (await asyncio.wait_for(process.stderr.read(), timeout=60)).decode()

    assert 1 == await process.wait()
    assert f"{name}.py: no NATS server at {server.url}: start one, or set NATS_URL\n" == told


async def test_one_after_the_other_leads(tmp_path: Path, private_server: Callable[..., Embedded]) -> None:
    url = private_server().url
    natsmith = Natsmith(tmp_path, Connection(server=url))
    natsmith.write("values.yaml", natsmith.value_file("registry.yaml"))
    assert 0 == (await natsmith("apply", "-f", "values.yaml")).code

    leaders = [await start(url, "leader", "nightly", name) for name in ("a", "b")]
    told = {await said(each) for each in leaders}

    assert {"a leads nightly with a token", "b leads nightly with a token"} == told
    assert [0, 0] == [await each.wait() for each in leaders]
