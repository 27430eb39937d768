"""Bringing the streams of an account from another server or a backup: each as it is there, and none over another one.

Nothing is deleted, here or there. A run that is interrupted leaves what it has brought, and the next one goes on.
One run brings at a time, under the lock that apply takes: a second one would take the half of the first for a dead one's.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from natsmith.actions import lease, state
from natsmith.actions.apply import now, who
from natsmith.actions.carry_out import Progress
from natsmith.actions.comparing import compare, consumers, size
from natsmith.actions.lease import Lease
from natsmith.adapters.jetstream import NO_PEERS, JetStream
from natsmith.adapters.server import NO_ROOM, Refused, StreamInfo
from natsmith.adapters.sources import Source
from natsmith.adapters.transfer import BROUGHT, COMING, STALLED_SECONDS, Transfer, arrived, bring_stream, forgotten
from natsmith.clock import clock
from natsmith.errors import DecisionNeeded, NatsmithError
from natsmith.log import Log
from natsmith.model.bringing import ASKED, NOTES, Brought, Fate
from natsmith.model.outcome import Holder

SOURCES_KNOW_LEVEL = 5
"""From 2.15 on a stream knows whether what it copies from is still the same, and copies all of another one."""

LOOK_AGAIN_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Bringing:
    """What is brought into which account, and how."""

    source: Source
    target: JetStream
    log: Log
    progress: Progress = field(default_factory=Progress)
    leave: Collection[str] = ()
    replicas: Mapping[str, int] | None = None
    """Which streams get others than they have."""

    notes: bool = True
    """Whether natsmith's own notes come along; those of a backup are of another time."""

    fewer: bool = False
    """Whether a stream for whose replicas the cluster has too few servers gets one."""

    timeout: float = 30.0
    """How long to wait for another run."""

    rows: list[Brought] = field(default_factory=list)
    """What became of streams, also where the run stops in the middle."""


async def bring(what: Bringing) -> list[Brought]:
    """Bring every stream that is not there, but those to leave, while nobody else writes as natsmith."""
    what.rows[:], coming = await look(what)
    if not coming:
        return what.rows
    wanted = max(_replicas(what, each) for each in coming)
    noted = await _notes(what, coming, wanted)
    what.rows.extend([noted] if noted else ())
    mine = Holder(owner=f"natsmith {what.source.verb}", who=who(), since=now())
    async with lease.held(what.target, mine, log=what.log, timeout=what.timeout) as lock:
        rows, coming = await look(what, alone=True)
        what.rows[:] = [noted if noted and each.stream == noted.stream else each for each in rows]
        for info in coming:
            what.rows.append(await _one(what, info, lock))
    return what.rows


async def look(what: Bringing, *, alone: bool = False) -> tuple[list[Brought], list[StreamInfo]]:
    """Return what is not brought and what is; raise DecisionNeeded, before anything is, with all that somebody must decide.

    Who is *alone* removes what an ended run has left.
    """
    source, target = what.source, what.target
    theirs = _in_order(await source.streams())
    level = (await target.account()).level
    rows: list[Brought] = []
    coming: list[StreamInfo] = []
    problems: list[str] = []
    for info in theirs:
        name, mark = info.config["name"], source.mark(info)
        # Each by its name: what an interrupted run left keeps a cluster from listing all of them.
        here = await forgotten(target, name, mark) if alone else await target.stream(name)
        if here and _metadata(here).get(COMING) == mark:
            here = None
        if name in what.leave:
            rows.append(Brought(stream=name, fate="left out", why=ASKED))
        elif here and _metadata(here).get(BROUGHT) == mark:
            rows.append(_told(here, "kept", consumers=here.consumers))
        elif name == state.STREAM and (here or not what.notes):
            why = f"{NOTES}; here are newer ones" if here else f"{NOTES}, of another time"
            rows.append(Brought(stream=name, fate="left out", why=why))
        elif here:
            problems.append(_twice(source, target, info, here))
        elif info.config.get("sources") and level >= SOURCES_KNOW_LEVEL:
            problems.append(_copies_again(source, target, info))
        else:
            coming.append(info)
    if problems:
        raise DecisionNeeded(*problems)
    return rows, coming


