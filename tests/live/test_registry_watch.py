"""Watching a service registry from the command line, on real servers."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal

import nats
import nats.aio.client
import pytest

from cli import Natsmith
from natsmith.adapters.connections import Connection
from natsmith.registry import Registry
from registering import entry, make, put
from versions import VERSIONS

BUCKET = "service_registry"
SERVICES = 8

newest = pytest.mark.parametrize("release", VERSIONS[-1:])
oldest_and_newest = pytest.mark.parametrize("release", [VERSIONS[0], VERSIONS[-1]])


@newest
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_watch_tells_what_happens_until_it_is_ended(
    natsmith: Natsmith, nats_connection: nats.aio.client.Client, number: signal.Signals
) -> None:
    # In a shell's background Ctrl-C is ignored, which a child inherits; one that is handled here it does not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    await make(nats_connection, ttl=30)
    async with Registry(nats_connection) as registry:
        async with registry.instance("payments", id="a") as presence:
            process = await natsmith.start("registry", "watch")
            assert process.stdout is not None
            joined = await process.stdout.readline()
            await presence.draining()
            changed = await process.stdout.readline()
        left = await process.stdout.readline()
    process.send_signal(number)
    rest, stderr = await asyncio.wait_for(process.communicate(), timeout=60)

    assert joined.decode().endswith("joined  payments a: healthy\n")
    assert changed.decode().endswith("changed payments a: draining\n")
    assert left.decode().endswith("left    payments a\n")
    assert (0, b"") == (process.returncode, stderr)
    assert rest.decode().endswith(": 1 joined, 1 changed, 1 left.\n")


@newest
async def test_a_watch_for_a_program_is_one_object_a_line(
    natsmith: Natsmith, nats_connection: nats.aio.client.Client
) -> None:
    missing = await natsmith("registry", "watch", "--output", "json")
    await make(nats_connection, ttl=30)
    async with Registry(nats_connection) as registry, registry.instance("payments", id="a"):
        done = await natsmith("registry", "watch", "--seconds", "1", "--output", "json")

    [error] = [json.loads(line) for line in missing.stdout.splitlines()]
    assert ("error", 3) == (error["kind"], missing.code)
    [change] = [json.loads(line) for line in done.stdout.splitlines()]
    assert (0, "joined", "payments") == (done.code, change["change"], change["instance"]["service"])


@newest
async def test_a_watch_that_nobody_reads_ends(natsmith: Natsmith, nats_connection: nats.aio.client.Client) -> None:
    await make(nats_connection, ttl=30)
    process = await natsmith.start("registry", "watch")
    assert process.stdout is not None
    process.stdout._transport.close()  # type: ignore[attr-defined]  # asyncio offers no other way to stop reading
    for number in itertools.count():
        await put(nats_connection, f"s.{number}", entry())
        if process.returncode is not None:
            break
        await asyncio.sleep(0.05)

    assert 0 == process.returncode


@newest
async def test_one_account_has_the_registry(natsmith: Natsmith, connection: Connection) -> None:
    one = {"server": connection.server, "user": connection.user, "password": connection.password}
    natsmith.write("connections.json", json.dumps({"accounts": {"a": one, "b": one}}))

    refused = await natsmith("registry", "list", "--connections", "connections.json", NATS_USER="", NATS_PASSWORD="")

    assert 2 == refused.code, refused.text
