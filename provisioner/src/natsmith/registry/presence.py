"""A process in the registry: it registers, is heard again and again, and says when it goes."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType

from natsmith.errors import NatsmithError, NotReady, WrongValues
from natsmith.registry import entry
from natsmith.registry.bucket import Bucket, Expiry
from natsmith.registry.entry import Instance, Json, Status, Unread
from natsmith.registry.line import NEVER, REQUEST_SECONDS, Conflict, Line, Stored, log

JITTER = 0.1
"""The part by which heartbeats come sooner, so that those who began together do not go on together."""

LOOK_EVERY = 6
"""After so many heartbeats the bucket's settings are read again: its TTL may have been changed."""

AGAIN_SECONDS = 0.25
"""After a heartbeat that was not answered; a server that comes back is told at once."""

LONGEST_SECONDS = 2.0
"""Thousands of instances of a bucket that is away shall not keep its server busy."""

TAKES = 5
"""How often an id is tried to be taken, or given back, while heartbeats of it are on their way."""

GOODBYE_SECONDS = 2.0
"""Nobody waits longer for a process that ends."""


class Presence:
    """One instance of a service, kept in the registry by its own process."""

    def __init__(self, line: Line, bucket: str, instance: Instance, *, ttl: int | None) -> None:
        self._line, self._instance, self._ttl = line, replace(instance, run=secrets.token_hex(8)), ttl
        self._key = entry.key_of(instance.service, instance.id)
        self._bucket = Bucket(name=bucket)
        self._expiry: Expiry | None = None
        self._payload = entry.written(self._instance)
        self._revision = NEVER
        self._beats = 0
        self._writing = asyncio.Lock()
        self._soon = asyncio.Event()
        """Set when the connection is back: the server may have been away for longer than an entry lives."""

        self._forget: Callable[[], None] = lambda: None
        self._task: asyncio.Task[None] | None = None
        """While it runs the process is registered, and what is said is written."""

        self._replaced = False
        self._trouble: NatsmithError | None = None

    @property
    def id(self) -> str:
        """The instance's id."""
        return self._instance.id

    @property
    def key(self) -> str:
        """The key of its entry."""
        return self._key

    @property
    def status(self) -> Status:
        """How it says it is."""
        return self._instance.status

    @property
    def expiry(self) -> Expiry:
        """How its entry goes if this process dies."""
        if self._expiry is None:
            raise RuntimeError("an instance is registered by `async with`: only then it is known how it expires")
        return self._expiry

    @property
    def replaced(self) -> bool:
        """Whether another process registered with the same id; this one is not heard any more then."""
        return self._replaced

    @property
    def trouble(self) -> NatsmithError | None:
        """Why its last heartbeat was not taken, if so, and that its connection is closed for good."""
        try:
            self._line.check_open()
        except NatsmithError as error:
            return error
        return self._trouble

    async def healthy(self) -> None:
        """Say that it works."""
        await self.say(status=Status.HEALTHY)

    async def unhealthy(self) -> None:
        """Say that it does not work just now."""
        await self.say(status=Status.UNHEALTHY)

    async def draining(self) -> None:
        """Say that it takes no new work."""
        await self.say(status=Status.DRAINING)

    async def say(self, *, status: Status | None = None, metadata: Mapping[str, Json] | None = None) -> None:
        """Change what the registry tells of it; where nobody answers just now, it is told as soon as somebody does."""
        before = self._instance
        self._tell(
            replace(
                before,
                status=before.status if status is None else entry.status_of(status),
                metadata=before.metadata if metadata is None else metadata,
            )
        )
        if self._task is None:
            return
        try:
            await self._beat()
        except NotReady:
            self._soon.set()
        except NatsmithError:  # such as metadata too large for the bucket: no heartbeat would pass any more
            self._tell(replace(self._instance, status=before.status, metadata=before.metadata))
            raise

    def _tell(self, instance: Instance) -> None:
        self._payload = entry.written(instance)
        self._instance = instance

    async def __aenter__(self) -> Presence:
        self._replaced = False
        await self._look()
        await self._take()
        self._forget = self._line.listen(lambda _same_server: self._soon.set())
        self._task = asyncio.create_task(self._keep_on())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._forget()
        task, self._task = self._task, None
        if task:
            task.cancel()
            await asyncio.wait({task})  # awaiting the task itself would take our own cancellation for its
        # Who cannot say goodbye expires.
        with contextlib.suppress(NatsmithError, Conflict, TimeoutError):
            await self._leave()

    async def _look(self) -> None:
        """Learn how the bucket is; its TTL may have been changed."""
        bucket = await self._line.bucket(self._bucket.name, timeout=self._patience)
        try:
            self._expiry = bucket.expiry(self._ttl)
        except WrongValues as error:
            if self._expiry is None:
                raise
            log.warning("%s goes on with the TTL of its bucket, which was changed: %s", self._key, error)
            self._ttl, self._expiry = None, bucket.expiry(None)
        self._bucket = bucket
        # What the bucket itself does is not said in the entry: it would stay said when the bucket changes.
        said = 0 if self._expiry.by == "bucket" else self._expiry.seconds
        if said != self._instance.ttl:
            self._tell(replace(self._instance, ttl=said))

    async def _take(self) -> None:
        """Register, in the place of whoever had the id before: a process that is started again has it at once."""
        for _ in range(TAKES):
            last = await self._line.last(self._bucket, self._key)
            with contextlib.suppress(Conflict):  # the one before was just heard once more
                await self._write(last.revision if last else NEVER)
                return
        raise NotReady(
            f"{self._key} cannot be registered: others write that key all the time. Give each process an id of its own"
        )

    async def _keep_on(self) -> None:
        """Be heard for as long as the process lives; it ends when another process has the id."""
        failed = 0
        while not self._replaced:
            pause = self._pause(failed)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._soon.wait()
            try:
                self._line.check_open()
                await self._line.up()
                self._soon.clear()
                await self._beat()
                self._beats += 1
                if self._beats % LOOK_EVERY == 0:
                    await self._look()
            except NatsmithError as error:
                if not failed:
                    log.warning("%s was not heard: %s", self._key, error)
                failed, self._trouble = failed + 1, error
            else:
                failed, self._trouble = 0, None

    def _pause(self, failed: int) -> float:
        """Return the seconds to the next heartbeat; after *failed* ones soon, and then less often."""
        if not failed:
            return self.expiry.seconds / 3 * (1 - random.uniform(0, JITTER))  # noqa: S311  (spreads load, keeps no secret)
        longest = max(AGAIN_SECONDS, min(LONGEST_SECONDS, self.expiry.seconds / 6))
        return min(AGAIN_SECONDS * 2.0 ** min(failed - 1, 8), longest) * random.uniform(0.5, 1)  # noqa: S311  (the same)

    async def _beat(self) -> None:
        """Write the entry; what was lost meanwhile is written anew."""
        async with self._writing:
            if self._replaced or self._task is None:
                return
            try:
                await self._write(self._revision)
            except Conflict:
                last = await self._line.last(self._bucket, self._key, timeout=self._patience)
                if last and not self._ours(last):
                    log.warning("%s was registered by another process: this one is not heard any more", self._key)
                    self._replaced = True
                    return
                await self._look()  # an entry that went too soon may tell of another TTL
                try:
                    await self._write(last.revision if last else NEVER)
                except Conflict:
                    raise NotReady(f"{self._key} was written by somebody in the same moment") from None

    async def _write(self, expect: int) -> None:
        by_key = self.expiry.by == "key"
        self._revision = await self._line.write(
            self._bucket,
            self._key,
            self._payload,
            expect=expect,
            ttl=self.expiry.seconds if by_key else 0,
            timeout=self._patience,
        )

    @property
    def _patience(self) -> float:
        """Return how long an answer may take: what is lost shall be written again before the entry goes."""
        return min(REQUEST_SECONDS, max(0.5, self._expiry.seconds / 4)) if self._expiry else REQUEST_SECONDS

    def _ours(self, last: Stored) -> bool:
        """Return whether an entry is this process's, or nobody's."""
        if last.deleted:
            return True
        try:
            found = entry.read(self._key, last.payload, revision=last.revision, heartbeat=last.at)
        except Unread:
            return True  # somebody broke it: it is ours to mend
        return found.run == self._instance.run

    async def _leave(self) -> None:
        """Delete the entry, unless another process has it."""
        if self._replaced or not self._line.is_up:
            return
        async with asyncio.timeout(GOODBYE_SECONDS), self._writing:
            expected = self._revision
            for _ in range(TAKES):
                with contextlib.suppress(Conflict, NotReady):  # an answer was lost: of this, or of a heartbeat before
                    await self._delete(expected)
                    return
                last = await self._line.last(self._bucket, self._key)
                if last is None or last.deleted or not self._ours(last):
                    return
                expected = last.revision

    async def _delete(self, expect: int) -> None:
        # The marker that tells readers has to go as well, where nothing else makes it.
        ttl = self.expiry.seconds if self._bucket.per_key and not self._bucket.ttl else 0
        await self._line.write(
            self._bucket, self._key, b"", expect=expect, ttl=ttl, delete=True, timeout=GOODBYE_SECONDS / 3
        )