async def _notes(what: Bringing, coming: Iterable[StreamInfo], replicas: int) -> Brought | None:
    """Have a state bucket, in which the lock is: the one of the source where it comes along, else a new one.

    Nobody is alone yet, so what another run has begun is its own until that must have ended.
    """
    theirs = next((each for each in coming if each.config["name"] == state.STREAM), None)
    if theirs is None:
        await _bucket(what.target, replicas)
        return None
    until = clock() + STALLED_SECONDS
    while True:
        here = await what.target.stream(state.STREAM)
        if here and COMING not in _metadata(here):
            return None
        try:
            late = clock() > until
            if here and late:
                here = await forgotten(what.target, state.STREAM, what.source.mark(theirs))
            if here is None:
                row = await _one(what, theirs, None, alone=late)
                await _writable(what.target)
                return row
        except DecisionNeeded as error:
            # Another run may have been faster.
            if late or not isinstance(error.__cause__, Refused):
                raise
        # Nobody announces that another run has brought it; the time above bounds the loop.
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


async def _writable(target: JetStream) -> None:
    """Return when all copies of the state bucket are there: while it gets them, nobody answers who writes there."""
    until = clock() + STALLED_SECONDS
    while clock() < until:
        here = await target.stream(state.STREAM)
        if here and not here.alone and not here.offline and not any(here.lags.values()):
            return
        # Nobody announces that a copy is current; the time above bounds the loop.
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


async def _bucket(target: JetStream, replicas: int) -> None:
    try:
        await state.ensure(target, replicas)
    except DecisionNeeded:
        if replicas == 1:
            raise
        await state.ensure(target, 1)


def _in_order(streams: Iterable[StreamInfo]) -> list[StreamInfo]:
    """Return streams by name, what is copied before what copies."""
    return sorted(
        streams, key=lambda each: (bool(each.config.get("mirror") or each.config.get("sources")), each.config["name"])
    )


def _metadata(info: StreamInfo) -> Mapping[str, str]:
    metadata: Mapping[str, str] = info.config.get("metadata") or {}
    return metadata


def _told(
    info: StreamInfo,
    fate: Fate,
    *,
    consumers: int,
    seconds: float = 0,
    why: str = "",
) -> Brought:
    return Brought(
        stream=info.config["name"],
        fate=fate,
        why=why,
        messages=info.messages,
        bytes=info.bytes,
        first=info.first_sequence,
        last=info.last_sequence,
        consumers=consumers,
        seconds=seconds,
    )


def _twice(source: Source, target: JetStream, info: StreamInfo, here: StreamInfo) -> str:
    name = info.config["name"]
    empty = "" if here.last_sequence else "It never held a message, so nothing is lost by deleting it. "
    return (
        f"stream {name} is at {source.where} with {size(info)}, and at {target.link.where} with {size(here)}: "
        f"neither is written over. {empty}To {source.verb} the first, delete the second there (nats stream rm {name}); "
        f"to keep the second, leave the first out: {_leaving(source, name)}. Then run it again"
    )


def _leaving(source: Source, name: str) -> str:
    bringing = source.verb == "bring"
    return f"--leave {name}, or {'nats.grow.leave in the chart' if bringing else '--only with the name of each that you want'}"


def _copies_again(source: Source, target: JetStream, info: StreamInfo) -> str:
    name = info.config["name"]
    origins = ", ".join(each["name"] for each in info.config["sources"])
    return (
        f"stream {name} has sources ({origins}), and {target.link.where} would take what is {source.done} for others than those, and "
        f"copy all of them once more. Leave {name} out: {_leaving(source, name)}; made anew there by "
        "the values, it copies what its sources hold, and what only it holds stays where it is"
    )


