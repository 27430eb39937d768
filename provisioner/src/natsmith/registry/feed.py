"""Everything that happens in a bucket, in order, for as long as it takes: over lost connections and restarted servers.

A consumer of our own instead of nats-py's watch, which needs up to 18 s to notice that its server was restarted.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from natsmith.clock import clock
from natsmith.errors import DecisionNeeded, NatsmithError
from natsmith.registry.bucket import NANO, Bucket
from natsmith.registry.line import Line, gone, kept, log

IDLE_SECONDS = 2
"""A server that has nothing to tell says so as often."""

SILENCE_SECONDS = 2.5 * IDLE_SECONDS
LOOK_SECONDS = 60.0
"""How often the bucket's settings and the server's time are asked for again."""

LONGEST_PAUSE = 2.0
"""Seconds at most between two attempts to hear again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A value that was written to a key, or that it is gone."""

    key: str
    revision: int
    at: float
    payload: bytes
    gone: bool
    expired: bool
    """Whether the server's own marker says so."""

    kept: float = 0.0
    """The seconds that the server keeps it by a TTL of its own; 0: it has none, -1: it stays for ever."""


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
        self._consumer = ""
        self._listening = ""
        self._delivered = self._revision = 0
        self._heard_at = 0.0
        self._is_current = False
        self._forget: Callable[[], None] = lambda: None
        self._again = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin; raise where that is not possible."""
        await self._begin()
        self._forget = self._line.listen(self._back)
        self._task = asyncio.create_task(self._keep_on())

    async def close(self) -> None:
        """End."""
        self._forget()
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._stop_listening()
        if self._consumer and self._line.is_up:
            with contextlib.suppress(NatsmithError):
                await self._line.ask(f"$JS.API.CONSUMER.DELETE.{self._bucket.stream}.{self._consumer}", b"", timeout=1)

    def _back(self, _same_server: bool) -> None:
        self._again.set()  # at once: what was under way when the connection broke may never arrive

    async def _keep_on(self) -> None:
        """Begin again whenever something was missed. It ends with the reader: a registry without its view is useless."""
        looked = clock()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SILENCE_SECONDS):
                    await self._again.wait()
            silent = clock() - self._heard_at > SILENCE_SECONDS
            try:
                if self._again.is_set() or silent:
                    await self._begin_again()
                    looked = clock()
                elif clock() - looked > LOOK_SECONDS:
                    looked = clock()
                    bucket = await self._line.bucket(self._name)
                    if bucket.created == self._bucket.created:
                        self._bucket = bucket
                        self._hearer.begins(bucket, anew=False)
            except NatsmithError as error:
                self._told(error)

    async def _begin_again(self) -> None:
        pause = 0.05
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
        bucket = await self._line.bucket(self._name)
        anew = bucket.created != self._bucket.created or bucket.last_revision < self._revision or not self._is_current
        await self._stop_listening()
        self._delivered = 0
        if anew:
            self._revision, self._is_current = 0, False
        self._bucket = bucket
        inbox = self._line.client.new_inbox()
        consumer = f"natsmith-{secrets.token_hex(8)}"
        self._hearer.begins(bucket, anew=anew)
        try:
            self._listening = consumer
            self._subscription = await self._line.client.subscribe(inbox, cb=partial(self._received, consumer))
        except nats.errors.Error as error:
            raise DecisionNeeded(f"the connection cannot subscribe to {inbox}: {error}") from error
        subject = f"$JS.API.CONSUMER.CREATE.{bucket.stream}.{consumer}.{self._filter}"
        answer = await self._line.ask(subject, json.dumps(self._request(consumer, inbox, anew=anew)).encode())
        if "error" in answer:
            raise DecisionNeeded(
                f"the server refused to tell about bucket {self._name}: {answer['error']['description']}"
            )
        self._consumer = consumer
        self._heard_at = clock()
        if self.trouble:
            log.info("bucket %s is heard again", self._name)
        self.trouble = None
        if not answer.get("num_pending") and not self._delivered:
            self._now_current()

    def _request(self, consumer: str, inbox: str, *, anew: bool) -> dict[str, Any]:
        start: dict[str, Any] = {"deliver_policy": "last_per_subject"}
        if not anew:
            start = {"deliver_policy": "by_start_sequence", "opt_start_seq": self._revision + 1}
        config = {
            "name": consumer,
            "deliver_subject": inbox,
            "ack_policy": "none",
            "max_deliver": 1,
            "replay_policy": "instant",
            "filter_subject": self._filter,
            "flow_control": True,
            "idle_heartbeat": IDLE_SECONDS * NANO,
            "inactive_threshold": 30 * NANO,
            "mem_storage": True,
            "num_replicas": 1,
        }
        return {"stream_name": self._bucket.stream, "config": config | start, "action": "create"}

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
            self._again.set()
            return
        self._delivered, self._revision = number, revision
        self._hearer.happened(
            Event(
                key=msg.subject.split(".", 2)[2],
                revision=revision,
                at=time / NANO,
                payload=msg.data,
                gone=gone(headers),
                expired="Nats-Marker-Reason" in (headers or {}),
                kept=kept(headers),
            )
        )
        if not pending and not self._is_current:
            self._now_current()

    async def _said(self, headers: Mapping[str, str], reply: str) -> None:
        """Answer what the server says beside the messages."""
        if headers["Status"] != "100":  # such as 409: the consumer was deleted, with its bucket or by somebody
            self._again.set()
            return
        asked = reply or headers.get("Nats-Consumer-Stalled", "")
        if asked:  # it sends no more before it is told that what it sent has arrived
            with contextlib.suppress(nats.errors.Error, OSError):  # who is not connected begins again anyway
                await self._line.client.publish(asked, b"")
        if "Nats-Last-Consumer" not in headers:
            return
        if int(headers["Nats-Last-Consumer"]) != self._delivered:
            self._again.set()
        elif not self._is_current:  # what was still to come has expired meanwhile
            self._now_current()

    def _now_current(self) -> None:
        self._is_current = True
        self._hearer.current()


def position(reply: str) -> tuple[int, int, int, int]:
    """Return a delivered message's sequences in stream and consumer, its time in nanoseconds, and how many follow."""
    words = reply.split(".")
    # $JS.ACK.STREAM.CONSUMER.DELIVERIES.… and, on newer servers, a domain and an account's hash before the stream.
    revision, number, time, pending = words[5:9] if len(words) == 9 else words[7:11]
    return int(revision), int(number), int(time), int(pending)
