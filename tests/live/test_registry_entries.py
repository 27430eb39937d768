"""Entries of a registry: what other writers wrote, what somebody deletes, and when one is over."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from nats.aio.client import Client

from natsmith.registry import NatsmithError, Registry
from registering import api, ids, make, put, steadily, watching

LATER = 7200


@pytest.fixture
def release(newest: str) -> str:
    """Name the newest server: entries do not depend on its version."""
    return newest


async def test_an_entry_that_somebody_deletes_comes_back(client: Client, other: Registry) -> None:
    await make(client)
    async with watching(other) as heard, Registry(client) as registry, registry.instance("payments", id="a"):
        await heard.until("joined payments.a")
        await api(client, "STREAM.PURGE.KV_service_registry")
        await client.publish("$KV.service_registry.payments.a", b"", headers={"KV-Operation": "DEL"})
        await heard.until("left payments.a")
        heard.changes.clear()

        await heard.until("joined payments.a")


async def test_a_ttl_of_its_own_where_the_server_can(client: Client, other: Registry) -> None:
    await make(client, ttl=0, per_key=True)
    async with (
        Registry(client) as registry,
        watching(other) as heard,
        registry.instance("payments", id="a", ttl=1) as own,
    ):
        assert ("key", 1) == (own.expiry.by, own.expiry.seconds)
        await heard.until("joined payments.a")
        found = await api(client, "STREAM.MSG.GET.KV_service_registry", {"last_by_subj": "$KV.service_registry.>"})
        assert b"Nats-TTL: 1s" in base64.b64decode(found["message"]["hdrs"])
        await steadily(2.5, lambda: ["joined payments.a"] == heard.told, lambda: heard.told)


async def test_readers_expire_where_the_server_does_not_and_no_clock_of_theirs_matters(
    client: Client, other: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make(client, ttl=0, history=2)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + LATER)
    async with watching(other) as heard:
        began = time.monotonic()
        await put(client, "payments.a", b'{"v":1,"status":"healthy","ttl":1}')
        await heard.until("joined payments.a")
        await heard.until("expired payments.a")

        assert 5 < time.monotonic() - began < 1 + 5 + 4
        assert () == await other.instances("payments")
        async with Registry(client) as fresh:
            assert () == await fresh.instances("payments")


@pytest.mark.parametrize(
    ("key", "said", "expected"),
    [
        ("payments.a", {"status": "UP", "instance_id": "i", "zone": "b"}, ("payments", "i", {"zone": "b"})),
        ("k", {"serviceName": "payments", "instanceId": "i", "lastHeartbeat": 12.5}, ("payments", "i", {})),
        ("payments.a.b", {"v": 1, "metadata": {"x": 1}}, ("payments", "a.b", {"x": 1})),
        ("payments.a", {"v": 7, "status": "healthy", "new": True}, ("payments", "a", {})),
    ],
)
async def test_what_other_writers_wrote_is_read(
    client: Client, other: Registry, key: str, said: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    await make(client, ttl=30)
    await put(client, key, json.dumps(said).encode())

    assert [expected] == [(each.service, each.id, each.metadata) for each in await other.instances("payments")]


async def test_no_reader_falls_over_an_entry_that_is_none(client: Client, other: Registry) -> None:
    await make(client, ttl=30)
    broken = [
        b"",
        b"\xff\x00",
        b"[1]",
        b"null",
        b"{}" * 9,
        b'{"v":"x"}',
        b'{"status":5}',
        b'{"metadata":[1]}',
        b"x" * 900_000,
    ]
    for number, payload in enumerate([*broken, b"[" * 50_000, b'{"ttl":1e999}', b'{"v":' + b"9" * 5000 + b"}"]):
        await put(client, f"payments.{number}", payload)
    async with watching(other) as heard, Registry(client) as registry, registry.instance("payments", id="good"):
        await heard.until("joined payments.good")
        await put(client, "payments.0", b"still none")

        assert ["good"] == ids(await other.instances("payments"))


async def test_metadata_that_the_application_changes_later_is_not_told_until_it_says_so(
    client: Client, other: Registry
) -> None:
    """And what it cannot say does not keep it from going back to what it said before."""
    await make(client, ttl=2)
    info = await api(client, "STREAM.INFO.KV_service_registry")
    await api(client, "STREAM.UPDATE.KV_service_registry", info["config"] | {"max_msg_size": 1000})
    metadata: dict[str, Any] = {"ports": [80]}
    async with (
        watching(other) as heard,
        Registry(client) as registry,
        registry.instance("payments", id="a", metadata=metadata) as own,
    ):
        metadata["ports"].append(object())
        with pytest.raises(NatsmithError, match="maximum"):
            await own.say(metadata={"much": "x" * 2000})
        await own.draining()
        await steadily(3, lambda: own.trouble is None, lambda: own.trouble)

        assert {"ports": [80]} == heard.changes[-1].instance.metadata
        assert ["joined payments.a", "changed payments.a"] == heard.told
