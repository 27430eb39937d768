"""One leader of a group at a time, with a token that tells an old leader from a new one.

A leader holds a key that expires. It takes it by compare-and-set, holds it by compare-and-set, and the key's revision
when it was taken is the token: every later leader has a higher one. A leader believes in its lease by its own clock,
counted from before it asked, and stops before the server lets the key go.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
from collections.abc import Callable
from types import TracebackType
from typing import Any

from natsmith.clock import clock
from natsmith.errors import DecisionNeeded, NatsmithError, NotReady, WrongValues
from natsmith.registry import entry
from natsmith.registry.answers import NEVER, Stored
from natsmith.registry.bucket import Bucket
from natsmith.registry.candidacy import AGAIN_SECONDS, Candidacy, said_in
from natsmith.registry.errors import Conflict, WrongUse
from natsmith.registry.line import Line, answered, log

MARGIN = 0.1
"""The part of a lease that is not used: clocks do not run equally fast."""


LONGEST_LEASE = 3600
"""Seconds for which a group may be without a leader after one died."""

GOODBYE_SECONDS = 1.0
"""Nobody waits longer for an answer when it lets go."""


class LeadershipLost(NotReady):
    """The lease ended while its block ran; somebody else may lead by now."""


class Lease:
    """Being the leader, while it lasts."""

    def __init__(self, group: str, token: int, *, until: float) -> None:
        self.group = group
        self.token = token
        """Rises with every leader: hand it to the work, and have refused there what comes with a lower one."""

        self.lost = asyncio.Event()
        """Set when the lease is over."""

        self._until = until

    @property
    def held(self) -> bool:
        """Whether it still holds, by this machine's clock: right even after the process was stopped for a while."""
        return not self.lost.is_set() and clock() < self._until

    @property
    def seconds_left(self) -> float:
        """How long it still holds if it cannot be renewed."""
        return max(0.0, self._until - clock()) if self.held else 0.0

    def check(self) -> None:
        """Raise LeadershipLost unless it still holds."""
        if not self.held:
            raise LeadershipLost(
                f"this process leads {self.group} no more: its lease is over. Stop what only a leader may do"
            )


