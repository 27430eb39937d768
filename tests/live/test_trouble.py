"""What goes wrong around a run: servers that boot, die or refuse, and runs that meet."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import nats.aio.client
import pytest

from cli import Natsmith
from embedded import Embedded
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import JetStream
from waiting import Eventually

REGISTRY = "buckets: {service_registry: {ttlSeconds: 30}}"
SECRET = "correct-horse-battery-staple"


def many(count: int, ttl: int) -> dict[str, Any]:
    return {"buckets": {f"b{number}": {"ttlSeconds": ttl} for number in range(count)}}


async def ages(server: JetStream) -> list[int]:
    return [
        info.config["max_age"] // 10**9
        for info in await server.streams()
        if not info.config["name"].startswith("KV_natsmith")
    ]


async def test_a_server_that_is_still_booting_is_waited_for(
    tmp_path: Path, private_server: Callable[..., Embedded]
) -> None:
    """A Job may start before its server; one line says what is waited for."""
    server = private_server()
    server.kill()
    natsmith = Natsmith(tmp_path, Connection(server=server.url))
    natsmith.write("values.yaml", REGISTRY)
    process = await natsmith.start("apply", "-f", "values.yaml")
    assert process.stderr is not None
    waiting = (await process.stderr.readline()).decode()

    server.start()
    stdout, _ = await process.communicate()

    assert "waiting" in waiting
    assert server.url in waiting
    assert 0 == process.returncode
    assert "1 change applied" in stdout.decode()


async def test_nobody_there(tmp_path: Path) -> None:
    """After --timeout: who was asked, what came back, what to do; try later."""
    natsmith = Natsmith(tmp_path, Connection(server="nats://127.0.0.1:1"))

    result = await natsmith("status", "--timeout", "0.5")

    assert 75 == result.code
    assert natsmith.connection.server in result.stderr
    assert "NATS_URL" in result.stderr or "--server" in result.stderr


async def test_a_password_is_never_shown(tmp_path: Path, private_server: Callable[..., Embedded]) -> None:
    """Not in an error, wherever it came from, and not in JSON."""
    server = private_server(authorization={"user": "me", "password": "another"})
    address = f"127.0.0.1:{server.port}"
    natsmith = Natsmith(tmp_path, Connection(server=server.url, user="me", password=SECRET))
    natsmith.write("values.yaml", REGISTRY)
    natsmith.write("password", SECRET)
    ways: list[tuple[list[str], dict[str, str]]] = [
        ([], {}),
        ([], {"NATS_USER": "", "NATS_PASSWORD": "", "NATS_URL": f"nats://me:{SECRET}@{address}"}),
        (["--password-file", "password"], {"NATS_PASSWORD": ""}),
        (["--server", f"nats://me:{SECRET}@{address}"], {"NATS_USER": "", "NATS_PASSWORD": ""}),
        (["--log", "json"], {}),
    ]

    for words, environment in ways:
        result = await natsmith(
            "plan", "-f", "values.yaml", "--timeout", "0.5", "--output", "json", *words, **environment
        )

        assert 75 == result.code, result.text
        assert SECRET not in result.text
        assert "me" in result.stderr
        assert "error" == json.loads(result.stdout)["kind"]


@pytest.mark.parametrize(
    "denied",
    ["STREAM.CREATE.KV_service_registry", "STREAM.LIST", "STREAM.INFO.KV_natsmith_state", "STREAM.UPDATE.*"],
)
async def test_one_right_too_few(tmp_path: Path, private_server: Callable[..., Embedded], denied: str) -> None:
    """It is named with who may give it; what is waited for until a time-out is called an answer that did not come."""
    user = {"user": "me", "password": "pw", "permissions": {"publish": {"deny": [f"$JS.API.{denied}"]}}}
    owner = {"user": "owner", "password": "pw"}
    server = private_server(accounts={"APP": {"jetstream": "enabled", "users": [user, owner]}})
    boss = Natsmith(tmp_path, Connection(server=server.url, user="owner", password="pw"))
    natsmith = Natsmith(tmp_path, Connection(server=server.url, user="me", password="pw"))
    natsmith.write("values.yaml", REGISTRY)
    words = ["apply", "-f", "values.yaml"]
    if "UPDATE" in denied:
        assert 0 == (await boss(*words)).code
        words += ["--set", "buckets.service_registry.ttlSeconds=60"]

    result = await natsmith(*words)

    assert 3 == result.code, result.text
    assert f"$JS.API.{denied.removesuffix('*').rstrip('.')}" in result.stderr
    assert "me" in result.stderr


async def test_a_server_that_dies_halfway(
    tmp_path: Path, private_server: Callable[..., Embedded], eventually: Eventually
) -> None:
    """The run says how far it came; the next one goes on from there and loses nothing."""
    server = private_server()
    natsmith = Natsmith(tmp_path, Connection(server=server.url))
    natsmith.write("values.json", json.dumps(many(800, 30)))
    process = await natsmith.start("apply", "-f", "values.json")
    data = Path(server.home, "data", "jetstream", "$G", "streams")

    async def some_are_there() -> bool:
        return len(await asyncio.to_thread(lambda: [*data.glob("*")])) > 50

    await eventually(some_are_there, within=20)
    server.kill()
    _, stderr = await process.communicate()
    server.start()
    again = await natsmith("apply", "-f", "values.json", "--timeout", "40")
    last = await natsmith("plan", "-f", "values.json", "--check")

    assert process.returncode in {1, 75}, stderr.decode()
    assert "Traceback" not in stderr.decode()
    assert 0 == again.code, again.text
    assert 0 == last.code, last.text


async def test_two_at_once(natsmith: Natsmith, server: JetStream) -> None:
    """Both end well, one after the other, and the account is as one of them says, whole."""
    natsmith.write("one.json", json.dumps(many(300, 30)))
    natsmith.write("two.json", json.dumps(many(300, 60)))

    results = await asyncio.gather(natsmith("apply", "-f", "one.json"), natsmith("apply", "-f", "two.json"))

    assert [0, 0] == [result.code for result in results], [result.text for result in results]
    assert 1 == len(set(await ages(server)))
    assert 300 == len(await ages(server))


async def test_a_run_that_was_paused_past_its_lease_does_no_harm(
    natsmith: Natsmith, server: JetStream, connection: Connection, eventually: Eventually
) -> None:
    """Another run took over meanwhile; the one that wakes writes nothing more and says why."""
    old, new = many(300, 30), many(300, 60)
    paused = await asyncio.create_subprocess_exec(
        sys.executable,
        Path(__file__).with_name("paused.py"),
        json.dumps(asdict(connection)),
        json.dumps(old),
        stdout=asyncio.subprocess.PIPE,
    )

    async def it_paused_itself() -> bool:
        state = await asyncio.create_subprocess_exec(
            "ps", "-o", "stat=", "-p", str(paused.pid), stdout=asyncio.subprocess.PIPE
        )
        return (await state.communicate())[0].startswith(b"T")

    try:
        await eventually(it_paused_itself, within=20)
        natsmith.write("new.json", json.dumps(new))
        takeover = await natsmith("apply", "-f", "new.json")
    finally:
        paused.send_signal(signal.SIGCONT)
    stdout, _ = await paused.communicate()

    assert 0 == takeover.code, takeover.text
    assert 1 == paused.returncode, stdout.decode()
    assert "lost its lock" in stdout.decode()
    assert {60} == set(await ages(server))
    assert 0 == (await natsmith("plan", "-f", "new.json", "--check")).code


async def test_a_run_that_is_told_to_stop_gives_the_lock_back(
    natsmith: Natsmith, nats_connection: nats.aio.client.Client
) -> None:
    """Kubernetes sends SIGTERM; the next run need not wait for the lease."""
    natsmith.write("values.json", json.dumps(many(1000, 30)))
    created = await nats_connection.subscribe("$JS.EVENT.ADVISORY.STREAM.CREATED.>")
    await nats_connection.flush()
    process = await natsmith.start("apply", "-f", "values.json")
    for _ in range(20):
        await created.next_msg(timeout=20)
    process.send_signal(signal.SIGTERM)
    _, stderr = await process.communicate()
    again = await natsmith("apply", "-f", "values.json", "--timeout", "3")

    assert 1 == process.returncode
    assert "stopped by a signal" in stderr.decode()
    assert 0 == again.code, again.text


async def test_a_second_account_that_fails_does_not_hide_the_first(
    tmp_path: Path, private_server: Callable[..., Embedded]
) -> None:
    """The first account was changed, so it is a stop halfway, and what was done is told."""
    denied = {"publish": {"deny": ["$JS.API.STREAM.CREATE.KV_two"]}}
    users: dict[str, dict[str, Any]] = {
        "ONE": {"user": "one", "password": "pw"},
        "TWO": {"user": "two", "password": "pw", "permissions": denied},
    }
    server = private_server(accounts={name: {"jetstream": "enabled", "users": [user]} for name, user in users.items()})
    natsmith = Natsmith(tmp_path, Connection(server=server.url))
    accounts = {name: {"user": user["user"], "password": "pw"} for name, user in users.items()}
    natsmith.write("connections.json", json.dumps({"server": server.url, "accounts": accounts}))
    values = {
        "accounts": {"ONE": {}, "TWO": {}},
        "buckets": {"one": {"account": "ONE"}, "two": {"account": "TWO"}},
    }
    natsmith.write("values.json", json.dumps(values))
    words = ["apply", "-f", "values.json", "--connections", "connections.json"]

    told = await natsmith(*words, NATS_USER="", NATS_PASSWORD="")
    assert 1 == told.code, told.text
    assert "create bucket one" in told.stdout
    assert "two may not publish" in told.stderr

    again = await natsmith(*words, "--output", "json", NATS_USER="", NATS_PASSWORD="")
    assert 3 == again.code, again.text
    assert "error" == json.loads(again.stdout)["kind"]


async def test_a_token_is_not_repeated_in_the_command_to_run_next(
    tmp_path: Path, private_server: Callable[..., Embedded]
) -> None:
    """A user without a password is a token, and a hint ends up in logs."""
    server = private_server(authorization={"token": SECRET})
    natsmith = Natsmith(tmp_path, Connection(server=server.url))
    natsmith.write("values.yaml", REGISTRY)

    result = await natsmith("plan", "-f", "values.yaml", "--user", SECRET)

    assert 0 == result.code, result.text
    assert SECRET not in result.text
