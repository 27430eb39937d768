"""Connecting: what is waited for, and what is refused at once."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nkeys
import pytest

from embedded import Embedded
from natsmith.adapters.connections import Connection, from_environment
from natsmith.adapters.jetstream import connect
from natsmith.errors import DecisionNeeded, NotReady, WrongValues
from natsmith.log import Log

Start = Callable[..., Embedded]
PASSWORD = "s3cret"


@pytest.fixture
def release(newest: str) -> str:
    """Name one version: how to connect does not depend on it."""
    return newest


@pytest.fixture
def told() -> io.StringIO:
    """Hold what was logged."""
    return io.StringIO()


@pytest.fixture
def nobody() -> Iterator[str]:
    """Give an address that stays without a server: its port is taken, and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def account(**user: Any) -> dict[str, Any]:
    """Return the part of a server's configuration with one user u."""
    return {"accounts": {"A": {"jetstream": "enabled", "users": [{"user": "u", "password": PASSWORD, **user}]}}}


def as_u(embedded: Embedded, **more: str) -> Connection:
    return Connection(**{"server": embedded.url, "user": "u", "password": PASSWORD, **more})


async def error_of(connection: Connection, family: type[Exception], told: io.StringIO, timeout: float = 0.5) -> str:
    """Return what connecting says in vain; never the password, and not much later than allowed."""
    began = time.monotonic()
    with pytest.raises(family) as error:
        await connect(connection, timeout=timeout, log=Log(stream=told))
    assert time.monotonic() - began < timeout + 5
    assert PASSWORD not in str(error.value) + told.getvalue()
    return str(error.value)


async def test_a_server_that_begins_later_is_waited_for_and_told_once(private_server: Start, told: io.StringIO) -> None:
    embedded = private_server()
    embedded.kill()
    waiting = asyncio.create_task(connect(Connection(server=embedded.url), timeout=20, log=Log(stream=told)))
    # Time itself is what is waited for: several attempts must fail.
    await asyncio.sleep(0.8)
    await asyncio.to_thread(embedded.start)

    async with await waiting as server:
        assert await server.streams() == []
    assert told.getvalue() == f'server.waiting server={embedded.url} reason="connection refused"\n'


async def test_a_server_that_never_begins_is_named_with_its_user_and_the_reason(nobody: str, told: io.StringIO) -> None:
    address = nobody
    inside = Connection(server=f"nats://x:{PASSWORD}@{address}", user="u", password=PASSWORD)

    assert await error_of(inside, NotReady, told) == (
        f"nats://{address} was not ready for user u within 0.5 s: connection refused. "
        "Check that the server runs, and its address in --server, NATS_URL or the context"
    )


async def test_a_refused_password_is_tried_until_the_time_is_over(private_server: Start, told: io.StringIO) -> None:
    embedded = private_server(**account(password="another"))

    error = await error_of(as_u(embedded), NotReady, told)
    assert "for user u within 0.5 s: it refuses the user or its credentials" in error
    assert told.getvalue().count("\n") == 1


async def test_a_password_that_the_server_learns_later_is_waited_for(private_server: Start, told: io.StringIO) -> None:
    embedded = private_server(**account(password="another"))
    waiting = asyncio.create_task(connect(as_u(embedded), timeout=20, log=Log(stream=told)))
    # Time itself is what is waited for: several attempts must fail.
    await asyncio.sleep(0.6)
    await asyncio.to_thread(reload, embedded, account())

    async with await waiting as server:
        assert (await server.account()).version
    assert told.getvalue().count("\n") == 1


def reload(embedded: Embedded, change: dict[str, Any]) -> None:
    embedded.config.write_text(json.dumps({**json.loads(embedded.config.read_text()), **change}))
    embedded.signal(signal.SIGHUP)


async def test_an_account_without_jetstream_needs_a_decision(private_server: Start, told: io.StringIO) -> None:
    embedded = private_server(accounts={"A": {"users": [{"user": "u", "password": PASSWORD}]}})

    assert "the account has no JetStream. Enable JetStream for this account" in await error_of(
        as_u(embedded), DecisionNeeded, told
    )


async def test_a_server_without_jetstream_may_get_it_later(private_server: Start, told: io.StringIO) -> None:
    embedded = private_server(jetstream=False)

    assert "JetStream does not answer yet" in await error_of(Connection(server=embedded.url), NotReady, told)