class Leadership:
    """Wanting to lead a group: ``async with`` waits until that is so, and stops its block when it is so no more."""

    def __init__(self, line: Line, bucket: str, group: str, *, id: str, ttl: int) -> None:
        if isinstance(ttl, bool) or not isinstance(ttl, int) or ttl < 1:
            raise WrongValues(
                f"ttl is {ttl!r}, but must be whole seconds, 1 or more: the server knows no parts of them"
            )
        if ttl > LONGEST_LEASE:
            raise WrongValues(
                f"ttl is {ttl} s, but must be {LONGEST_LEASE} s at most: when a leader dies, nobody leads for that long. "
                "A lease is renewed while its block runs, so that long work needs no longer one"
            )
        self._key = entry.group_key(group)
        self._line, self._group, self._ttl = line, group, ttl
        self._id = entry.leader_id(id) or f"{socket.gethostname()}-{os.getpid()}"
        self._run = ""
        """Tells this block's writes from all others; empty while there is no block."""

        self._bucket = Bucket(name=bucket)
        self._lease: Lease | None = None
        self._revision = NEVER
        self._soon = asyncio.Event()
        """Set when the connection is back: some of the lease is gone."""

        self._forget: Callable[[], None] = lambda: None
        self._tasks: set[asyncio.Task[None]] = set()
        self._renewing: asyncio.Task[None] | None = None
        self._body: asyncio.Task[Any] | None = None
        self._asked = self._stopped_body = self._leaving = False

    async def __aenter__(self) -> Lease:
        if self._run:
            raise WrongUse(f"this leadership of {self._group} is entered already: make another one")
        self._run, self._lease, self._revision = secrets.token_hex(8), None, NEVER
        self._asked = self._stopped_body = self._leaving = False
        try:
            self._lease = lease = await self._campaign()
        except BaseException:
            self._run = ""
            raise
        self._body = asyncio.current_task()
        self._cancelling = self._body.cancelling() if self._body else 0
        self._forget = self._line.listen(lambda _same_server: self._soon.set())
        self._renewing = asyncio.create_task(self._hold(lease))
        self._tasks.add(self._renewing)
        return lease

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lease, renewing = self._lease, self._renewing
        if lease is None or renewing is None:
            return
        was_held, self._leaving = lease.held, True
        lease.lost.set()  # before anybody else can be told that the key is free
        self._forget()
        renewing.cancel()
        # Whoever cancelled the block as well means more than the block.
        only_stopped = self._stopped_body and self._body and self._body.uncancel() <= self._cancelling
        try:
            # Awaiting them themselves would take a cancellation that means this block for theirs.
            await asyncio.wait(self._tasks)
            if was_held:
                await self._release()
        finally:
            self._tasks.clear()
            self._run = ""
        if (kind is None and not was_held) or (only_stopped and kind is asyncio.CancelledError):
            raise LeadershipLost(
                f"this process leads {self._group} no more: its lease of {self._ttl} s could not be renewed, or was taken"
            ) from (error if renewing.cancelled() else renewing.exception() or error)

    async def _campaign(self) -> Lease:
        """Return the lease when it is won; leave nothing behind where it is not."""
        self._bucket = await self._line.bucket(self._bucket.name, profile="election")
        why = self._bucket.no_elections(self._ttl)
        if why:
            raise DecisionNeeded(
                f"bucket {self._bucket.name} cannot elect a leader of {self._group}: {why}. "
                "Give elections a bucket of their own, with profile election"
            )
        candidacy = Candidacy(self._line, self._bucket, self._key, run=self._run)
        try:
            await candidacy.open()
            lease = await self._won(candidacy)
        except BaseException:
            await candidacy.close()
            if self._asked:  # what was asked for may come yet
                await self._release()
            raise
        # The lease runs already: what it was waited with is put away beside it.
        self._tasks.add(asyncio.create_task(candidacy.close()))
        return lease

    async def _won(self, candidacy: Candidacy) -> Lease:
        """Return the lease as soon as there is one to have. It ends with whoever waits for it."""
        while True:
            expected = await candidacy.free()
            began, self._asked = clock(), True
            try:
                self._revision = await answered(self._write(expected), GOODBYE_SECONDS)
            except Conflict:
                await candidacy.beaten()
            except NotReady as error:
                log.info("%s cannot be led just now: %s", self._group, error)
                candidacy.later()
            else:
                lease = Lease(self._group, self._revision, until=self._until(began))
                if lease.held:
                    return lease

    def _until(self, began: float) -> float:
        """Return how long a lease is believed in: the server counts from later, and by a clock of its own."""
        return began + self._ttl * (1 - MARGIN)

    @property
    def _patience(self) -> float:
        return max(0.3, min(5.0, self._ttl / 4))

    async def _write(self, expect: int) -> int:
        said = {"v": entry.FORMAT, "id": self._id, "run": self._run, "ttl": self._ttl}
        if self._lease:
            said["token"] = self._lease.token
        payload = json.dumps(said, separators=(",", ":")).encode()
        return await self._line.write(
            self._bucket, self._key, payload, expect=expect, ttl=self._ttl, timeout=self._patience
        )

    def _ours(self, last: Stored | None) -> bool:
        return last is not None and not last.deleted and said_in(last.payload).get("run") == self._run

    async def _hold(self, lease: Lease) -> None:
        """Keep the lease, and stop the block when that ends before it, for whatever reason."""
        try:
            await self._keep(lease)
        finally:
            if not self._leaving:
                lease.lost.set()
                self._stopped_body = True
                if self._body:
                    self._body.cancel()

    async def _keep(self, lease: Lease) -> None:
        """Renew the lease until it is lost."""
        pause = self._ttl / 3
        while lease.held:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(pause, lease.seconds_left)):
                    await self._soon.wait()
            self._soon.clear()
            if not lease.held:
                return
            try:
                # Not longer than the lease, however long an answer takes: the block has to be told in time.
                async with asyncio.timeout(lease.seconds_left):
                    pause = self._ttl / 3 if await self._renew(lease) else AGAIN_SECONDS
            except TimeoutError:
                continue
            except Conflict:
                return

    async def _renew(self, lease: Lease) -> bool:
        """Return whether the lease was renewed; raise Conflict where somebody else has the key."""
        began = clock()
        try:
            self._revision = await self._write(self._revision)
        except Conflict:
            # A renewal whose answer was lost has another revision, and is ours.
            try:
                last = await self._line.last(self._bucket, self._key, timeout=self._patience)
            except NatsmithError:
                return False
            if last is None or not self._ours(last):
                raise
            self._revision = last.revision
            return False
        except NatsmithError as error:
            log.info("the lease of %s was not renewed: %s", self._group, error)
            return False
        lease._until = self._until(began)
        return True

    async def _release(self) -> None:
        """Let go of the key, if it is ours: the marker is what the others hear, and it goes by itself."""
        if not self._line.is_up:  # what cannot be given back expires
            return
        with contextlib.suppress(NatsmithError):
            for _ in range(2):  # a renewal that was under way may arrive in between
                last = await self._line.last(self._bucket, self._key, timeout=GOODBYE_SECONDS)
                if last is None or not self._ours(last):
                    return
                with contextlib.suppress(Conflict):
                    await self._line.write(
                        self._bucket, self._key, b"", expect=last.revision, ttl=1, delete=True, timeout=GOODBYE_SECONDS
                    )
                    return
