"""A process in the registry: it registers, is heard again and again, and says when it goes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import TypeAlias

from natsmith.errors import NatsmithError, NotReady, WrongValues
from natsmith.registry import entry
from natsmith.registry.answers import NEVER, Stored
from natsmith.registry.bucket import Bucket, Expiry
from natsmith.registry.entry import Instance, Json, Status
from natsmith.registry.errors import Conflict, Replaced, WrongUse
from natsmith.registry.line import REQUEST_SECONDS, Line, answered, log

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


Seen: TypeAlias = Callable[[int], Awaitable[None]]
"""Returns when the reader of the same registry, if there is one, was told of a revision."""


class Presence:
    """One instance of a service, kept in the registry by its own process."""

    def __init__(self, line: Line, bucket: str, instance: Instance, *, ttl: int | None, seen: Seen) -> None:
        self._line, self._ttl = line, ttl
        self._key = entry.key_of(instance.service, instance.id)
        self._seen = seen
        self._bucket = Bucket(name=bucket)
        self._expiry: Expiry | None = None
        self._tell(replace(instance, run=secrets.token_hex(8)))
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
            raise WrongUse("an instance is registered by `async with`: only then it is known how it expires")
        return self._expiry

    @property
    def replaced(self) -> bool:
        """Whether another process registered with the same id; this one is not heard any more then."""
        return self._replaced

    @property
    def trouble(self) -> NatsmithError | None:
        """Why it is not heard, if so: its last heartbeat was not taken, another has its id, or its connection is closed."""
        try:
            self._line.check_open()
            self._check_own()
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
        """Change what the registry tells of it; where nobody answers just now, it is told as soon as somebody does.

        Outside its block it is kept, and told when the block begins. Where another process has the id by now, Replaced
        is raised: nobody hears this one any more.
        """
        before = self._instance
        new_status = before.status if status is None else entry.status_of(status)
        self._tell(replace(before, status=new_status, metadata=before.metadata if metadata is None else metadata))
        if self._task is None:
            return
        try:
            await self._beat()
            await self._seen(self._revision)
        except NotReady:
            self._soon.set()
        except NatsmithError:  # such as metadata too large for the bucket: no heartbeat would pass any more
            self._tell(replace(self._instance, status=before.status, metadata=before.metadata))
            raise

    def _tell(self, instance: Instance) -> None:
        self._payload = entry.written(instance)
        # A copy: what the application does to its own later is told when it says so, and never halfway.
        self._instance = replace(instance, metadata=json.loads(self._payload)["metadata"])

    async def __aenter__(self) -> Presence:
        if self._task:
            raise WrongUse(f"{self._key} is registered already: make another instance for another block")
        self._replaced, self._revision = False, NEVER
        await self._look()
        try:
            await self._take()
            await self._seen(self._revision)
        except BaseException:
            await self._leave()  # what was asked for may come yet
            raise
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
                await answered(self._write(last.revision if last else NEVER), GOODBYE_SECONDS)
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
            self._check_own()
            if self._task is None:
                return
            try:
                await self._write(self._revision)
            except Conflict:
                last = await self._line.last(self._bucket, self._key, timeout=self._patience)
                if last and not self._ours(last):
                    self._replaced = True
                    self._check_own()
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
        """Return how long an answer may take: what is lost shall be written again before the entry goes, once there is one."""
        return min(REQUEST_SECONDS, max(0.5, self.expiry.seconds / 4)) if self._task else REQUEST_SECONDS

    def _ours(self, last: Stored) -> bool:
        """Return whether an entry is this process's, or nobody's: what somebody broke is ours to mend."""
        return last.deleted or entry.run_in(self._key, last.payload) in (self._instance.run, None)

    def _check_own(self) -> None:
        """Raise Replaced where another process has the id."""
        if self._replaced:
            raise Replaced(
                f"{self._key} was registered by another process, and this one is not heard any more: "
                "end one of them, or give each an id of its own (without id= each has one)"
            ) from None

    async def _leave(self) -> None:
        """Delete the entry, unless another process has it; who cannot say goodbye expires."""
        if self._replaced or not self._line.is_up:
            return
        with contextlib.suppress(NatsmithError, TimeoutError):
            async with asyncio.timeout(GOODBYE_SECONDS), self._writing:
                gone = await self._gone()
            await self._seen(gone)

    async def _gone(self) -> int:
        """Delete the entry, and return the revision of that; NEVER where there is nothing to delete."""
        expected = self._revision
        for _ in range(TAKES):
            if expected != NEVER:
                with contextlib.suppress(Conflict, NotReady):  # an answer was lost: of this, or of a heartbeat before
                    return await self._delete(expected)
            last = await self._line.last(self._bucket, self._key)
            if last is None or last.deleted or not self._ours(last):
                break
            expected = last.revision
        return NEVER

    async def _delete(self, expect: int) -> int:
        # The marker that tells readers has to go as well, where nothing else makes it.
        ttl = self.expiry.seconds if self._bucket.per_key and not self._bucket.ttl else 0
        return await self._line.write(
            self._bucket, self._key, b"", expect=expect, ttl=ttl, delete=True, timeout=GOODBYE_SECONDS / 3
        )
