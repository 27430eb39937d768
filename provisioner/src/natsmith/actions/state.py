"""The state bucket of an account: the lock, what was applied, and the last outcomes.

Everything in it can be lost without harm: objects carry their owner and what was applied in their own metadata.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

from natsmith.adapters import wire
from natsmith.adapters.server import Config, Refused, Server
from natsmith.errors import DecisionNeeded
from natsmith.model.desired import Id, Resource
from natsmith.model.observed import Applied
from natsmith.model.outcome import Past
from natsmith.model.units import Json

STREAM = "KV_natsmith_state"
SUBJECT = "$KV.natsmith_state."
OUTCOMES_KEPT = 20
ROWS_KEPT = 50
CHUNK = 256 * 1024
"""Bytes of one record; a NATS server takes messages up to 1 MiB unless it is told otherwise."""


def config(replicas: int) -> Config:
    """Return the configuration of the state bucket.

    History 1, per-key TTL and no markers: with markers, create-if-absent would wait for the marker to go as well.
    """
    return {
        "name": STREAM,
        "description": "natsmith's lock, memory and outcomes; it can be deleted without harm",
        "subjects": [SUBJECT + ">"],
        "storage": "file",
        "retention": "limits",
        "discard": "new",
        "max_msgs_per_subject": 1,
        "num_replicas": replicas,
        "allow_rollup_hdrs": True,
        "allow_direct": True,
        "deny_delete": True,
        "allow_msg_ttl": True,
    }


async def ensure(server: Server, replicas: int) -> None:
    """Create the state bucket where there is none."""
    info = await server.stream(STREAM)
    if info is None:
        try:
            info = await server.create_stream(config(replicas))
        except Refused as refusal:
            # Another run may have created it in this moment, with other replicas.
            info = await server.stream(STREAM)
            if info is None:
                raise DecisionNeeded(
                    f"the state bucket natsmith_state cannot be created: {refusal}. "
                    "natsmith keeps its lock there: make room for one small stream in the account"
                ) from refusal
    if not info.config.get("allow_msg_ttl") or info.config.get("max_msgs_per_subject") != 1:
        raise DecisionNeeded(
            f"the stream {STREAM} is not natsmith's state bucket as it must be (history 1, per-message TTL allowed): "
            "delete it, or give it back those settings; it holds nothing that cannot be lost"
        )


async def memories(server: Server) -> dict[Id, tuple[str, Applied]]:
    """Return what was applied to each object, by every owner: when the object was created, and what was made of it."""
    result: dict[Id, tuple[str, Applied]] = {}
    for subject in await server.subject_counts(STREAM):
        if subject.startswith(SUBJECT + "applied."):
            record = await _read(server, subject)
            owner = str(record.get("owner", ""))
            for key, entry in _map(record.get("objects")).items():
                if isinstance(entry, list) and len(entry) == 2:
                    stream, _, consumer = key.partition("/")
                    result[Id(stream, consumer)] = (str(entry[0]), wire.applied(owner, json.dumps(entry[1])))
    return result


async def remember(server: Server, owner: str, objects: Iterable[tuple[Resource, str]]) -> None:
    """Keep what *owner* applied, with the time each object was created; only records that changed are written."""
    entries = sorted((str(resource.id), [created, wire.remembered(resource)]) for resource, created in objects)
    chunks: list[dict[str, Json]] = [{}]
    size = 0
    for key, entry in entries:
        size += len(key) + len(json.dumps(entry)) + 8
        if size > CHUNK:
            chunks.append({})
            size = 0
        chunks[-1][key] = entry
    prefix = f"{SUBJECT}applied.{hashlib.sha256(owner.encode()).hexdigest()[:16]}."
    old = {subject for subject in await server.subject_counts(STREAM) if subject.startswith(prefix)}
    for number, chunk in enumerate(chunks):
        record = json.dumps({"v": wire.FORMAT, "owner": owner, "objects": chunk}, sort_keys=True).encode()
        subject = f"{prefix}{number}"
        last = await server.last(STREAM, subject) if subject in old else None
        if last is None or last.payload != record:
            await server.publish(subject, record)
        old.discard(subject)
    for subject in old:
        await server.purge_stream(STREAM, subject=subject)


async def outcomes(server: Server) -> list[Past]:
    """Return the last runs, newest first."""
    if await server.stream(STREAM) is None:
        return []
    record = await _read(server, SUBJECT + "outcomes")
    return [Past.from_json(each) for each in record.get("outcomes", []) if isinstance(each, dict)]


async def add_outcome(server: Server, past: Past) -> None:
    """Keep *past* among the last outcomes; only the holder of the lock writes them."""
    kept = [past, *await outcomes(server)][:OUTCOMES_KEPT]
    record = {"v": wire.FORMAT, "outcomes": [each.as_json() for each in kept]}
    await server.publish(SUBJECT + "outcomes", json.dumps(record).encode())


async def _read(server: Server, subject: str) -> Mapping[str, Json]:
    message = await server.last(STREAM, subject)
    if message is None:
        return {}
    try:
        return _map(json.loads(message.payload))
    except ValueError:
        return {}  # not ours to repair: it is written anew by the next apply


def _map(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}
