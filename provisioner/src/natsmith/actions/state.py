"""The state bucket of an account: the lock, what was applied, and the last outcomes.

Everything in it can be lost without harm: objects carry their owner and what was applied in their own metadata.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping

from natsmith.adapters import wire
from natsmith.adapters.server import Config, Refused, Server
from natsmith.errors import DecisionNeeded, WrongValues
from natsmith.model.desired import Id, Resource
from natsmith.model.observed import Applied
from natsmith.model.outcome import Past
from natsmith.model.units import NANOS, Json

STREAM = "KV_natsmith_state"
SUBJECT = "$KV.natsmith_state."
OUTCOMES_KEPT = 20
ROWS_KEPT = 50
LEASE_SECONDS = 15
"""How long the lock lives without a renewal."""

CHUNK = 256 * 1024
"""Bytes of one record; a NATS server takes messages up to 1 MiB unless it is told otherwise."""

SMALLEST_CHUNK = 256
"""Below this there is one object in a record. What does not fit even so stands only in the object's own metadata."""

LIMITS = ("max_msgs", "max_bytes", "max_msg_size")
FORBIDDEN = (
    "discard_new_per_subject",
    "no_ack",
    "sealed",
    "deny_purge",
    "mirror",
    "sources",
    "subject_transform",
    "subject_delete_marker_ttl",
    "allow_msg_counter",
)
"""What would refuse, move, replace or outlive a lock, or keep it from being given back."""


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
    wrong = _unfit(info.config)
    if wrong:
        raise DecisionNeeded(
            f"the stream {STREAM} is not natsmith's state bucket as it must be: {'; '.join(wrong)}. "
            "Delete it: it holds nothing that cannot be lost, and the next apply makes it anew"
        )


def _unfit(config: Config) -> list[str]:
    """Return why a stream cannot hold the lock: every message must be taken, kept for its own time, and confirmed."""
    age = config.get("max_age") or 0
    wanted = {
        f"subjects must have {SUBJECT}>": SUBJECT + ">" in config.get("subjects", []),
        "retention must be limits": config.get("retention") == "limits",
        "max_msgs_per_subject must be 1": config.get("max_msgs_per_subject") == 1,
        "allow_msg_ttl must be true": config.get("allow_msg_ttl"),
        f"max_age must be 0, or at least the {LEASE_SECONDS} s of a lease": not 0 < age < LEASE_SECONDS * NANOS,
        **{f"{key} must be -1, no limit": (config.get(key) or 0) <= 0 for key in LIMITS},
        **{f"{key} must not be set": not config.get(key) for key in FORBIDDEN},
    }
    return [what for what, fine in wanted.items() if not fine]


async def memories(server: Server) -> dict[Id, tuple[str, Applied]]:
    """Return what was applied to each object, by every owner: when the object was created, and what was made of it."""
    result: dict[Id, tuple[str, Applied]] = {}
    for subject in await server.subject_counts(STREAM):
        if subject.startswith(SUBJECT + "applied."):
            record = await _read(server, subject)
            owner, objects = record.get("owner"), record.get("objects")
            if not isinstance(owner, str) or not isinstance(objects, dict):
                continue
            for key, entry in objects.items():
                match entry:
                    case [str(created), dict(memory)]:
                        stream, _, consumer = key.partition("/")
                        result[Id(stream, consumer)] = (created, wire.applied_from(owner, memory))
    return result


async def remember(server: Server, owner: str, objects: Iterable[tuple[Resource, str, int]]) -> None:
    """Keep what *owner* applied, with the time each object was created and its consents; only records that changed are written."""
    entries = sorted(
        (str(resource.id), [created, wire.remembered(resource, consents)]) for resource, created, consents in objects
    )
    most = CHUNK
    while most >= SMALLEST_CHUNK:
        with contextlib.suppress(WrongValues):
            await _remember(server, owner, _chunks(entries, most))
            return
        most //= 2  # this server takes smaller messages


def _chunks(entries: list[tuple[str, list[Json]]], most: int) -> list[dict[str, Json]]:
    chunks: list[dict[str, Json]] = [{}]
    size = 0
    for key, entry in entries:
        length = len(key) + len(json.dumps(entry)) + 8
        size += length
        if size > most and chunks[-1]:
            chunks.append({})
            size = length
        chunks[-1][key] = entry
    return chunks


async def _remember(server: Server, owner: str, chunks: list[dict[str, Json]]) -> None:
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


async def keep_sequence(server: Server, stream: str, last: int) -> None:
    """Keep where a stream stops counting that is about to be deleted and created anew."""
    record = {"v": wire.FORMAT, "stream": stream, "last": last}
    await server.publish(_replaced(stream), json.dumps(record).encode())


async def sequences(server: Server) -> dict[str, int]:
    """Return where streams stopped counting whose replacement was begun and not ended."""
    result = {}
    for subject in await server.subject_counts(STREAM):
        if subject.startswith(SUBJECT + "replaced."):
            record = await _read(server, subject)
            stream, last = record.get("stream"), record.get("last")
            if isinstance(stream, str) and isinstance(last, int):
                result[stream] = last
    return result


async def forget_sequence(server: Server, stream: str) -> None:
    """Forget it when the new stream goes on counting."""
    await server.purge_stream(STREAM, subject=_replaced(stream))


def _replaced(stream: str) -> str:
    return f"{SUBJECT}replaced.{hashlib.sha256(stream.encode()).hexdigest()[:16]}"


async def outcomes(server: Server) -> list[Past]:
    """Return the last runs, newest first."""
    if await server.stream(STREAM) is None:
        return []
    kept = (await _read(server, SUBJECT + "outcomes")).get("outcomes")
    return [Past.from_json(each) for each in kept if isinstance(each, dict)] if isinstance(kept, list) else []


async def add_outcome(server: Server, past: Past) -> None:
    """Keep *past* among the last outcomes; only the holder of the lock writes them."""
    kept = [past, *await outcomes(server)][:OUTCOMES_KEPT]
    while kept:
        record = {"v": wire.FORMAT, "outcomes": [each.as_json() for each in kept]}
        with contextlib.suppress(WrongValues):
            await server.publish(SUBJECT + "outcomes", json.dumps(record).encode())
            return
        kept = kept[: len(kept) // 2]  # this server takes smaller messages


async def _read(server: Server, subject: str) -> Mapping[str, Json]:
    message = await server.last(STREAM, subject)
    # What cannot be read is not ours to repair: it is written anew by the next apply.
    return wire.remembered_map(message.payload) if message else {}
