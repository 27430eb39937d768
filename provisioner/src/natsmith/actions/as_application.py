"""Proving that a bucket is of use: a canary is put and got as an application, and removed as the provisioner."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from typing import Literal

from natsmith.actions.observe import in_parallel
from natsmith.actions.verify import CANARY, POLL_SECONDS
from natsmith.adapters.server import Application, Config, Refused, Server, StreamInfo
from natsmith.clock import clock
from natsmith.errors import NatsmithError
from natsmith.model.desired import Resource
from natsmith.model.observed import Found, Observed
from natsmith.model.outcome import AS_APPLICATION, Proof
from natsmith.model.resources import BUCKET

BEHIND_SECONDS = 2
"""How long another replica may take to hold what its leader has acknowledged."""

CANARY_BYTES = 512
"""More than a canary takes in any store, with its subject and its headers."""

Result = Literal["holds", "fails", "not observed"]


def usable(wanted: Iterable[Resource], observed: Observed) -> list[Found]:
    """Return the wanted buckets that an application could write to."""
    found = (observed.objects.get(each.id) for each in wanted if each.kind is BUCKET)
    return [each for each in found if each and not each.config.get("mirror")]


async def prove_use(server: Server, application: Application, buckets: Iterable[Found]) -> list[Proof]:
    """Return what came of a canary in each bucket; nothing of it is left behind."""
    infos = {info.config["name"]: info for info in await server.streams()}
    copiers = {origin: name for name, info in infos.items() for origin in _origins(info.config)}

    async def one(found: Found) -> Proof:
        info = infos.get(found.stream)
        if info is None:
            return _proof(found, "fails", "it was deleted meanwhile")
        if reason := _spared(info, copiers.get(found.stream, "")):
            return _proof(found, "not observed", reason)
        return await _used(server, application, found, info.config)

    return list(await in_parallel(one, buckets))


def _proof(found: Found, result: Result, text: str, seconds: float | None = None) -> Proof:
    return Proof(title=found.title, how=AS_APPLICATION, result=result, seconds=seconds, text=text)


async def _used(server: Server, application: Application, found: Found, config: Config) -> Proof:
    key = f"{CANARY}_{secrets.token_hex(4)}"
    subject = f"$KV.{found.name}.{key}"
    try:
        result, text, seconds = await _round_trip(application, found.name, key, config)
    finally:
        # Also after a put that failed: it may have arrived all the same.
        removed = await _removed(server, found.stream, subject)
    if isinstance(removed, str):
        return _proof(found, "fails", f"{text}, but the key {key} could not be removed: {removed}")
    if result == "holds" and not removed:
        text = f"{application.who} put a canary that never came here: it belongs to another account"
        return _proof(found, "fails", text)
    return _proof(found, result, text, seconds)


def _origins(config: Config) -> list[str]:
    """Return the streams of this account that one of *config* copies."""
    copied = [*([config["mirror"]] if config.get("mirror") else []), *(config.get("sources") or [])]
    return [each["name"] for each in copied if not each.get("external")]


def _spared(info: StreamInfo, copier: str) -> str:
    """Return why a canary is not put there: it could not be removed, or would push out what an application wrote."""
    config = info.config
    if copier:
        return f"stream {copier} copies it, and a canary would stay there"
    if config.get("sealed"):
        return "it is sealed, so nobody puts anything into it"
    if config.get("deny_purge"):
        return "it denies purging, so a canary could not be removed"
    full = 0 < config.get("max_bytes", -1) < info.bytes + CANARY_BYTES
    full = full or 0 < config.get("max_msgs", -1) <= info.messages
    if full and config.get("discard", "old") == "old":
        return "it is full, and a canary would push its oldest entry out"
    return ""


async def _round_trip(
    application: Application, bucket: str, key: str, config: Config
) -> tuple[Result, str, float | None]:
    """Return whether what is put is what is got, in words, and in how many seconds."""
    value = key.rpartition("_")[2].encode()
    if config.get("max_msg_size", -1) > 0:
        value = value[: config["max_msg_size"]]
    began = clock()
    step = "put a canary"
    try:
        await application.put(bucket, key, value)
        step = "get back the canary that it put"
        got = await _got(application, bucket, key, direct=bool(config.get("allow_direct")))
    except Refused as refusal:
        return "fails", f"{application.who} could not {step}: {refusal}", None
    except NatsmithError as error:
        return "fails", f"{application.who} could not {step}: {error}", None
    seconds = round(clock() - began, 3)
    if got == value:
        return "holds", f"{application.who} put a canary and got it back in {max(1, round(seconds * 1000))} ms", seconds
    found = "nothing" if got is None else "another value"
    return "fails", f"{application.who} put a canary and got {found} back", seconds


async def _got(application: Application, bucket: str, key: str, *, direct: bool) -> bytes | None:
    """Return the value of *key*; where any replica may answer, one that is behind is asked again."""
    deadline = clock() + (BEHIND_SECONDS if direct else 0)
    while True:
        got = await application.get(bucket, key, direct=direct)
        if got is not None or clock() >= deadline:
            return got
        await asyncio.sleep(POLL_SECONDS)


async def _removed(server: Server, stream: str, subject: str) -> int | str:
    """Return how many messages of *subject* are gone now, or why they are not."""
    try:
        return await server.purge_stream(stream, subject=subject)
    except (Refused, NatsmithError) as error:
        return str(error)
