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
from natsmith.registry.bucket import Bucket
from natsmith.registry.candidacy import AGAIN_SECONDS, Candidacy, said_in
from natsmith.registry.line import NEVER, Conflict, Line, Stored, log

MARGIN = 0.1
"""The part of a lease that is not used: clocks do not run equally fast."""


class LeadershipLost(NotReady):
    """The lease ended while its block ran; somebody else may lead by now."""


class Lease:
    """Being the leader, while it lasts."""

    def __init__(self, group: str, token: int) -> None:
        self.group = group
        self.token = token
        """Rises with every leader: hand it to the work, and have refused there what comes with a lower one."""

        self.lost = asyncio.Event()
        """Set when the lease is over."""

        self._until = 0.0

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
        self._key = entry.group_key(group)
        self._line, self._bucket_name, self._group, self._ttl = line, bucket, group, ttl
        self._id = id or f"{socket.gethostname()}-{os.getpid()}"
        self._run = secrets.token_hex(8)
        self._bucket = Bucket(name=bucket)
        self._lease: Lease | None = None
        self._revision = NEVER
        self._soon = asyncio.Event()
        """Set when the connection is back: some of the lease is gone."""

        self._forget: Callable[[], None] = lambda: None
        self._task: asyncio.Task[None] | None = None
        self._body: asyncio.Task[Any] | None = None
        self._stopped_body = False

    async def __aenter__(self) -> Lease:
        self._bucket = await self._line.bucket(self._bucket_name)
        why = self._bucket.no_elections(self._ttl)
        if why:
            raise DecisionNeeded(
                f"bucket {self._bucket_name} cannot elect a leader of {self._group}: {why}. "
                "Give elections a bucket of their own, with profile election"
            )
        candidacy = Candidacy(self._line, self._bucket_name, self._key)
        await candidacy.open()
        try:
            lease = await self._won(candidacy)
        finally:
            await candidacy.close()
        self._lease, self._body = lease, asyncio.current_task()
        self._cancelling = self._body.cancelling() if self._body else 0
        self._forget = self._line.listen(lambda _same_server: self._soon.set())
        self._task = asyncio.create_task(self._hold(lease))
        return lease

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lease, task = self._lease, self._task
        if lease is None or task is None:
            return
        self._forget()
        was_held = lease.held
        task.cancel()
        if self._stopped_body and kind is None:
            with contextlib.suppress(asyncio.CancelledError):  # the block ended in the moment that it was stopped
                await asyncio.sleep(0)
        with contextlib.suppress(asyncio.CancelledError):
            await task
        lease.lost.set()
        if was_held:
            with contextlib.suppress(NatsmithError, Conflict):  # what cannot be given back expires
                await self._release()
        if (
            self._stopped_body
            and self._body
            and self._body.uncancel() <= self._cancelling
            and kind is asyncio.CancelledError
        ):
            raise LeadershipLost(
                f"this process leads {self._group} no more: its lease of {self._ttl} s could not be renewed, or was taken"
            ) from error

    async def _won(self, candidacy: Candidacy) -> Lease:
        """Return the lease as soon as there is one to have. It ends with whoever waits for it."""
        while True:
            expected = await candidacy.free()
            began = clock()
            try:
                revision = await self._write(expected)
            except Conflict:
                await self._beaten(candidacy)
                continue
            except NotReady as error:
                log.info("%s cannot be led just now: %s", self._group, error)
                taken = await self._taken_after_all(began)
                if taken is None:
                    continue
                revision = taken
            lease = Lease(self._group, revision)
            lease._until = began + self._ttl * (1 - MARGIN)
            self._revision = revision
            if lease.held:
                return lease

    async def _beaten(self, candidacy: Candidacy) -> None:
        try:
            await candidacy.beaten()
        except NatsmithError as error:
            log.info("%s cannot be led just now: %s", self._group, error)

    async def _taken_after_all(self, began: float) -> int | None:
        """Return the revision of a key that was taken though nobody said so."""
        with contextlib.suppress(NatsmithError):
            last = await self._line.last(self._bucket, self._key, timeout=self._patience)
            if last and self._ours(last) and clock() < began + self._ttl * (1 - MARGIN):
                return last.revision
        return None

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

    def _ours(self, last: Stored) -> bool:
        return not last.deleted and said_in(last.payload).get("run") == self._run

    async def _hold(self, lease: Lease) -> None:
        """Renew the lease until it is lost, and stop the block then."""
        pause = self._ttl / 3
        while lease.held:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(pause, lease.seconds_left)):
                    await self._soon.wait()
            self._soon.clear()
            if not lease.held:
                break
            try:
                pause = self._ttl / 3 if await self._renew(lease) else AGAIN_SECONDS
            except Conflict:
                break
        lease.lost.set()
        if self._body:
            self._stopped_body = True
            self._body.cancel()

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
        lease._until = began + self._ttl * (1 - MARGIN)
        return True

    async def _release(self) -> None:
        """Let go: the marker is what the others hear, and it goes by itself."""
        await self._line.write(
            self._bucket, self._key, b"", expect=self._revision, ttl=1, delete=True, timeout=self._patience
        )
