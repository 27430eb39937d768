"""The deployments that natsmith must serve, on every server version, through the command line as a user has it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nats.aio.client

from cli import Natsmith
from embedded import Embedded
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import JetStream
from waiting import Eventually

REGISTRY = """
buckets:
  service_registry: {profile: serviceRegistry, ttlSeconds: 30, history: 10, maxValue: 1Mi}
"""
SECOND = 1_000_000_000
SEED_A = {
    "max_msgs_per_subject": 10,
    "max_msg_size": 2**20,
    "storage": "file",
    "allow_direct": True,
    "allow_rollup_hdrs": True,
    "allow_msg_ttl": True,
    "max_age": 30 * SECOND,
    "num_replicas": 1,
}


async def config(server: JetStream, stream: str = "KV_service_registry") -> dict[str, Any]:
    info = await server.stream(stream)
    assert info is not None
    return info.config


async def empty(server: JetStream) -> bool:
    return await messages(server) == 0


async def one_dead_letter(server: JetStream) -> bool:
    return await messages(server, "MESSAGES_DEAD") == 1


async def messages(server: JetStream, stream: str = "KV_service_registry") -> int:
    info = await server.stream(stream)
    assert info is not None
    return info.messages


def ttl(seconds: int) -> list[str]:
    return ["--set", f"buckets.service_registry.ttlSeconds={seconds}"]


async def test_seed_a_on_an_empty_server(natsmith: Natsmith, server: JetStream) -> None:
    """One command makes the bucket as its row says."""
    natsmith.write("values.yaml", REGISTRY)

    assert 0 == (await natsmith("apply", "-f", "values.yaml")).code

    found = await config(server)
    assert SEED_A == {key: found[key] for key in SEED_A}


async def test_seed_a_over_a_hand_made_bucket(
    natsmith: Natsmith, server: JetStream, nats_connection: nats.aio.client.Client, eventually: Eventually
) -> None:
    """max_age 0 and 1,000 entries: changed in place, none lost, then 30 -> 60 -> 20 -> 2 s, and expired on time."""
    await server.create_stream(
        {
            "name": "KV_service_registry",
            "subjects": ["$KV.service_registry.>"],
            "max_msgs_per_subject": 10,
            "discard": "old",
            "allow_rollup_hdrs": True,
            "allow_direct": True,
        }
    )
    created = await server.stream("KV_service_registry")
    for number in range(1000):
        await nats_connection.publish(f"$KV.service_registry.service.{number}", b"up")
    await nats_connection.flush()
    natsmith.write("values.yaml", REGISTRY)

    for seconds in (30, 60, 20):
        result = await natsmith("apply", "-f", "values.yaml", *ttl(seconds))
        found = await server.stream("KV_service_registry")
        assert created is not None
        assert found is not None
        assert (0, seconds * SECOND, 1000, created.created) == (
            result.code,
            found.config["max_age"],
            found.messages,
            found.created,
        ), result.text
        assert found.config["duplicate_window"] == min(120, seconds) * SECOND

    assert 0 == (await natsmith("apply", "-f", "values.yaml", *ttl(2))).code
    await eventually(lambda: empty(server), within=7)


async def test_seed_a_over_a_bucket_of_nats_py(
    natsmith: Natsmith, server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    """Its create_key_value turns direct get off; the entries stay."""
    bucket = await nats_connection.jetstream().create_key_value(bucket="service_registry", history=10)
    for number in range(10):
        await bucket.put(f"service.{number}", b"up")
    natsmith.write("values.yaml", REGISTRY)

    result = await natsmith("apply", "-f", "values.yaml")

    found = await config(server)
    assert 0 == result.code, result.text
    assert SEED_A == {key: found[key] for key in SEED_A}
    assert b"up" == (await bucket.get("service.7")).value


async def test_seed_a_over_a_bucket_of_the_nats_cli(natsmith: Natsmith, server: JetStream) -> None:
    """What `nats kv add service_registry` asks for."""
    await server.create_stream(
        {
            "name": "KV_service_registry",
            "subjects": ["$KV.service_registry.>"],
            "retention": "limits",
            "max_consumers": -1,
            "max_msgs_per_subject": 1,
            "max_msgs": -1,
            "max_bytes": -1,
            "max_age": 0,
            "max_msg_size": -1,
            "storage": "file",
            "discard": "new",
            "num_replicas": 1,
            "duplicate_window": 120 * SECOND,
            "sealed": False,
            "deny_delete": True,
            "deny_purge": False,
            "allow_rollup_hdrs": True,
            "allow_direct": True,
            "mirror_direct": False,
            "compression": "none",
            "consumer_limits": {},
        }
    )
    await server.publish("$KV.service_registry.service", b"up")
    natsmith.write("values.yaml", REGISTRY)

    result = await natsmith("apply", "-f", "values.yaml")

    found = await config(server)
    assert 0 == result.code, result.text
    assert SEED_A == {key: found[key] for key in SEED_A}
    assert 1 == await messages(server)


async def test_a_rollback_of_values_brings_the_older_ttl_back(natsmith: Natsmith, server: JetStream) -> None:
    """Applying the older values is the whole rollback."""
    natsmith.write("old.yaml", REGISTRY)
    natsmith.write("new.yaml", REGISTRY.replace("30", "60"))
    for file in ("old.yaml", "new.yaml", "old.yaml"):
        assert 0 == (await natsmith("apply", "-f", file)).code

    assert 30 * SECOND == (await config(server))["max_age"]


async def test_a_second_apply_writes_nothing(natsmith: Natsmith, nats_connection: nats.aio.client.Client) -> None:
    """The server's own advisories count every call that would administer something."""
    for name, text in {"values.yaml": REGISTRY, "more.yaml": natsmith.value_file("pipeline.yaml")}.items():
        natsmith.write(name, text)
    files = ("-f", "values.yaml", "-f", "more.yaml")
    assert 0 == (await natsmith("apply", *files)).code
    advisories = await nats_connection.subscribe("$JS.EVENT.ADVISORY.API")
    stored = await nats_connection.subscribe("$KV.natsmith_state.>")
    await nats_connection.flush()

    second = await natsmith("apply", *files)
    await nats_connection.flush()

    verbs = []
    while advisories.pending_msgs:
        verbs.append(json.loads((await advisories.next_msg()).data)["subject"])
    assert (0, "Nothing to do: 4 unchanged.") == (second.code, second.last)
    assert [] == [verb for verb in verbs if any(word in verb for word in ("CREATE", "UPDATE", "DELETE", "PURGE"))]
    assert 0 == stored.pending_msgs