def _replicas(what: Bringing, info: StreamInfo) -> int:
    """Return how many replicas a stream is to have."""
    if not what.target.link.clustered:
        return 1
    return (what.replicas or {}).get(info.config["name"]) or info.config.get("num_replicas", 1)


async def _one(what: Bringing, info: StreamInfo, lock: Lease | None, *, alone: bool = True) -> Brought:
    source, target, name = what.source, what.target, info.config["name"]
    began = clock()
    if lock:
        lock.check()
    what.log.info(source.verb, stream=name, messages=info.messages, bytes=info.bytes)
    try:
        came = await bring_stream(
            source, target, info, lambda sent: what.progress.copied(name, sent, max(sent, info.bytes)), alone=alone
        )
        compare(source, target, came)
        count = await consumers(source, target, name)
        await _nobody_writes(source, came)
        if lock:
            lock.check()
        # From here on it is what it was, for whoever writes.
        ours = await _opened(what, info)
    except BaseException as error:
        await _removed(what, info, lock)
        if isinstance(error, Refused) and info.config.get("storage") == "memory":
            # Servers before 2.15 cannot write down what is in memory.
            sends = error.request.startswith("STREAM.SNAPSHOT")
            cannot = f"{source.where} cannot send it" if sends else f"{target.link.where} cannot take it"
            return Brought(stream=name, fate="left out", why=f"it is in memory, and {cannot}")
        if isinstance(error, Refused):
            raise DecisionNeeded(_refused(source, target, name, error)) from error
        raise
    seconds = round(clock() - began, 3)
    what.log.info(source.done, stream=name, messages=ours.messages, last=ours.last_sequence, seconds=seconds)
    had, has = info.config.get("num_replicas", 1), ours.config.get("num_replicas", 1)
    wanted = (what.replicas or {}).get(name, had)
    why = f"it has 1 replica, not {wanted}: {target.link.where} has no more servers" if has < wanted else ""
    return _told(came.stored, source.done, consumers=max(count, ours.consumers), seconds=seconds, why=why)


async def _opened(what: Bringing, info: StreamInfo) -> StreamInfo:
    """Give a stream that is all there its own configuration."""
    mark, replicas = what.source.mark(info), _replicas(what, info)
    try:
        return await what.target.update_stream(arrived(info, mark, replicas))
    except Refused as refused:
        if refused.code != NO_PEERS or replicas == 1 or not what.fewer:
            raise
    return await what.target.update_stream(arrived(info, mark, 1))


async def _removed(what: Bringing, info: StreamInfo, lock: Lease | None) -> None:
    """Remove what has come of a stream, unless it may be another run's by now; if that fails too, the next run does."""
    if lock is None:
        return
    with contextlib.suppress(Refused, NatsmithError):
        lock.check()
        await forgotten(what.target, info.config["name"], what.source.mark(info))


async def _nobody_writes(source: Source, came: Transfer) -> None:
    name = came.taken.config["name"]
    last = await source.last_sequence(name)
    if last > came.taken.last_sequence:
        raise DecisionNeeded(
            f"stream {name} had {came.taken.last_sequence} as its last message when it was sent, and {last} now: "
            f"somebody writes to it at {source.where}. End that, and run the same command again; nothing of it was kept here"
        )


def _refused(source: Source, target: JetStream, name: str, refusal: Refused) -> str:
    cure = next((cure for code, cure in NO_ROOM.items() if f"({code})" in str(refusal)), "")
    if not cure and any(word in refusal.text for word in ("insufficient", "exceeded", "no space")):
        cure = NO_ROOM[10047]
    return (
        f"stream {name} could not be {source.done} to {target.link.where}, which has nothing of it: {refusal}. "
        f"{cure[:1].upper() + cure[1:] if cure else 'Mend what it names'}; then run the same command again"
    )
