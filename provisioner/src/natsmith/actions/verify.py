"""Proving expiry: by the age of what is there, by a canary in a twin, or by a canary in the bucket itself."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Iterable
from datetime import timedelta
from typing import Literal

from natsmith.actions.observe import in_parallel
from natsmith.adapters.server import Config, Refused, Server
from natsmith.clock import clock
from natsmith.errors import DecisionNeeded
from natsmith.log import Log
from natsmith.model.desired import Resource
from natsmith.model.observed import Found, Observed
from natsmith.model.outcome import Proof
from natsmith.model.resources import BUCKET, CONSUMER
from natsmith.model.units import NANOS, parse_time

SLACK_SECONDS = 5
"""How late an expiry may be: the server looks for expired messages in intervals of its own."""

CANARY = "natsmith_canary"
TWIN_SECONDS = 2
KEY_SECONDS = 1
LEFT_BEHIND = timedelta(minutes=10)
"""A twin older than this belongs to a run that was killed."""

POLL_SECONDS = 0.05
"""How often a canary is looked for: without markers the server does not announce an expiry."""

SETTLE_SECONDS = 0.3
"""How long a canary must be gone: right after a create, a server of a cluster may not know the stream yet."""

TWINS_AT_ONCE = 32
TWIN_BYTES = 2**20


def passive(found: Found) -> Proof:
    """Return what the oldest message says, by the server's own clock."""
    ttl = _ttl(found)
    if not found.messages:
        return Proof(title=found.title, how="passive", result="not observed", ttl=ttl, text="it is empty")
    now = parse_time(found.now)
    age = (now - parse_time(found.first_time)).total_seconds()
    result: Literal["holds", "fails", "not observed"] = "holds"
    text = f"the oldest of its messages ({found.messages}) is {age:.1f} s old, with {ttl} s to live"
    own = "perKeyTTL" if found.kind is BUCKET else "allowMessageTTL"
    if age > ttl + SLACK_SECONDS:
        result = "fails"
        if own in found.kind.by_name and found.get(own):
            text += "; a message with a time of its own, Nats-TTL: never, would be a reason"
    elif (now - parse_time(found.created)).total_seconds() <= ttl:
        result, text = "not observed", f"it is younger than its {ttl} s to live, so nothing can have expired yet"
    return Proof(title=found.title, how="passive", result=result, ttl=ttl, seconds=round(age, 3), text=text)


def expiring(wanted: Iterable[Resource], observed: Observed) -> list[Found]:
    """Return the wanted objects that the server lets expire by age."""
    found = (observed.objects.get(each.id) for each in wanted if each.kind is not CONSUMER)
    return [each for each in found if each and _ttl(each)]


def keyed(wanted: Iterable[Resource], observed: Observed) -> list[Found]:
    """Return the wanted buckets whose keys may name their own time to live."""
    found = (observed.objects.get(each.id) for each in wanted if each.kind is BUCKET)
    return [each for each in found if each and each.get("perKeyTTL")]


async def prove(server: Server, objects: list[Found], *, log: Log) -> list[Proof]:
    """Return how long a canary lives in a short-lived twin of each object: its configuration with a short time to live.

    Objects of one make share a twin, so that a thousand buckets of one kind take no longer than one.
    """
    await _sweep(server)
    infos = await in_parallel(lambda found: server.stream(found.stream), objects)
    makes: dict[str, tuple[Config, list[Found]]] = {}
    for found, info in zip(objects, infos, strict=True):
        if info:
            config = twin(info.config)
            makes.setdefault(json.dumps(config, sort_keys=True), (config, []))[1].append(found)
    log.info("prove.started", objects=len(objects), twins=len(makes))
    proofs = await in_parallel(lambda make: _in_twin(server, *make), makes.values(), at_once=TWINS_AT_ONCE)
    return [proof for each in proofs for proof in each]


async def prove_in_place(server: Server, objects: list[Found], *, log: Log) -> list[Proof]:
    """Return how long a canary lives in each bucket itself, waiting its real time to live; others are not written to."""
    buckets = [found for found in objects if found.kind is BUCKET and not found.config.get("mirror")]
    log.info("prove.started", buckets=len(buckets), longest_seconds=max(map(_ttl, buckets), default=0))

    async def one(found: Found) -> Proof:
        if found not in buckets:
            text = "nobody but its own publishers writes to it; --prove uses a twin"
            return Proof(title=found.title, how="in place", result="not observed", ttl=_ttl(found), text=text)
        subject = f"$KV.{found.name}.{CANARY}_{secrets.token_hex(4)}"
        try:
            lived = await _lived(server, found.stream, subject, limit=_ttl(found) + SLACK_SECONDS)
        except Refused as refusal:
            text = f"it refused a canary: {refusal}"
            return Proof(title=found.title, how="in place", result="not observed", ttl=_ttl(found), text=text)
        if lived is None:
            await server.purge_stream(found.stream, subject=subject)
        return _judged(found, "in place", _ttl(found), lived, "a canary in the bucket itself")

    return list(await in_parallel(one, objects))


