"""Backing up the streams of an account: each as the server writes it down, while everything goes on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection

from natsmith.actions import lease, state
from natsmith.actions.carry_out import Progress
from natsmith.adapters.backup_writer import Writer
from natsmith.adapters.server import STREAM_NOT_FOUND, Refused
from natsmith.adapters.sources import FromServer
from natsmith.adapters.transfer import COMING
from natsmith.clock import clock
from natsmith.errors import DecisionNeeded, NotReady
from natsmith.log import Log
from natsmith.model.bringing import Brought

ASKED = "as asked"
NOTES = "natsmith's own notes and lock, which are of this place and time"
GONE = "it was deleted meanwhile"
MEANT = (ASKED, NOTES, GONE)
"""Why a stream is left that nobody will miss."""


async def back_up(
    source: FromServer,
    writer: Writer,
    account: str,
    *,
    log: Log,
    leave: Collection[str],
    progress: Progress,
    timeout: float,
) -> list[Brought]:
    """Write every stream of an account, but those to *leave*, and tell what became of each."""
    await _nobody_changes(source, timeout)
    streams = sorted(await source.streams(), key=lambda each: str(each.config["name"]))
    half = [each.config["name"] for each in streams if COMING in (each.config.get("metadata") or {})]
    half = [each for each in half if each not in leave]
    if half:
        raise DecisionNeeded(
            *(
                f"stream {name} has not all come to {source.where}: natsmith bring or restore is under way, or was ended. "
                f"Let it end, or run it again; or leave the stream out: --leave {name}"
                for name in half
            )
        )
    writer.account(account)
    rows = []
    for info in streams:
        name, began = info.config["name"], clock()
        if name in leave or name == state.STREAM:
            rows.append(Brought(stream=name, fate="left", why=ASKED if name in leave else NOTES))
            continue
        log.info("back up", stream=name, messages=info.messages, bytes=info.bytes)
        try:
            taken, stay = await writer.stream(
                account,
                source,
                info,
                lambda size, name=name, of=info.bytes: progress.copied(name, size, max(size, of)),  # type: ignore[misc]
            )
        except Refused as refused:
            rows.append(Brought(stream=name, fate="left", why=_left(source, name, refused, info.config)))
            continue
        rows.append(
            Brought(
                stream=name,
                fate="backed up",
                messages=taken.messages,
                bytes=taken.bytes,
                first=taken.first_sequence,
                last=taken.last_sequence,
                consumers=len(stay),
                seconds=round(clock() - began, 3),
            )
        )
    return rows


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


def _left(source: FromServer, name: str, refused: Refused, config: dict[str, object]) -> str:
    """Return why a stream is left that the server does not send."""
    if refused.code == STREAM_NOT_FOUND:
        return GONE
    if config.get("storage") == "memory":
        return f"it is in memory, and {source.where} cannot write that down: --leave {name} says that it is meant"
    raise DecisionNeeded(
        f"stream {name} could not be backed up: {source.where} refused {refused.request}: {refused}. "
        f"Mend what it names, or leave it out: --leave {name}"
    ) from refused
