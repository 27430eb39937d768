"""What the users of a release may do, and what they may not."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import nats.aio.client
import nats.errors
import nkeys
import pytest

from installed import Installed, connected
from natsmith.model.units import Json
from waiting import Eventually

ROOT = Path(__file__).parents[2]
ACCOUNTS = ROOT / "charts/natsmith/ci/accounts-values.yaml"
Install = Callable[..., Installed]
Act = Callable[[nats.aio.client.Client], Awaitable[object]]


@pytest.fixture
def running(install: Install) -> Installed:
    return install(ACCOUNTS)


def publish(subject: str) -> Act:
    return lambda client: client.publish(subject, b"x")


def subscribe(subject: str) -> Act:
    return lambda client: client.subscribe(subject)


async def denied(running: Installed, login: str, act: Act, eventually: Eventually, **more: Any) -> str:
    """Return what the server says against it, or nothing; *login* may not publish on ``$denied``, and that comes last."""
    errors: list[str] = []

    async def note(error: Exception) -> None:
        errors.append(str(error))

    async def over() -> bool:
        return any("$denied" in each for each in errors)

    client = await running.connect(login, error_cb=note, **more)
    await act(client)
    await client.publish("$denied", b"")
    await client.flush()
    await eventually(over, within=5)
    await client.close()
    return " ".join(each for each in errors if "$denied" not in each)


async def answer(client: nats.aio.client.Client, subject: str, body: Json = None) -> dict[str, Any]:
    payload = b"" if body is None else json.dumps(body).encode()
    found: dict[str, Any] = json.loads((await client.request(subject, payload, timeout=5)).data)
    return found


async def test_an_application_makes_a_bucket_and_puts_and_gets(running: Installed) -> None:
    client = await running.connect("orders")
    bucket = await client.jetstream().create_key_value(bucket="own")
    await bucket.put("a", b"1")

    assert b"1" == (await bucket.get("a")).value
    await client.close()


async def test_an_account_sees_nothing_of_another(running: Installed) -> None:
    """What the other publishes comes first, and only its own arrives."""
    orders, billing = await running.connect("orders"), await running.connect("billing")
    seen = await billing.subscribe(">")
    await billing.flush()
    await orders.publish("orders.new", b"theirs")
    await orders.flush()
    await billing.publish("billing.new", b"own")

    assert b"own" == (await seen.next_msg(timeout=5)).data
    await orders.close()
    await billing.close()


async def test_an_account_sees_no_bucket_of_another(running: Installed) -> None:
    assert 0 == (await running.job()).code
    client = await running.connect("billing")
    streams = {each.config.name for each in await client.jetstream().streams_info()}
    await client.close()

    assert {"KV_invoices", "KV_natsmith_state"} == streams


@pytest.mark.parametrize("login", ["orders", "provisioner-ORDERS"])
@pytest.mark.parametrize("subject", ["$SYS.REQ.SERVER.PING", "$SYS.REQ.ACCOUNT.BILLING.INFO"])
async def test_nobody_but_the_system_user_asks_the_server(running: Installed, login: str, subject: str) -> None:
    client = await running.connect(login, inbox_prefix=prefix(login))
    with pytest.raises((nats.errors.NoRespondersError, nats.errors.TimeoutError)):
        await client.request(subject, b"", timeout=0.5)
    await client.close()


def prefix(login: str) -> str:
    return "_INBOX_natsmith" if login.startswith("provisioner-") else "_INBOX"


async def test_an_application_hears_nothing_of_the_server(running: Installed) -> None:
    """A connection of another account is an event of the system account only."""
    billing = await running.connect("billing")
    seen = await billing.subscribe("$SYS.>")
    await billing.flush()
    await (await running.connect("orders")).close()
    await billing.publish("$SYS.own", b"own")

    assert b"own" == (await seen.next_msg(timeout=5)).data
    await billing.close()


@pytest.mark.parametrize(
    "subject", ["$JS.API.STREAM.INFO.KV_carts", "$JS.API.DIRECT.GET.KV_carts.$KV.carts.a", "$JS.API.STREAM.MSG.GET.X"]
)
async def test_permissions_allow_what_they_say(running: Installed, subject: str, eventually: Eventually) -> None:
    assert "" == await denied(running, "reader", publish(subject), eventually)


@pytest.mark.parametrize(
    "act",
    [
        publish("$KV.carts.a"),
        publish("$JS.API.STREAM.CREATE.X"),
        publish("$JS.API.STREAM.INFO.a.b"),
        publish("_INBOX.x"),
        subscribe(">"),
        subscribe("$KV.>"),
    ],
)
async def test_permissions_allow_nothing_else(running: Installed, act: Act, eventually: Eventually) -> None:
    assert "permissions violation" in await denied(running, "reader", act, eventually)


@pytest.mark.parametrize(
    "act",
    [
        publish("$KV.carts.x"),
        publish("orders.new"),
        publish("$JS.ACK.x"),
        publish("$JS.API.CONSUMER.MSG.NEXT.KV_carts.c"),
        publish("$JS.API.STREAM.RESTORE.KV_carts"),
        publish("$SYS.REQ.SERVER.PING"),
        subscribe(">"),
        subscribe("orders.>"),
        subscribe("$KV.carts.>"),
        subscribe("$JS.EVENT.>"),
        subscribe("_INBOX.>"),
    ],
)
async def test_a_provisioner_neither_speaks_nor_listens_where_applications_do(
    running: Installed, act: Act, eventually: Eventually
) -> None:
    assert "permissions violation" in await denied(
        running, "provisioner-ORDERS", act, eventually, inbox_prefix=prefix("provisioner-")
    )


async def test_the_system_user_asks_the_server_and_has_no_jetstream(running: Installed) -> None:
    client = await running.connect("sys")

    assert "dev-natsmith-0" == (await answer(client, "$SYS.REQ.SERVER.PING"))["server"]["name"]
    assert "not enabled" in (await answer(client, "$JS.API.INFO"))["error"]["description"]
    await client.close()


async def test_an_account_has_the_limits_of_the_values(running: Installed) -> None:
    client = await running.connect("orders")
    limits = (await answer(client, "$JS.API.INFO"))["limits"]
    await client.close()

    names = ("max_memory", "max_storage", "max_streams", "max_consumers")
    assert (16 * 2**20, 64 * 2**20, 10, 20) == tuple(limits[name] for name in names)


def key() -> tuple[str, str]:
    """Return an nkey's public key and its seed."""
    seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)  # type: ignore[no-untyped-call]  # nkeys has no types
    public = nkeys.from_seed(seed).public_key.decode()  # type: ignore[no-untyped-call]  # nkeys has no types
    return public, seed.decode()


