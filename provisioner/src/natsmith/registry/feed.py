"""Everything that happens in a bucket, in order, for as long as it takes: over lost connections and restarted servers.

A consumer of our own instead of nats-py's watch, which needs up to 18 s to notice that its server was restarted.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from natsmith.clock import clock
from natsmith.errors import NatsmithError, NotReady
from natsmith.registry.answers import refused
from natsmith.registry.bucket import Bucket
from natsmith.registry.consumer import IDLE_SECONDS, Event, event, position, request
from natsmith.registry.line import Line, log

SILENCE_SECONDS = 2.5 * IDLE_SECONDS
LOOK_SECONDS = 60.0
"""How often the bucket's settings and the server's time are asked for again."""

LONGEST_PAUSE = 2.0
"""Seconds at most between two attempts to hear again."""

SHORTEST_PAUSE = 0.25
"""Seconds at least between two beginnings, where one is of no use either."""

IN_FLIGHT_SECONDS = 1.0
"""How long what was written may be on its way; what takes longer is asked for anew."""


class Hearer(Protocol):
    """Who hears what happens."""

    def begins(self, bucket: Bucket, *, anew: bool) -> None:
        """Expect what comes after what was heard before, or *anew* the newest value of every key."""

    def happened(self, event: Event) -> None:
        """Take what happened to a key."""

    def current(self) -> None:
        """Know that everything up to now was told."""


class Feed:
    """Tells a hearer what happens to the keys of a bucket."""

    def __init__(self, line: Line, bucket: str, hearer: Hearer, *, key: str = ">") -> None:
        self.trouble: NatsmithError | None = None
        """Why nothing is heard just now."""

        self._line, self._name, self._hearer = line, bucket, hearer
        self._filter = f"$KV.{bucket}.{key}"
        self._bucket = Bucket(name=bucket)
        self._subscription: Subscription | None = None
        self._listening = ""
        """The consumer that is heard."""

        self._delivered = self._revision = self._there = 0
        """How many it told, the revision told last, and the last one that was there when it began."""

        self._heard_at = self._began_at = 0.0
        self._complete = False
        """Whether all was told once: then it goes on from there."""

        self._current = asyncio.Event()
        self._more = asyncio.Event()
        self._forget: Callable[[], None] = lambda: None
        self._again = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin, and return when all was told that there is; raise where that is not possible."""
        try:
            await self._begin()
            self._forget = self._line.listen(self._lose, self._current.clear)
            self._task = asyncio.create_task(self._keep_on())
            await self._first()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End."""
        self._forget()
        consumer, self._listening = self._listening, ""
        if self._task:
            self._task.cancel()
            await asyncio.wait({self._task})  # awaiting the task itself would take our own cancellation for its
        await self._stop_listening()
        if consumer and self._line.is_up:  # also one whose making was not answered yet
            with contextlib.suppress(NatsmithError):
                await self._line.ask(f"$JS.API.CONSUMER.DELETE.{self._bucket.stream}.{consumer}", b"", timeout=1)

    async def current(self) -> None:
        """Return when everything was told up to now."""
        await self._current.wait()

    async def caught_up(self) -> bool:
        """Return whether all was told that had been written before this was asked; where not, it begins again."""
        if not self._current.is_set():
            return False
        try:
            bucket = await self._line.bucket(self._name)
            if bucket.alone:
                raise NotReady(f"bucket {self._name} cannot be written to: too few of its servers hear of each other")
            if bucket.created == self._bucket.created and self._current.is_set():
                if await self.reaches(bucket.last_revision):
                    self._look_at(bucket)
                    return True
                log.debug("bucket %s is not told, and heard anew", self._name)
        except NatsmithError as error:
            self._told(error)
        self._lose()
        return False

    async def reaches(self, revision: int) -> bool:
        """Return whether all up to a revision is told within a moment, where anything is told."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(IN_FLIGHT_SECONDS):
                while self._current.is_set() and self._revision < revision:
                    self._more.clear()
                    await self._more.wait()
        return self._current.is_set() and self._revision >= revision

    async def _first(self) -> None:
        """Wait for the first time that all was told, for as long as something is."""
        told = -1
        while self._delivered != told:
            told = self._delivered
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SILENCE_SECONDS):
                    return await self.current()
        raise self.trouble or NotReady(
            f"bucket {self._name} tells nothing: may the user of this connection subscribe to its inbox?"
        )

    def _lose(self, *_: object) -> None:
        """Begin again at once: what was under way when a connection broke may never arrive."""
        self._current.clear()
        self._again.set()

    async def _keep_on(self) -> None:
        """Begin again whenever something was missed. It ends with the reader: a registry without its view is useless."""
        looked = clock()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SILENCE_SECONDS):
                    await self._again.wait()
            try:
                if not self._again.is_set() and clock() - self._heard_at > SILENCE_SECONDS:
                    self._lose()
                    self._told(NotReady(f"bucket {self._name} tells nothing just now"))
                if self._again.is_set():
                    await self._begin_again()
                    looked = clock()
                elif clock() - looked > LOOK_SECONDS:
                    looked = clock()
                    bucket = await self._line.bucket(self._name)
                    if bucket.created == self._bucket.created and self._current.is_set():
                        self._look_at(bucket)
            except NatsmithError as error:
                self._told(error)

    def _look_at(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._hearer.begins(bucket, anew=False)
        self._hearer.current()

    async def _begin_again(self) -> None:
        pause = 0.05
        if clock() - self._began_at < SHORTEST_PAUSE:
            await asyncio.sleep(SHORTEST_PAUSE)
        while True:
            await self._line.up()
            self._again.clear()
            try:
                await self._begin()
            except NatsmithError as error:
                self._told(error)
                # Thousands of readers of a server that comes back shall not all ask in the same moment.
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  (spreads load, keeps no secret)
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                return

    def _told(self, error: NatsmithError) -> None:
        if str(error) != str(self.trouble):
            log.warning("bucket %s is not heard just now: %s", self._name, error)
        self.trouble = error

    async def _begin(self) -> None:
        """Listen, from where it stopped if that is still the same bucket."""
        self._current.clear()
        bucket = await self._line.bucket(self._name)
        await self._stop_listening()
        anew = bucket.created != self._bucket.created or bucket.last_revision < self._revision or not self._complete
        if anew:
            self._revision, self._complete = 0, False
        self._bucket, self._there, self._delivered = bucket, bucket.last_revision, 0
        inbox = self._line.client.new_inbox()
        self._listening = consumer = f"natsmith-{secrets.token_hex(8)}"
        self._hearer.begins(bucket, anew=anew)
        try:
            self._subscription = await self._line.client.subscribe(inbox, cb=partial(self._received, consumer))
        except nats.errors.Error as error:
            raise NotReady(f"the connection cannot subscribe to {inbox}: {error}") from error
        answer = await self._line.ask(
            # Without the filter in the subject: so far go the rights of a provisioner.
            f"$JS.API.CONSUMER.CREATE.{bucket.stream}.{consumer}",
            request(
                bucket,
                consumer,
                inbox,
                filter=self._filter,
                after=0 if anew else self._revision,
                paced=self._line.may_pace,
            ),
        )
        if "error" in answer:
            raise refused(f"to tell about bucket {self._name}", answer["error"])
        self._heard_at = self._began_at = clock()
        on_their_way = answer.get("delivered", {}).get("consumer_seq", 0) - self._delivered
        if not answer.get("num_pending") and on_their_way <= 0:
            self._now_current()

    async def _stop_listening(self) -> None:
        if self._subscription:
            with contextlib.suppress(nats.errors.Error, OSError):  # of a connection that is gone already
                await self._subscription.unsubscribe()
            self._subscription = None

    async def _received(self, consumer: str, msg: Msg) -> None:
        if consumer != self._listening:
            return  # of a consumer that was given up
        self._heard_at = clock()
        headers = msg.headers
        if headers and "Status" in headers:
            await self._said(headers, msg.reply)
            return
        revision, number, time, pending = position(msg.reply)
        if number != self._delivered + 1:
            self._lose()
            return
        self._delivered, self._revision = number, revision
        self._more.set()
        self._hearer.happened(event(msg.subject, revision, time, msg.data, headers or {}))
        if not pending or revision >= self._there:  # where it is written all the time something always follows
            self._now_current()

    async def _said(self, headers: Mapping[str, str], reply: str) -> None:
        """Answer what the server says beside the messages."""
        if headers["Status"] != "100":  # such as 409: the consumer was deleted, with its bucket or by somebody
            self._lose()
            return
        stalled = headers.get("Nats-Consumer-Stalled", "")
        if stalled and not self._line.may_pace:
            self._lose()
            return
        asked = reply or stalled
        if asked:  # it sends no more before it is told that what it sent has arrived
            with contextlib.suppress(nats.errors.Error, OSError):  # who is not connected begins again anyway
                await self._line.client.publish(asked, b"")
        if "Nats-Last-Consumer" not in headers:
            return
        if int(headers["Nats-Last-Consumer"]) != self._delivered:
            self._lose()
        elif not stalled:  # what was still to come has expired meanwhile
            self._now_current()

    def _now_current(self) -> None:
        """Know that all was told up to when it began, for the first time since."""
        if self._current.is_set() or self._again.is_set():
            return
        if self.trouble:
            log.info("bucket %s is heard again", self._name)
        self._revision = max(self._revision, self._there)
        self._complete = True
        self._current.set()
        self._hearer.current()
        self.trouble = None
