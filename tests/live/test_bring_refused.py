"""What keeps streams from being brought is said before anything is lost: rights, room, words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bringing import names
from cli import Natsmith
from embedded import Embedded, nats_server
from natsmith.adapters.connections import Connection
from versions import VERSIONS, Hands, binary

READS = [
    "$JS.API.INFO",
    "$JS.API.STREAM.LIST",
    "$JS.API.STREAM.INFO.*",
    "$JS.API.CONSUMER.LIST.*",
    "$JS.SNAPSHOT.ACK.>",
]
SENDS = "$JS.API.STREAM.SNAPSHOT.*"
Serve = Callable[..., Embedded]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Run servers with an account A for a test: a user a who may do all, and p who may do what is said."""
    with ExitStack() as stack:

        def one(version: str = VERSIONS[-1], allowed: list[str] | None = None, **limits: Any) -> Embedded:
            users: list[dict[str, Any]] = [{"user": "a", "password": "pw"}]
            users += [{"user": "p", "password": "pw", "permissions": {"publish": {"allow": allowed or [">"]}}}]
            accounts = {"A": {"jetstream": limits or "enabled", "users": users}}
            return stack.enter_context(nats_server(binary(version), {"accounts": accounts}))

        yield one


def at(server: Embedded, user: str) -> Connection:
    """Return a user's connection."""
    return Connection(server=server.url, user=user, password="pw")


async def test_reading_is_enough_at_the_other_server(serve: Serve, hands: Hands, tmp_path: Path) -> None:
    """With the rights of the chart's former server; without the one to send, that is named, and nothing has come."""
    for allowed, code in (([*READS, SENDS], 0), (READS, 3)):
        there, here = serve(allowed=allowed), serve()
        one, many = await hands(at(there, "a")), await hands(at(here, "a"))
        await one.stream("S", subjects=["s"])
        await one.write("s", 300, b"x" * 20_000)  # many pieces, each acknowledged
        ran = await Natsmith(tmp_path, at(here, "p"))("bring", "--from", there.url)
        assert code == ran.code, ran.text
        if code:
            assert "grant that user publish on $JS.API.STREAM.SNAPSHOT" in ran.stderr
            assert [] == await names(many)
        else:
            assert await one.messages("S") == await many.messages("S")


@pytest.mark.parametrize("release", VERSIONS)
async def test_what_has_no_room_leaves_nothing(serve: Serve, hands: Hands, tmp_path: Path, release: str) -> None:
    there, here = serve(release), serve(release, max_file=1_000_000, max_mem=0)
    one, many = await hands(at(there, "a")), await hands(at(here, "a"))
    await one.stream("S", subjects=["s"])
    await one.write("s", 40, b"x" * 100_000)
    ran = await Natsmith(tmp_path, at(here, "a"))("bring", "--from", there.url)
    assert 3 == ran.code, ran.text
    assert "stream S could not be brought" in ran.stderr
    assert "nats.jetstream.maxFileStore" in ran.stderr or "accounts.NAME.jetstream" in ran.stderr
    assert [] == await names(many)
    assert 40 == (await one.api("STREAM.INFO.S"))["state"]["messages"]


async def test_a_server_that_goes_meanwhile_is_waited_for_and_leaves_nothing(
    serve: Serve, hands: Hands, tmp_path: Path
) -> None:
    """Its half is removed, and the next run brings it."""
    there, here = serve(), serve()
    one, many = await hands(at(there, "a")), await hands(at(here, "a"))
    await one.stream("S", subjects=["s"])
    await one.write("s", 400, b"x" * 100_000)
    natsmith = Natsmith(tmp_path, at(here, "a"))
    process = await natsmith.start("bring", "--from", there.url)
    assert process.stderr
    await process.stderr.readline()
    there.kill()
    _, said = await process.communicate()
    assert process.returncode in (0, 75), said.decode()
    if process.returncode:
        assert [] == await names(many)
    there.start()
    ran = await natsmith("bring", "--from", there.url)
    assert 0 == ran.code, ran.text
    assert 400 == (await many.api("STREAM.INFO.S"))["state"]["messages"]
