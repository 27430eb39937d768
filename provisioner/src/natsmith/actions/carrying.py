"""Consumers of a stream that moves: they go on in the new one where they were."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta

from natsmith.actions.lease import Lease
from natsmith.actions.observe import in_parallel
from natsmith.adapters import copies
from natsmith.adapters.server import Config, ConsumerInfo, Refused, Server
from natsmith.adapters.wire import STARTS, filters
from natsmith.clock import clock
from natsmith.errors import NotReady, StoppedHalfway
from natsmith.model.moving import Record, parking, temporary
from natsmith.model.units import parse_time, write_time

DRAIN_SECONDS = 5.0
"""How long acknowledgements of what was handed out are waited for; what comes later is handed out twice."""

PAUSE_SECONDS = 30
"""How long a consumer waits at most for a move that was killed."""

MIRROR_ACKS_SECONDS = 2.2
"""A stream by interest keeps what its copy has not acknowledged, which a server from 2.14 on does once a second."""

DENIED_SECONDS = 0.3
"""A server tells within milliseconds what is not permitted; a reset of no consumer it does not answer at all."""

FILTERS = ("filter_subject", "filter_subjects")
WRITTEN_SECONDS = 0.05
"""Servers write within 10 ms what they removed, and tell nobody; one that is killed sooner has it again."""

GUARD = "natsmith_move"
"""The consumer that takes the only place of a stream which is not whole yet."""

FAR = "2999-01-01T00:00:00Z"
MAX_CONSUMERS = 10026


async def durables(server: Server, stream: str) -> list[ConsumerInfo]:
    """Return the consumers that somebody may come back to; others make themselves anew."""
    return [each for each in await server.consumers(stream) if each.config.get("durable_name")]


async def drain(server: Server, stream: str, lock: Lease) -> None:
    """Pause the consumers of a stream and wait for what is under way to be acknowledged."""
    lock.check()
    if not await _drained(server, stream, lambda: durables(server, stream)):
        return
    info = await server.stream(stream)
    if info and info.config.get("retention") == "interest":
        await asyncio.sleep(MIRROR_ACKS_SECONDS)


async def _drained(server: Server, stream: str, ask: Callable[[], Awaitable[list[ConsumerInfo]]]) -> list[ConsumerInfo]:
    """Pause the consumers that *ask* tells of, wait a while for their acknowledgements, and return them as they are then."""
    found = await ask()
    if not found:
        return []
    await paused(server, stream, found)
    until = clock() + DRAIN_SECONDS
    while any(each.ack_pending for each in found) and clock() < until:
        await asyncio.sleep(0.05)  # acknowledgements are announced to nobody but their stream
        found = await ask()
    return found


async def paused(server: Server, stream: str, consumers: Iterable[ConsumerInfo]) -> None:
    """Pause consumers that somebody else has not paused for longer; not for ever, since who pauses them may be killed."""
    until = await _soon(server, stream)
    names = [each.name for each in consumers if each.config.get("pause_until", "") < until]
    await in_parallel(lambda name: server.pause_consumer(stream, name, until), names)


async def _soon(server: Server, stream: str) -> str:
    """Return a time soon, by the server's clock."""
    info = await server.stream(stream)
    now = parse_time(info.now) if info and info.now else datetime.now(UTC)
    return write_time(now + timedelta(seconds=PAUSE_SECONDS))


async def positions(server: Server, stream: str) -> dict[str, Config]:
    """Return each durable's configuration, where it goes on under ``start``, and how long somebody has it paused."""
    found = await durables(server, stream)
    soon = await _soon(server, stream) if found else ""  # nobody can write while this is read
    return {
        each.name: {
            "config": _plain(each.config),
            "start": copies.position(each),
            "paused": _longer(each.config.get("pause_until", ""), soon),
        }
        for each in found
    }


def _longer(until: str, soon: str) -> str:
    """Return until when somebody else paused a consumer: times of one server can be compared as they are written."""
    return until if until > soon else ""


def _plain(config: Config) -> Config:
    return {key: value for key, value in config.items() if key != "pause_until"}


async def carry(server: Server, record: Record, lock: Lease, *, resets: bool, whole: bool) -> None:
    """Make the consumers in the new stream that are not there yet.

    Until it is *whole*, only those that would not see the marks of a switch, and none for anybody else.
    """
    there = {each.name: each for each in await server.consumers(record.home)}
    queue = record.final.get("retention") == "workqueue"
    if whole and GUARD in there:
        await server.delete_consumer(record.home, GUARD)
    due = {**record.positions} if whole else copies.carried_early(record)
    for name, each in due.items():
        lock.check()
        await _placed(server, record.home, dict(each), there.get(name), resets=resets, queue=queue)
    if not whole and not due and GUARD not in there:
        guard = {"filter_subjects": [parking(record.home)], "ack_policy": "explicit", "num_replicas": 1}
        with contextlib.suppress(Refused):  # somebody was faster
            await server.put_consumer(record.home, {"durable_name": GUARD, "name": GUARD, **guard}, verb="create")


async def _placed(
    server: Server, stream: str, kept: Config, there: ConsumerInfo | None, *, resets: bool, queue: bool
) -> None:
    """Make one consumer that goes on where it was; one that was made by a run that was killed is told again."""
    config, start = kept["config"], kept["start"]
    sequence = int(start.get("opt_start_seq", 0))
    # A work queue has nothing but what is left to do.
    reset = resets and not queue and sequence > 1 and config.get("deliver_policy") == "all"
    if there is None:
        held = copies.carried(config, {} if reset or queue else start)
        # Before it is told where to go on, it may not begin: however long a run that is killed here stays away.
        held |= {"pause_until": FAR if reset else await _soon(server, stream)}
        try:
            there = await server.put_consumer(stream, held, verb="create")
        except Refused as refusal:
            if refusal.code != MAX_CONSUMERS:
                raise
            await _more_room(server, stream)
            there = await server.put_consumer(stream, held, verb="create")
    elif not there.config.get("pause_until"):
        return
    if reset and not there.handed_out and there.delivered < sequence - 1:
        await server.reset_consumer(stream, there.name, sequence)
    await server.pause_consumer(stream, there.name, kept.get("paused", ""))


