"""The lock of an account: one run writes at a time, and a dead one does not block the next.

FACTS of the server that it is built on: create-if-absent and compare-and-set on a key with a time to live;
a purge of the holder's own revision never hits a newer holder. Sequences begin anew in a state bucket that was deleted
and created meanwhile, so what is renewed or given back is known by a number of its own as well. The server has no compare-and-set for configurations,
so a run also asks its own clock before each write whether its lease still holds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from natsmith.actions.state import LEASE_SECONDS, STREAM, SUBJECT
from natsmith.adapters import wire
from natsmith.adapters.server import NO_ROOM, WRITTEN_TOGETHER, WRONG_LAST_SEQUENCE, Message, Refused, Server
from natsmith.clock import clock
from natsmith.errors import DecisionNeeded, NatsmithError, NotReady, StoppedHalfway
from natsmith.log import Log
from natsmith.model.outcome import Holder

KEY = SUBJECT + "lock"
SECONDS = LEASE_SECONDS
"""How long a lease lives without a renewal."""

MARGIN = 6.0
"""No write begins when less of the lease is left: a request waits at most 5 seconds for its answer."""

POLL_SECONDS = 0.5
"""How often a waiting run asks whether the lock is free: neither a purge nor an expiry is announced."""


UNWRITTEN = "the lock cannot be written to the state bucket natsmith_state"
"""How both refusals of it begin."""


class Lease:
    """A held lock."""

    def __init__(self, server: Server, holder: Holder, *, seconds: int) -> None:
        self._server = server
        about = {"owner": holder.owner, "who": holder.who, "since": holder.since, "nonce": secrets.token_hex(16)}
        self._payload = json.dumps(about).encode()
        self._seconds = seconds
        self._until = 0.0
        self._lost = ""
        self.no_room: Refused | None = None
        """Why the lock could not be stored the last time, where nothing could."""

    async def take(self) -> bool:
        """Take the lock if nobody holds it."""
        self.no_room = None
        try:
            if await self._write(expect=0):
                return True
            last = await self._server.last(STREAM, KEY)
            if last is None or _expires(last):
                return False
            # Put there by hand, it would block every run for ever. No newer one is hit by this purge.
            await self._server.purge_stream(STREAM, subject=KEY, before=last.sequence + 1)
            return await self._write(expect=0)
        except Refused as refusal:
            if refusal.code == WRITTEN_TOGETHER:  # another run takes it just now, or asks whether it can
                return False
            if refusal.code in NO_ROOM:  # messages expire, and a server with a higher limit may be about to start
                self.no_room = refusal
                return False
            raise DecisionNeeded(
                f"{UNWRITTEN}: {refusal}. Mend what it names, "
                "or delete that bucket, which holds nothing that cannot be lost"
            ) from refusal

    async def renew(self) -> None:
        """Hold the lock for another whole time; if it is not ours any more, remember that."""
        # Without an answer the lease runs on; check() stops the run when it is nearly over.
        with contextlib.suppress(NatsmithError, Refused):
            last = await self._own()
            if last is None or not await self._write(expect=last.sequence):
                self._lost = "another run took the lock over, or the lock was deleted"

    async def _own(self) -> Message | None:
        """Return the lock if it is ours; a renewal whose answer was lost is ours as well."""
        last = await self._server.last(STREAM, KEY)
        return last if last and last.payload == self._payload else None

    async def _write(self, *, expect: int) -> bool:
        began = clock()
        try:
            await self._server.publish(KEY, self._payload, expect=expect, ttl=self._seconds)
        except Refused as refusal:
            if refusal.code == WRONG_LAST_SEQUENCE:
                return False
            raise
        self._until = began + self._seconds
        return True

    def check(self) -> None:
        """Raise StoppedHalfway unless there is enough of the lease left for one write."""
        margin = min(MARGIN, self._seconds / 2)
        if not self._lost and clock() > self._until - margin:
            self._lost = f"its lease of {self._seconds} s could not be renewed in time"
        if self._lost:
            raise StoppedHalfway(
                f"this run lost its lock: {self._lost}. Nothing more was written; run the same command again to go on"
            )

    async def release(self) -> None:
        """Give the lock back, unless a newer holder has it; no write begins after that."""
        self._lost = self._lost or "it was given back"
        with contextlib.suppress(NotReady, Refused):
            last = await self._own()
            if last:
                await self._server.purge_stream(STREAM, subject=KEY, before=last.sequence + 1)


def _expires(message: Message) -> bool:
    return message.headers.get("Nats-TTL", "never") != "never"


async def holder(server: Server) -> Holder | None:
    """Return who holds the lock."""
    message = await server.last(STREAM, KEY)
    if message is None or not _expires(message):
        return None
    match wire.remembered_map(message.payload):
        case {"owner": str(owner), "who": str(who), "since": str(since)}:
            return Holder(owner=owner, who=who, since=since)
    return Holder(owner="somebody", who="unknown", since=message.time)


@asynccontextmanager
async def held(
    server: Server, mine: Holder, *, log: Log, timeout: float, seconds: int = SECONDS
) -> AsyncIterator[Lease]:
    """Hold the account's lock for a block; wait at most *timeout* seconds for whoever holds it."""
    lease = Lease(server, mine, seconds=seconds)
    deadline = clock() + timeout
    told = None
    while not await lease.take():
        if lease.no_room and clock() > deadline:
            raise DecisionNeeded(
                f"{UNWRITTEN}: {lease.no_room}; {NO_ROOM[lease.no_room.code]}, or remove messages; "
                "then run the same command again"
            )
        other = await holder(server)
        if other and other != told:
            log.info("lock.waiting", held_by=other.owner, who=other.who, since=other.since)
            told = other
        if clock() > deadline:
            name = f"{other.owner} ({other.who}, since {other.since})" if other else "another run"
            raise NotReady(
                f"the account is locked by {name}, for longer than the {timeout:g} s that --timeout allows: "
                "wait for that run to end; a dead one lets go by itself after "
                f"{seconds} s"
            )
        await asyncio.sleep(POLL_SECONDS)
    renewal = asyncio.create_task(_renew(lease, seconds))
    try:
        yield lease
    finally:
        renewal.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await renewal
        try:
            await lease.release()
        except DecisionNeeded as error:  # a right is missing: the run is done, and the next one will wait
            log.warn(f"the lock was not given back, and ends by itself after {seconds} s: {error}")


async def _renew(lease: Lease, seconds: int) -> None:
    while True:
        # Time itself is what is awaited: three renewals fit in a lease.
        await asyncio.sleep(seconds / 3)
        await lease.renew()
