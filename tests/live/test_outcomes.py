"""``apply --outcome``: the line that a Job leaves for whoever asks why, on a real server."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nats.aio.client
import pytest

from cli import Natsmith
from embedded import Embedded
from natsmith.adapters.connections import Connection

SECRET = "correct-horse-battery-staple"


@pytest.fixture
def release(newest: str) -> str:
    """Name one version: an outcome does not depend on it."""
    return newest


def outcome(natsmith: Natsmith) -> dict[str, Any]:
    data = (natsmith.home / "outcome").read_bytes()
    assert len(data) <= 4000
    assert data.endswith(b"\n")
    assert 1 == data.count(b"\n")
    told: dict[str, Any] = json.loads(data)
    return told


def buckets(count: int, ttl: int = 30) -> str:
    return json.dumps({"buckets": {f"b{number}": {"ttlSeconds": ttl} for number in range(count)}})


async def test_what_was_done_is_left_in_one_line(natsmith: Natsmith) -> None:
    """First what was made, then that nothing was to be done."""
    natsmith.write("values.json", buckets(1))
    words = ("apply", "-f", "values.json", "--owner", "ns/rel", "--outcome", "outcome")

    assert 0 == (await natsmith(*words)).code
    first = outcome(natsmith)
    assert 0 == (await natsmith(*words)).code
    second = outcome(natsmith)

    assert 0 < first.pop("seconds") < 30
    assert {
        "version": 1,
        "kind": "outcome",
        "exitCode": 0,
        "result": "done",
        "owner": "ns/rel",
        "changes": 1,
        "unchanged": 0,
        "failed": 0,
        "notBegun": 0,
        "told": 0,
        "changed": ["create bucket b0: ttlSeconds 30"],
        "problems": [],
    } == first
    assert ("done", 0, 1, []) == tuple(second[key] for key in ("result", "changes", "unchanged", "changed"))


async def test_a_job_log_and_its_outcome_stay_short(natsmith: Natsmith) -> None:
    natsmith.write("values.json", buckets(300))

    result = await natsmith("apply", "-f", "values.json", "--outcome", "outcome")

    assert 22 == len(result.stdout.splitlines())
    assert "and 280 more changes: natsmith history, or --output json, tells" in result.stdout
    assert result.last.startswith("300 changes applied")
    told = outcome(natsmith)
    assert (300, 300) == (told["changes"], len(told["changed"]) + told["more"])


async def test_a_refused_plan_is_an_outcome(natsmith: Natsmith) -> None:
    """It tells which consent is asked for."""
    natsmith.write("values.json", buckets(1))
    assert 0 == (await natsmith("apply", "-f", "values.json")).code
    natsmith.write("values.json", json.dumps({"buckets": {"b0": {"ttlSeconds": 30, "storage": "memory"}}}))

    result = await natsmith("apply", "-f", "values.json", "--outcome", "outcome")

    told = outcome(natsmith)
    assert 3 == result.code, result.text
    assert (3, "refused", 0) == tuple(told[key] for key in ("exitCode", "result", "changes"))
    assert [f"error: {each}" for each in told["problems"]] == result.stderr.splitlines()


async def test_a_server_that_is_not_there_is_an_outcome_without_a_password(tmp_path: Path) -> None:
    natsmith = Natsmith(tmp_path, Connection(server="nats://127.0.0.1:1", user="me", password=SECRET))
    natsmith.write("values.json", buckets(1))

    result = await natsmith("apply", "-f", "values.json", "--timeout", "0.5", "--outcome", "outcome")

    told = outcome(natsmith)
    assert 75 == result.code
    assert "not ready" == told["result"]
    assert "me within 0.5 s" in told["problems"][0]
    assert SECRET not in json.dumps(told)


async def test_a_stop_halfway_is_an_outcome(tmp_path: Path, private_server: Callable[..., Embedded]) -> None:
    denied = {"publish": {"deny": ["$JS.API.STREAM.CREATE.B"]}}
    user = {"user": "me", "password": "pw", "permissions": denied}
    server = private_server(accounts={"APP": {"jetstream": "enabled", "users": [user]}})
    natsmith = Natsmith(tmp_path, Connection(server=server.url, user="me", password="pw"))
    natsmith.write("values.yaml", "streams: {A: {subjects: [a]}, B: {subjects: [b]}}")

    result = await natsmith("apply", "-f", "values.yaml", "--outcome", "outcome")

    told = outcome(natsmith)
    assert 1 == result.code, result.text
    assert (1, "stopped halfway", 1, 1) == tuple(told[key] for key in ("exitCode", "result", "changes", "failed"))
    assert ["create stream A: subjects [a]"] == told["changed"]
    assert "may not publish on $JS.API.STREAM.CREATE.B" in told["problems"][0]


async def test_a_signal_is_an_outcome_that_counts_what_was_done(
    natsmith: Natsmith, nats_connection: nats.aio.client.Client
) -> None:
    natsmith.write("values.json", buckets(1000))
    created = await nats_connection.subscribe("$JS.EVENT.ADVISORY.STREAM.CREATED.>")
    await nats_connection.flush()
    process = await natsmith.start("apply", "-f", "values.json", "--outcome", "outcome")
    for _ in range(200):
        await created.next_msg(timeout=20)
    process.send_signal(signal.SIGTERM)
    await process.communicate()

    told = outcome(natsmith)
    assert 1 == process.returncode
    assert ["stopped by a signal: run the same command again to go on"] == told["problems"]
    assert 0 < told["changes"] < 1000


async def test_a_success_whose_outcome_is_lost_is_none(natsmith: Natsmith) -> None:
    natsmith.write("values.json", buckets(1))

    result = await natsmith("apply", "-f", "values.json", "--outcome", "no/such/outcome")

    assert 1 == result.code
    assert result.stderr == (
        "error: the run ended with exit code 0, but its outcome could not be written: "
        "no/such/outcome cannot be written: No such file or directory. Check that its directory is there and writable\n"
    )
    assert result.last.startswith("1 change applied")