async def worked_off(server: Server, record: Record) -> None:
    """Remove from what becomes a work queue what its workers have acknowledged; a queue would not have it any more.

    That is before its consumers are made: a purge by subject moves one that has several filters.
    """
    if not record.becomes_queue:
        return
    for each in record.positions.values():
        config, start = each["config"], each["start"]
        for subject in (filters(config) or [""]) if start.get("opt_start_seq") else ():
            await server.purge_stream(record.home, subject=subject, before=start["opt_start_seq"])
    await asyncio.sleep(WRITTEN_SECONDS)


async def let_go(server: Server, record: Record) -> None:
    """Remove what all consumers of a stream by interest have acknowledged before it is one: old servers leave it there."""
    if record.final.get("retention") == "interest":
        lowest = min((each.ack_floor for each in await durables(server, record.home)), default=0)
        if lowest:
            await server.purge_stream(record.home, before=lowest + 1)


async def _more_room(server: Server, stream: str) -> None:
    """Allow one more consumer: somebody else's took the place of one that is carried."""
    info = await server.stream(stream)
    if info:
        await server.update_stream(copies.as_request(info.config | {"max_consumers": info.consumers + 1}))


async def resume(server: Server, stream: str) -> None:
    """Let consumers go on that were paused for a move, and take away what kept others from being made."""
    consumers = await server.consumers(stream)
    if any(each.name == GUARD for each in consumers):
        await server.delete_consumer(stream, GUARD)
    soon = await _soon(server, stream)
    waiting = [each.name for each in consumers if "" < each.config.get("pause_until", "") <= soon]
    await in_parallel(lambda name: server.pause_consumer(stream, name, ""), waiting)


async def counted(server: Server, record: Record) -> None:
    """Have the consumers that were there early count anew: they took the mark of the switch for pending.

    They do when their filters change. Taking all filters away instead would leave one deaf to new messages.
    """
    for name, kept in copies.carried_early(record).items():
        info = await server.consumer(record.home, name)
        if info is not None:
            # From what it was, not from what it is: a run may have been killed between the two.
            theirs = {key: kept["config"][key] for key in FILTERS if kept["config"].get(key)}
            one = {key: value for key, value in info.config.items() if key not in FILTERS}
            more = one | {"filter_subjects": [*filters(theirs), parking(record.home)]}
            await server.put_consumer(record.home, more, verb="update")
            await server.put_consumer(record.home, one | theirs, verb="update")


async def anew(server: Server, stream: str, config: Config, lock: Lease, *, resets: bool) -> ConsumerInfo:
    """Make a consumer of another make that goes on where the old one is.

    Where it was stands in a second consumer until then, which also keeps what a stream by interest has for it.
    """
    name, stand_in = config["durable_name"], temporary(config["durable_name"])
    info = await server.stream(stream)
    queue = info is not None and info.config.get("retention") == "workqueue"

    async def itself() -> list[ConsumerInfo]:
        found = await server.consumer(stream, name)
        return [found] if found else []

    await _drained(server, stream, itself)
    old = await server.consumer(stream, name)
    if old is not None and not queue:
        lock.check()
        await server.delete_consumer(stream, stand_in)
        mark = copies.carried(_plain(old.config), copies.position(old))
        mark |= {"name": stand_in, "durable_name": stand_in, "pause_until": FAR}
        for key in ("deliver_subject", "deliver_group", "flow_control", "idle_heartbeat"):
            mark.pop(key, None)
        await server.put_consumer(stream, mark, verb="create")
    if old is not None:
        lock.check()
        await server.delete_consumer(stream, name)
    held = await server.consumer(stream, stand_in)
    start = {key: held.config[key] for key in STARTS if key in held.config} if held else {}
    lock.check()
    kept = {"config": config, "start": {} if queue else start}
    await _placed(server, stream, kept, None, resets=resets, queue=False)
    if held:
        await server.delete_consumer(stream, stand_in)
    made = await server.consumer(stream, name)
    if made is None:
        raise StoppedHalfway(f"consumer {name} was deleted by somebody else meanwhile")
    return made


async def permitted(server: Server, record: Record, *, resets: bool) -> None:
    """Raise DecisionNeeded if one of the steps to come is not permitted: each is asked for where nothing is there."""
    nowhere = f"natsmith_none_{secrets.token_hex(8)}"
    await server.delete_stream(nowhere)
    await server.delete_message(nowhere, 1)
    await server.pause_consumer(nowhere, "none", "")
    await server.delete_consumer(nowhere, "none")
    asked: list[Callable[[], Awaitable[object]]] = [
        lambda: server.update_stream({"name": nowhere}),
        lambda: server.purge_stream(nowhere, before=1),
        lambda: server.put_consumer(nowhere, {"durable_name": "none", "name": "none"}, verb="create"),
        lambda: server.publish(parking(record.source), b"", patient=False),
        lambda: server.publish(parking(record.carrier), b"", patient=False),
    ]
    if resets:
        asked.append(lambda: asyncio.wait_for(server.reset_consumer(nowhere, "none", 1), DENIED_SECONDS))
    for ask in asked:
        with contextlib.suppress(Refused, NotReady, TimeoutError):
            await ask()
