"""Three servers whose stores run full: what keeps an account from it, what happens without, and the way out of docs/full.md."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nats.errors
import nats.js.errors
import pytest
from nats.js.kv import KeyValue

from chaos.raw import closed, connect
from chaos.servers import Site, three
from embedded import Embedded
from installed import Installed
from reloading import Install, formed, installed, values
from waiting import Eventually

MOST = 20_000_000
VALUE = b"x" * 50_000
FAILURES = (nats.errors.Error, nats.js.errors.APIError, OSError, TimeoutError)


def given(store: int, **limits: str) -> dict[str, Any]:
    """Return three servers that store so much each, and an account with these limits."""
    found = values(3)
    found["nats"]["jetstream"] = {"maxFileStore": f"{store // 1_000_000}M"}
    found["accounts"]["A"]["jetstream"] = limits
    return found


async def started(
    install: Install, tmp_path: Path, some: Mapping[str, Any], version: str, eventually: Eventually
) -> Installed:
    running = installed(install, tmp_path, some, version=version)
    await formed(running, eventually)
    job = await running.job()
    assert 0 == job.code, job.text
    return running


Known = Callable[[int], Awaitable[None]]


async def fill(bucket: KeyValue, known: Known | None = None) -> tuple[int, int]:
    """Put until nothing is taken, and return how many were, and the last refusal's code; *known* may hold it up."""
    for number in range(2 * MOST // len(VALUE)):
        if known:
            await known(number)
        try:
            await bucket.put(f"k{number}", VALUE)
        except nats.js.errors.APIError as refusal:
            return number, refusal.err_code or 0
        except FAILURES:
            return number, 0
    raise AssertionError("it took everything")


async def test_an_account_is_refused_before_the_servers_are_full(
    install: Install, tmp_path: Path, release: str, eventually: Eventually
) -> None:
    """It says no limit of its own; reading goes on, and what is removed makes room."""
    running = await started(install, tmp_path, given(MOST), release, eventually)
    client = await running.connect("b")
    stream = client.jetstream()
    bucket = await stream.key_value("kept")

    async def known(number: int) -> None:
        """Wait until a server knows how much all of them store: nobody fills them faster than they tell each other."""

        async def told() -> bool:
            return (await stream.account_info()).storage >= 3 * number * len(VALUE)

        if number * len(VALUE) > MOST * 0.75 and number % 20 == 0:
            await eventually(told, within=20)

    stored, code = await fill(bucket, known)

    assert 10002 == code
    assert MOST * 0.8 < stored * len(VALUE) < MOST
    assert VALUE == (await bucket.get("k1")).value
    assert "account file storage: " in (await running.natsmith()("status")).text
    await stream.purge_stream("KV_kept", keep=10)

    async def room() -> bool:
        try:
            return bool(await bucket.put("again", VALUE))
        except FAILURES:
            return False

    # Servers tell each other every second or so how much there is.
    await eventually(room, within=20)
    await client.close()


@contextmanager
def small(version: str) -> Iterator[Site]:
    """Run three servers of which each stores so much, and whose accounts have no limit."""
    with three(version, started=0) as site:
        for server in site.servers.values():
            store(server, MOST)
            server.start()
        yield site


def store(server: Embedded, most: int) -> None:
    """Say how much a server stores from its next start on."""
    config = json.loads(server.config.read_text())
    config["jetstream"]["max_file_store"] = most
    server.config.write_text(json.dumps(config))


async def test_servers_that_are_full_lead_their_streams_again_when_they_have_room(
    release: str, eventually: Eventually
) -> None:
    """Without an account's limit nothing is written, read or emptied; a larger store is given to one server after the other."""
    with small(release) as site:
        await site.ready()
        client = await connect(site.fresh())
        stream = client.jetstream(timeout=2)
        bucket = await stream.create_key_value(bucket="kept", replicas=3)
        stored, code = await fill(bucket)
        assert 10002 != code

        async def emptied() -> bool:
            return bool(await stream.purge_stream("KV_kept", keep=10))

        with pytest.raises(FAILURES):
            await emptied()

        for server in site.servers.values():
            server.stop()
            store(server, 2 * MOST)
            server.start()

        async def whole() -> bool:
            try:
                return (await bucket.get(f"k{stored - 1}")).value == VALUE and bool(await bucket.put("again", VALUE))
            except FAILURES:
                return False

        await eventually(whole, within=60)
        assert stored + 1 <= (await bucket.status()).values
        assert await emptied()
        await closed(client)
