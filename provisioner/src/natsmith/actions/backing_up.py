"""Backing up the streams of an account: each as the server writes it down, while everything goes on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial

from natsmith.actions import lease, state
from natsmith.actions.carry_out import Progress
from natsmith.adapters.backup_writer import Writer
from natsmith.adapters.server import STREAM_NOT_FOUND, Refused, StreamInfo
from natsmith.adapters.sources import FromServer
from natsmith.adapters.transfer import COMING
from natsmith.clock import clock
from natsmith.errors import DecisionNeeded, NotReady
from natsmith.log import Log
from natsmith.model.bringing import ASKED, GONE, NOTES, Brought

TRIES = 3
"""How often one stream is begun: servers of a cluster restart one after the other."""

PASSES = 3
"""How often to look for streams that are new: a run that began meanwhile may have renamed one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackingUp:
    """What is backed up to where, and how."""

    source: FromServer
    writer: Writer
    account: str
    log: Log
    leave: Collection[str]
    progress: Progress
    timeout: float
    """How long to wait for a run that changes the account."""


async def back_up(what: BackingUp) -> list[Brought]:
    """Write every stream of an account, but those to leave, and tell what became of each."""
    rows: dict[str, Brought] = {}
    for _ in range(PASSES):
        await _nobody_changes(what.source, what.timeout)
        streams = {str(each.config["name"]): each for each in await what.source.streams()}
        _whole(what, streams)
        if not rows:
            what.writer.account(what.account)
        new = sorted(streams.keys() - rows.keys())
        if not new:
            break
        for name in new:
            rows[name] = await _one(what, name)
    return [rows[name] for name in sorted(rows)]


def _whole(what: BackingUp, streams: Mapping[str, StreamInfo]) -> None:
    """Raise DecisionNeeded where a stream is not all there."""
    half = [name for name, each in sorted(streams.items()) if COMING in (each.config.get("metadata") or {})]
    problems = [
        f"stream {name} has not all come to {what.source.where}: natsmith bring or restore is under way, or was ended. "
        f"Let it end, or run it again; or leave the stream out: --leave {name}"
        for name in half
        if name not in what.leave
    ]
    if problems:
        raise DecisionNeeded(*problems)


async def _one(what: BackingUp, name: str) -> Brought:
    """Write one stream, again where its server went or a run made it anew meanwhile."""
    if name in what.leave or name == state.STREAM:
        ours = f"{NOTES} and lock, which are of this place and time"
        return Brought(stream=name, fate="left out", why=ASKED if name in what.leave else ours)
    tries = TRIES
    while True:
        tries -= 1
        info = await _there(what, name)
        if info is None:
            return Brought(stream=name, fate="left out", why=GONE)
        began, size = clock(), info.bytes
        what.log.info("back up", stream=name, messages=info.messages, bytes=size)
        told = partial(_told, what.progress, name, size)
        try:
            taken, stay = await what.writer.stream(what.account, what.source, info, told)
        except Refused as refused:
            if refused.code != STREAM_NOT_FOUND or not tries:
                return Brought(stream=name, fate="left out", why=_left_out(what.source, name, refused, info.config))
        except NotReady:
            if not tries:
                raise
        else:
            return Brought(
                stream=name,
                fate="backed up",
                messages=taken.messages,
                bytes=taken.bytes,
                first=taken.first_sequence,
                last=taken.last_sequence,
                consumers=len(stay),
                seconds=round(clock() - began, 3),
            )


def _told(progress: Progress, name: str, size: int, sent: int) -> None:
    progress.copied(name, sent, max(sent, size))


async def _there(what: BackingUp, name: str) -> StreamInfo | None:
    """Return a stream as it is while nobody makes it anew; one that is not there may be under way, so it is looked for twice."""
    for _ in range(2):
        await _nobody_changes(what.source, what.timeout)
        info = await what.source.server.stream(name)
        if info:
            return info
    return None


async def _nobody_changes(source: FromServer, timeout: float) -> None:
    """Wait for a run that changes the account: what it moves is in two streams, which a backup would have of two moments."""
    until = clock() + timeout
    while True:
        held = None
        # Who may not read the lock backs up all the same.
        with contextlib.suppress(DecisionNeeded, Refused):
            held = await lease.holder(source.server)
        if held is None:
            return
        if clock() > until:
            raise NotReady(
                f"{held.owner} ({held.who}, since {held.since}) changes the account, for longer than the {timeout:g} s that "
                "--timeout allows: run it again when that has ended"
            )
        # Neither a purge nor an expiry is announced; the time above bounds the loop.
        await asyncio.sleep(lease.POLL_SECONDS)


def _left_out(source: FromServer, name: str, refused: Refused, config: dict[str, object]) -> str:
    """Return why a stream is left out that the server does not send."""
    if refused.code == STREAM_NOT_FOUND:
        return GONE
    if config.get("storage") == "memory":
        return f"it is in memory, and {source.where} cannot write that down: --leave {name} says that it is meant"
    raise DecisionNeeded(
        f"stream {name} could not be backed up: {source.where} refused {refused.request}: {refused}. "
        f"Mend what it names, or leave it out: --leave {name}"
    ) from refused