def noetl(private_server: Callable[..., Embedded], tmp_path: Path, user: str) -> Natsmith:
    """Return a command line on a server with the account NOETL and another one."""
    accounts = {
        name: {"jetstream": "enabled", "users": [{"user": name.lower(), "password": "pw"}]}
        for name in ("NOETL", "OTHER")
    }
    return Natsmith(tmp_path, Connection(server=private_server(accounts=accounts).url, user=user, password="pw"))


async def test_row_d(private_server: Callable[..., Embedded], tmp_path: Path) -> None:
    """A session cache of five minutes, in the account NOETL."""
    natsmith = noetl(private_server, tmp_path, "noetl")
    natsmith.write("values.yaml", natsmith.value_file("sessions.yaml"))

    applied = await natsmith("apply", "-f", "values.yaml")
    verified = await natsmith("verify", "-f", "values.yaml", "--prove")
    status = await natsmith("status")

    assert (0, 0) == (applied.code, verified.code), verified.text
    assert "bucket sessions: owner local; time to live 300 s" in status.stdout
    assert "Account NOETL" in status.last


async def test_another_account_than_the_values_mean_is_not_served(
    private_server: Callable[..., Embedded], tmp_path: Path
) -> None:
    """A wrong user would provision, or prune, somebody else's account."""
    natsmith = noetl(private_server, tmp_path, "other")
    natsmith.write("values.yaml", natsmith.value_file("sessions.yaml"))

    result = await natsmith("apply", "-f", "values.yaml")

    assert 3 == result.code
    assert "the values are for account NOETL, but the user that connects belongs to OTHER" in result.stderr


async def test_row_e(
    natsmith: Natsmith, server: JetStream, nats_connection: nats.aio.client.Client, eventually: Eventually
) -> None:
    """A message that is refused three times is a dead letter, and names itself."""
    natsmith.write("values.yaml", natsmith.value_file("pipeline.yaml"))
    assert 0 == (await natsmith("apply", "-f", "values.yaml")).code
    jetstream = nats_connection.jetstream()
    worker = await jetstream.pull_subscribe_bind("workers", "MESSAGES")
    await jetstream.publish("messages.ingest.orders", b"bad")

    for _ in range(3):
        (message,) = await worker.fetch(1, timeout=5)
        await message.nak()

    async def refused_again() -> bool:
        # The advisory follows the delivery that does not happen any more, so somebody has to ask for it.
        with contextlib.suppress(TimeoutError):
            await worker.fetch(1, timeout=0.2)
        return await one_dead_letter(server)

    await eventually(refused_again, within=5)
    letter = await server.last("MESSAGES_DEAD", "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.MESSAGES.workers")
    assert letter is not None
    assert (1, 3) == tuple(json.loads(letter.payload)[key] for key in ("stream_seq", "deliveries"))


async def test_a_terminated_message_is_a_dead_letter_too(
    natsmith: Natsmith, server: JetStream, nats_connection: nats.aio.client.Client, eventually: Eventually
) -> None:
    """A worker that gives up at once says so."""
    natsmith.write("values.yaml", natsmith.value_file("pipeline.yaml"))
    assert 0 == (await natsmith("apply", "-f", "values.yaml")).code
    jetstream = nats_connection.jetstream()
    worker = await jetstream.pull_subscribe_bind("workers", "MESSAGES")
    await jetstream.publish("messages.ingest.orders", b"bad")

    (message,) = await worker.fetch(1, timeout=5)
    await message.term()

    await eventually(lambda: one_dead_letter(server), within=5)
