"""A store that is full: what clients see, what natsmith says, and the ways out that docs/full.md tells."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import nats
import nats.errors
import pytest
from nats.aio.client import Client
from nats.js.errors import APIError
from nats.js.kv import KeyValue

from cli import Natsmith, Result
from embedded import Embedded
from natsmith.adapters.connections import Connection
from waiting import eventually

MOST = 2_000_000
VALUE = b"x" * 10_000
DOCUMENT = {"buckets": {"b": {"ttlSeconds": 3600}, "c": {}}}
Private = Callable[..., Embedded]


async def apply(natsmith: Natsmith, document: Mapping[str, Any], *words: str) -> Result:
    """Apply values."""
    natsmith.write("values.json", json.dumps(document))
    return await natsmith("apply", "-f", "values.json", *words)


def natsmith_of(home: Path, server: Embedded, user: str = "") -> Natsmith:
    return Natsmith(home, Connection(server=server.url, user=user, password=user))


async def fill(server: Embedded, *, user: str = "") -> tuple[Client, KeyValue, int]:
    """Put until the server refuses, and return with which code; a write that nobody answers is 0."""
    client = await nats.connect(server.url, user=user or None, password=user or None)
    bucket = await client.jetstream(timeout=2).key_value("b")
    for number in range(10_000):
        try:
            await bucket.put(f"k{number}", VALUE)
        except APIError as refusal:
            return client, bucket, refusal.err_code or 0
        except nats.errors.TimeoutError:
            return client, bucket, 0
    raise AssertionError("it took everything")


async def test_a_full_server_is_told_and_its_ways_out_work(private_server: Private, tmp_path: Path) -> None:
    """All of it refuses, natsmith's lock as well; what is removed makes room."""
    server = private_server(jetstream={"store_dir": str(tmp_path / "data"), "max_file_store": MOST})
    natsmith = natsmith_of(tmp_path, server)
    assert 0 == (await apply(natsmith, DOCUMENT)).code
    client, bucket, code = await fill(server)
    assert 10023 == code
    with pytest.raises(APIError, match="insufficient resources"):
        await (await client.jetstream().key_value("c")).put("a", b"small")
    assert VALUE == (await bucket.get("k1")).value

    shorter = {"buckets": {"b": {"ttlSeconds": 1800}, "c": {}}}
    refused = await apply(natsmith, shorter, "--timeout", "1")
    assert (3, True) == (refused.code, "raise nats.jetstream.maxFileStore" in refused.stderr)

    waiting = asyncio.create_task(apply(natsmith, shorter, "--timeout", "20"))
    await client.request("$JS.API.STREAM.PURGE.KV_b", json.dumps({"keep": 10}).encode())
    assert 0 == (await waiting).code
    await bucket.put("again", VALUE)
    await client.close()


async def test_a_full_account_is_told_and_a_shorter_life_makes_room(private_server: Private, tmp_path: Path) -> None:
    """The account's limit refuses what does not fit; the lock is small enough."""
    server = private_server(
        jetstream={"store_dir": str(tmp_path / "data")},
        accounts={
            "A": {"jetstream": {"max_file": MOST}, "users": [{"user": "a", "password": "a"}]},
            "$SYS": {"users": [{"user": "s", "password": "s"}]},
        },
    )
    natsmith = natsmith_of(tmp_path, server, "a")
    assert 0 == (await apply(natsmith, DOCUMENT)).code
    client, bucket, code = await fill(server, user="a")
    assert 10002 == code

    status = await natsmith("status")
    assert (
        "account file storage: 99 % of 2000000; full, what does not fit is refused; raise accounts.A.jetstream"
        in status.text
    ), status.text
    limits = json.loads((await natsmith("status", "--output", "json")).stdout)["accounts"][0]["limits"]
    assert limits["storage"][0] > MOST * 0.9
    assert MOST == limits["storage"][1]

    await asyncio.sleep(1.1)  # so old the entries have to be
    short = {"buckets": {"b": {"ttlSeconds": 1}, "c": {}}, "provisioner": {"loss": "allow"}}
    assert 0 == (await apply(natsmith, short)).code
    await bucket.put("again", VALUE)
    assert "full, what" not in (await natsmith("status")).text
    await client.close()


async def test_a_full_memory_store_leaves_files_alone(private_server: Private, tmp_path: Path) -> None:
    """Each kind of store has a limit of its own."""
    server = private_server(jetstream={"store_dir": str(tmp_path / "data"), "max_memory_store": MOST})
    natsmith = natsmith_of(tmp_path, server)
    assert 0 == (await apply(natsmith, {"buckets": {"b": {"storage": "memory"}, "c": {}}})).code
    client, _, code = await fill(server)
    assert 10023 == code

    await (await client.jetstream().key_value("c")).put("a", VALUE)
    shorter = {"buckets": {"b": {"storage": "memory", "ttlSeconds": 1800}, "c": {}}}
    assert 0 == (await apply(natsmith, shorter)).code
    await client.close()


async def test_a_full_bucket_is_told(private_server: Private, tmp_path: Path) -> None:
    server = private_server(jetstream={"store_dir": str(tmp_path / "data")})
    natsmith = natsmith_of(tmp_path, server)
    assert 0 == (await apply(natsmith, {"buckets": {"b": {"maxBytes": 200_000}}})).code
    client, bucket, code = await fill(server)
    assert 10077 == code

    assert "bucket b: 95 % of 200000; nearly full; raise its maxBytes" in (await natsmith("status")).text
    assert 0 == (await apply(natsmith, {"buckets": {"b": {"maxBytes": 400_000}}})).code
    await bucket.put("again", VALUE)
    await client.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a directory on a disk of 4 MiB."""
    if os.geteuid():
        pytest.skip("only root mounts a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "natsmith", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


async def test_a_full_disk_is_told_and_a_restart_goes_on(
    small_disk: Path, private_server: Private, tmp_path: Path
) -> None:
    """What was acknowledged is there; from 2.12 on the stream answers no write until its server starts again."""
    server = private_server(jetstream={"store_dir": str(small_disk / "data"), "max_file_store": 1 << 30})
    natsmith = natsmith_of(tmp_path, server)
    assert 0 == (await apply(natsmith, DOCUMENT)).code
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (1 << 20))
    client, bucket, code = await fill(server)
    assert code in (0, 10077)
    assert VALUE == (await bucket.get("k1")).value

    more = {"buckets": {**DOCUMENT["buckets"], "d": {}}}
    refused = await apply(natsmith, more, "--timeout", "3")
    assert refused.code

    filler.unlink()
    server.stop()
    server.start()
    await eventually(lambda: _stored(bucket), within=20)
    assert VALUE == (await bucket.get("k1")).value
    assert 0 == (await apply(natsmith, more)).code
    await client.close()


async def _stored(bucket: KeyValue) -> bool:
    try:
        await bucket.put("again", VALUE)
    except (APIError, nats.errors.Error, OSError):
        return False
    return True