async def test_users_with_nkeys_need_no_password_anywhere(install: Install, tmp_path: Path) -> None:
    """The values hold public keys; the provisioner and helm test find the seeds in Secrets of somebody else's."""
    keys = {name: key() for name in ("sys", "reloader", "provisioner", "app")}
    seeds = [
        {"kind": "Secret", "metadata": {"name": f"{name}-seed"}, "stringData": {f"{name}.seed": seed, "seed": seed}}
        for name, (_, seed) in keys.items()
    ]
    account = {
        "users": {"web": {"nkey": keys["app"][0], "seedSecret": {"name": "app-seed", "key": "app.seed"}}},
        "provisioner": {"nkey": keys["provisioner"][0], "seedSecret": {"name": "provisioner-seed"}},
    }
    values = {
        "nats": {
            "systemUser": {"nkey": keys["sys"][0]},
            "reloader": {"nkey": keys["reloader"][0], "seedSecret": {"name": "reloader-seed"}},
        },
        "accounts": {"APP": account},
        "buckets": {"sessions": {"ttlSeconds": 300}},
    }
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps(values))
    running = install(file, others=seeds)

    assert [] == running.rendered.all("Secret")
    for name, (_, seed) in keys.items():
        (tmp_path / name).write_text(seed)
        await (await connected(servers=[running.url], nkeys_seed=str(tmp_path / name))).close()
    (tmp_path / "another").write_text(key()[1])
    with pytest.raises((nats.errors.Error, ConnectionError)):
        await connected(servers=[running.url], nkeys_seed=str(tmp_path / "another"))
    job = await running.job()
    assert 0 == job.code, job.text
    proof = await running.test()
    assert 0 == proof.code, proof.text
    assert "Applications put and get in 1 bucket" in proof.last