async def test_a_user_who_may_not_ask_is_told_at_once(private_server: Start, told: io.StringIO) -> None:
    embedded = private_server(**account(permissions={"publish": ["x"], "subscribe": [">"]}))

    error = await error_of(as_u(embedded), DecisionNeeded, told, timeout=20)
    assert "user u may not publish on $JS.API.INFO" in error


async def test_a_user_who_may_not_hear_answers_is_told_at_once(private_server: Start, told: io.StringIO) -> None:
    embedded = private_server(**account(permissions={"publish": [">"], "subscribe": ["_INBOX_u.>"]}))

    error = await error_of(as_u(embedded), DecisionNeeded, told, timeout=20)
    assert "user u may not receive answers on _INBOX." in error
    async with await connect(as_u(embedded, inbox_prefix="_INBOX_u"), timeout=10, log=Log()) as server:
        assert await server.streams() == []


async def test_a_user_without_a_password_is_told_to_be_taken_as_a_token(
    private_server: Start, told: io.StringIO
) -> None:
    embedded = private_server(**account())
    forgotten = from_environment({"NATS_URL": embedded.url, "NATS_USER": "u"}, object(), home=None)

    assert (
        "was not ready for the user in NATS_USER, taken as a token because there is no password "
        "(set NATS_PASSWORD or --password-file) within 0.5 s: it refuses the user or its credentials"
    ) in await error_of(forgotten, NotReady, told)


async def test_a_file_whose_name_holds_a_null_character_is_named(told: io.StringIO) -> None:
    assert "cannot be read: its name holds a null character" in await error_of(
        Connection(creds="a\0b"), WrongValues, told
    )


async def test_every_file_that_is_missing_is_named_at_once(told: io.StringIO) -> None:
    missing = Connection(creds="/no/creds", nkey="/no/nkey", tls_ca="/no/ca", tls_cert="/no/cert", tls_key="/no/key")

    problems = (await error_of(missing, WrongValues, told)).splitlines()
    assert [each.split(" cannot be read: ")[0] for each in problems] == [
        "the credentials file /no/creds",
        "the nkey seed file /no/nkey",
        "the CA certificate /no/ca",
        "the client certificate /no/cert",
        "the client key /no/key",
    ]


@pytest.mark.parametrize(
    ("setting", "content", "problem"),
    [
        ("creds", "nothing\n", "does not hold a user's JWT and seed"),
        ("creds", "-----BEGIN NATS USER JWT-----\neyJ\n", "does not hold a user's JWT and seed"),
        ("nkey", "SUnothing\n", "does not hold the seed of a user's nkey"),
        ("nkey", "", "does not hold the seed of a user's nkey"),
        ("tls_ca", "nothing\n", "They must be PEM"),
        ("tls_cert", "nothing\n", "They must be PEM"),
    ],
)
async def test_a_file_with_something_else_inside_is_named(
    tmp_path: Path, told: io.StringIO, setting: str, content: str, problem: str
) -> None:
    file = tmp_path / "file"
    file.write_text(content)

    error = await error_of(Connection(**{setting: str(file)}), WrongValues, told)
    assert str(file) in error
    assert problem in error


async def test_an_nkey_is_a_user(private_server: Start, tmp_path: Path) -> None:
    seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)  # type: ignore[no-untyped-call]  # nkeys has no types
    public = nkeys.from_seed(seed).public_key.decode()  # type: ignore[no-untyped-call]  # nkeys has no types
    file = tmp_path / "seed"
    file.write_bytes(seed)
    embedded = private_server(accounts={"A": {"jetstream": "enabled", "users": [{"nkey": public}]}})

    async with await connect(Connection(server=embedded.url, nkey=str(file)), timeout=10, log=Log()) as server:
        assert await server.streams() == []


async def test_an_address_that_is_none_is_refused(told: io.StringIO) -> None:
    assert "write nats://host:4222" in await error_of(Connection(server="nats://host:port"), WrongValues, told)


async def test_tls_that_is_asked_for_is_not_done_without(private_server: Start, told: io.StringIO) -> None:
    embedded = private_server()
    asked = Connection(server=embedded.url.replace("nats://", "tls://"))

    assert "does not speak TLS" in await error_of(asked, DecisionNeeded, told)


async def test_the_servers_of_a_cluster_are_tried_one_after_the_other(
    private_server: Start, nobody: str, told: io.StringIO
) -> None:
    embedded = private_server()
    several = Connection(server=f"nats://{nobody},{embedded.url}")

    async with await connect(several, timeout=10, log=Log(stream=told)) as server:
        assert await server.streams() == []
