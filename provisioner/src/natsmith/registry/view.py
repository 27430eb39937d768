"""What a reader knows of the registry without asking: every instance that is fresh, and who wants to hear of changes."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable
from dataclasses import replace

from natsmith.errors import NatsmithError, NotReady
from natsmith.registry import entry
from natsmith.registry.bucket import Bucket
from natsmith.registry.changes import Change, Kind, Watcher
from natsmith.registry.consumer import Event
from natsmith.registry.entry import Instance
from natsmith.registry.feed import Feed
from natsmith.registry.line import Line

RECONNECT_SECONDS = 5.0
"""How long a client may take to find a server that is back, beside its next heartbeat."""

PATIENCE_SECONDS = 5.0
"""How long a question waits at most to learn whether who is late was heard after all."""

MOST_UNREAD = 1000
"""Garbage shall not fill the memory of whoever only reads."""

TOGETHER_SECONDS = 0.1
"""Who is late within that time is looked after at once."""


class View:
    """The instances of one bucket, as they are told.

    Nobody expires by the clock alone: a reader that was stopped, or is not told anything, has not heard who lives.
    Who is late is let go once it is sure that all was told that had been written by then.
    """

    def __init__(self, line: Line, bucket: str) -> None:
        self.bucket = Bucket(name=bucket)
        self.unread: dict[str, str] = {}
        """Why entries are not understood, by their keys; of more than ``MOST_UNREAD`` not every one."""

        self._line = line
        self._feed = Feed(line, bucket, self)
        self._known: dict[str, Instance] = {}
        self._payloads: dict[str, bytes] = {}
        self._services: dict[str, dict[str, Instance]] = {}
        self._due: list[tuple[float, str]] = []
        """When to look at a key again, soonest first; those that ``_queued`` tells otherwise are of no use any more."""

        self._queued: dict[str, float] = {}
        self._before = self.bucket
        """The settings that heartbeats from before ``_back_at`` go by."""

        self._back_at = 0.0
        self._away = False
        """Whether the bucket was away, so that nobody could be heard."""

        self._in_vain = False
        """Whether somebody waited already to learn who lives, and did not."""

        self._forget: Callable[[], None] = lambda: None
        self._watchers: set[Watcher] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._settling: asyncio.Task[None] | None = None

    @property
    def trouble(self) -> NatsmithError | None:
        """Why the view is not told anything just now, if so."""
        try:
            self._line.check_open()
        except NatsmithError as error:
            return error
        return self._feed.trouble if self._line.is_up else NotReady("the connection is lost, and comes back by itself")

    async def open(self) -> None:
        """Begin; return when everything there is was told."""
        self._forget = self._line.listen(self._back, self._lost)
        try:
            await self._feed.open()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End, and with it whatever watches."""
        self._forget()
        for waiting in (self._timer, self._settling):
            if waiting:
                waiting.cancel()
        for each in self._watchers:
            each.end()
        await self._feed.close()

    async def settled(self) -> None:
        """Return when nobody is late any more, or when that cannot be found out; raise where it never will."""
        self._line.check_open()
        if self._in_vain or not self._late(self._line.now()):
            return
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while self._late(self._line.now()):
                    await self._feed.current()
                    await asyncio.wait({self._settle()})
        except TimeoutError:
            self._in_vain = True

    async def reaches(self, revision: int) -> None:
        """Return when all up to a revision was told, or when it cannot be told just now."""
        await self._feed.reaches(revision)

    def of(self, service: str) -> tuple[Instance, ...]:
        """Return the instances of a service."""
        return tuple(self._services.get(service, {}).values())

    def all(self) -> tuple[Instance, ...]:
        """Return every instance."""
        return tuple(self._known.values())

    def watch(self, service: str | None) -> Watcher:
        """Return what hears of every change from now on, beginning with who is there."""
        watcher = Watcher(service)
        for each in self.all():
            watcher.hear(Change(kind=Kind.JOINED, instance=each))
        self._watchers.add(watcher)
        return watcher

    def unwatch(self, watcher: Watcher) -> None:
        """Let *watcher* hear nothing more."""
        self._watchers.discard(watcher)
        watcher.end()

    # -- What the connection tells

    def _lost(self) -> None:
        """Answer what is known until it is back, unless the connection is closed for good."""
        self._in_vain = not self._late(self._line.now())  # one that stood still notices too late to know who lives
        try:
            self._line.check_open()
        except NatsmithError as error:
            for each in self._watchers:
                each.end(error)

    def _back(self, same_server: bool) -> None:
        """Go on; where the server was away, nobody could be heard."""
        self._away = self._away or not same_server

    # -- What the feed tells

    def begins(self, bucket: Bucket, *, anew: bool) -> None:
        """Expect what comes after what is known, or everything anew."""
        before, self.bucket = self.bucket, bucket
        if anew:
            self.unread.clear()
        if before.created:
            other = (before.created, before.led) != (bucket.created, bucket.led)
            self._away = self._away or self._feed.trouble is not None or other
        if not before.created or before.expires_like(bucket):
            return
        self._forgive(before)  # whose heartbeats still go by what was before
        self._due, self._queued = [], {}
        for each in self._known.values():
            self._queue(each)

    def current(self) -> None:
        """Look again after who is late, now that all was told."""
        if self._away:
            self._away = False
            self._forgive(self.bucket)
        self._in_vain = False
        self._plan()

    def happened(self, event: Event) -> None:
        """Take a heartbeat, a change, or an end."""
        key = event.key
        if entry.is_canary(key):
            return
        self.unread.pop(key, None)
        known = self._known.get(key)
        if event.gone:
            # A marker of an expired key may only say that the server, or the TTL, was another for a while.
            if not (event.expired and known and known.format):
                self._remove(key, Kind.EXPIRED if event.expired else Kind.LEFT)
            return
        if known and self._payloads[key] == event.payload:
            self._keep(replace(known, revision=event.revision, heartbeat=event.at), event.payload)
            return
        try:
            instance = entry.read(key, event.payload, revision=event.revision, heartbeat=event.at)
        except entry.Unread as why:
            self._remove(key, Kind.LEFT)
            if len(self.unread) < MOST_UNREAD:
                self.unread[key] = str(why)
            return
        if known and (known.service, known.id) != (instance.service, instance.id):
            self._remove(key, Kind.LEFT)
            known = None
        if known is None and event.at + self.bucket.lives(instance) <= self._line.now():
            return
        self._keep(instance, event.payload)
        self._queue(instance)
        self._tell(Kind.CHANGED if known else Kind.JOINED, instance)

    # -- What follows

    def _keep(self, instance: Instance, payload: bytes) -> None:
        self._known[instance.key] = instance
        self._payloads[instance.key] = payload
        self._services.setdefault(instance.service, {})[instance.key] = instance

    def _remove(self, key: str, kind: Kind) -> None:
        known = self._known.pop(key, None)
        if known is None:
            return
        del self._payloads[key]
        self._queued.pop(key, None)
        of = self._services[known.service]
        del of[key]
        if not of:
            del self._services[known.service]
        self._tell(kind, known)

    def _tell(self, kind: Kind, instance: Instance) -> None:
        for each in self._watchers:
            each.hear(Change(kind=kind, instance=instance))

    # -- Who is late

    def _forgive(self, before: Bucket) -> None:
        """Give everybody the time to be heard again, who goes by the settings *before*."""
        self._before, self._back_at = before, self._line.now()

    def _until(self, instance: Instance) -> float:
        """Return when an instance is late if it is not heard again."""
        lives = self.bucket.lives(instance)
        until = instance.heartbeat + lives
        if instance.heartbeat < self._back_at:
            between = max(lives, self._before.lives(instance)) / 3
            until = max(until, self._back_at + between + RECONNECT_SECONDS)
        return until

    def _queue(self, instance: Instance) -> None:
        until = self._until(instance)
        if until < self._queued.get(instance.key, math.inf):
            self._queued[instance.key] = until
            heapq.heappush(self._due, (until, instance.key))
            if self._due[0][1] == instance.key:
                self._plan()

    def _late(self, now: float) -> str:
        """Return the key of one who is late, or nothing."""
        while self._due and self._due[0][0] <= now:
            due, key = self._due[0]
            known = self._known.get(key)
            if known and self._queued.get(key) == due:
                if self._until(known) <= now:
                    return key
                del self._queued[key]
                heapq.heappop(self._due)
                self._queue(known)
            else:
                heapq.heappop(self._due)
        return ""

    def _plan(self) -> None:
        """Look when the next may be late."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._due:
            wait = max(TOGETHER_SECONDS, self._due[0][0] - self._line.now())
            self._timer = asyncio.get_running_loop().call_later(wait, self._look)

    def _look(self) -> None:
        if self._late(self._line.now()):
            self._settle()
        else:
            self._plan()

    def _settle(self) -> asyncio.Task[None]:
        if self._settling is None or self._settling.done():
            self._settling = asyncio.create_task(self._let_go())
        return self._settling

    async def _let_go(self) -> None:
        """Let go who is late, once all is heard that was written before now; otherwise the feed says when it is."""
        now = self._line.now()
        if await self._feed.caught_up():
            while key := self._late(now):
                self._remove(key, Kind.EXPIRED)
            self._plan()