async def _in_twin(server: Server, make: Config, objects: list[Found]) -> list[Proof]:
    token = secrets.token_hex(6)
    name, subject = f"{CANARY}_{token}", f"$KV.{CANARY}.{token}."
    try:
        await server.create_stream({**make, "name": name, "subjects": [subject + ">"]})
    except Refused as refusal:
        titles = objects[0].title + (f" and {len(objects) - 1} of its make" if len(objects) > 1 else "")
        raise DecisionNeeded(
            f"{titles}: no twin could be made to prove the expiry: {refusal}. "
            "Make room for one more stream in the account, or use --in-place"
        ) from refusal
    aged, own = bool(make.get("max_age")), bool(make.get("allow_msg_ttl"))
    try:
        canaries: list[tuple[str, int, int | None]] = [("aged", TWIN_SECONDS, None)] if aged else []
        canaries += [("own", KEY_SECONDS, KEY_SECONDS)] if own else []
        lives = await in_parallel(
            lambda each: _lived(server, name, subject + each[0], limit=each[1] + SLACK_SECONDS, ttl=each[2]), canaries
        )
    finally:
        await server.delete_stream(name)
    kinds = [(TWIN_SECONDS, "a canary in its twin")] if aged else []
    kinds += [(KEY_SECONDS, "a canary with a time of its own in its twin")] if own else []
    return [
        _judged(found, "twin", ttl, lived, what)
        for found in objects
        for (ttl, what), lived in zip(kinds, lives, strict=True)
    ]


def twin(config: Config) -> Config:
    """Return *config* for a stream of the same make that holds only canaries and expires soon."""
    left_out = {
        *("name", "subjects", "description", "mirror", "sources", "republish", "subject_transform", "sealed"),
        *("first_seq", "metadata", "consumer_limits", "no_ack", "allow_msg_counter", "max_msgs", "max_msg_size"),
    }
    return {key: value for key, value in config.items() if key not in left_out} | {
        "retention": "limits",
        "max_bytes": min(config["max_bytes"], TWIN_BYTES) if config.get("max_bytes", -1) > 0 else -1,
        "max_age": TWIN_SECONDS * NANOS if config.get("max_age") else 0,
        "duplicate_window": NANOS,
        "metadata": {"natsmith.canary": "deleted when its proof is done"},
    }


async def _lived(server: Server, stream: str, subject: str, *, limit: float, ttl: int | None = None) -> float | None:
    """Return how many seconds a canary lived, or None if it was still there after *limit*."""
    began = clock()
    sequence = await server.publish(subject, b"canary", ttl=ttl)
    gone: float | None = None
    while clock() - began <= limit:
        message = await server.last(stream, subject)
        if message is not None and message.sequence == sequence:
            gone = None
        else:  # gone, or only its marker is left
            gone = gone or clock()
            if clock() - gone >= SETTLE_SECONDS:
                return round(gone - began, 3)
        await asyncio.sleep(POLL_SECONDS)
    return None


def _judged(found: Found, how: Literal["twin", "in place"], ttl: int, lived: float | None, what: str) -> Proof:
    holds = lived is not None and ttl - 0.5 <= lived <= ttl + SLACK_SECONDS
    text = (
        f"{what} with {ttl} s to live was still there after {ttl + SLACK_SECONDS} s"
        if lived is None
        else f"{what} with {ttl} s to live was gone after {lived:.2f} s"
    )
    return Proof(
        title=found.title,
        how=how,
        result="holds" if holds else "fails",
        ttl=ttl,
        seconds=lived,
        text=text,
    )


async def _sweep(server: Server) -> None:
    """Delete the twins that killed runs left behind."""
    for info in await server.streams():
        name = info.config["name"]
        if name.startswith(CANARY + "_") and parse_time(info.now) - parse_time(info.created) > LEFT_BEHIND:
            await server.delete_stream(name)


def _ttl(found: Found) -> int:
    name = "ttlSeconds" if "ttlSeconds" in found.kind.by_name else "maxAgeSeconds"
    return int(found.get(name))
