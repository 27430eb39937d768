"""What a reader knows of the registry without asking: every instance that is fresh, and who wants to hear of changes."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections.abc import Callable
from dataclasses import dataclass, replace

from natsmith.errors import NatsmithError
from natsmith.registry import entry
from natsmith.registry.bucket import Bucket
from natsmith.registry.changes import Change, Kind, Watcher
from natsmith.registry.entry import DEFAULT_TTL, Instance
from natsmith.registry.feed import Event, Feed
from natsmith.registry.line import Line

RECONNECT_SECONDS = 5.0
"""How long a client may take to find a server that is back, beside its next heartbeat."""

LATE_SECONDS = 1.0
"""A reader that itself was stopped for so long has messages in its buffers that it has not read yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """An entry that is not understood."""

    key: str
    why: str
    revision: int
    at: float


class View:
    """The instances of one bucket, as they are told."""

    def __init__(self, line: Line, bucket: str) -> None:
        self.bucket = Bucket(name=bucket)
        self.unread: dict[str, Unread] = {}
        self._line = line
        self._feed = Feed(line, bucket, self)
        self._known: dict[str, Instance] = {}
        self._payloads: dict[str, bytes] = {}
        self._services: dict[str, dict[str, Instance]] = {}
        self._due: list[tuple[float, str]] = []
        """When to look at a key again, soonest first; one item for each key of ``_queued``."""

        self._queued: set[str] = set()

        self._told: set[str] | None = None
        """The keys that were told since everything is told anew; None while nothing is."""

        self._forget: Callable[[], None] = lambda: None
        self._lost_at: float | None = None
        self._back_at = self._forgiven_until = 0.0
        self._watchers: set[Watcher] = set()
        self._current = asyncio.Event()
        self._sweep: asyncio.TimerHandle | None = None
        self._settling: asyncio.Task[None] | None = None

    @property
    def trouble(self) -> NatsmithError | None:
        """Why the view is not told anything just now, if so."""
        return self._feed.trouble

    async def open(self) -> None:
        """Begin; return when everything there is was told."""
        self._forget = self._line.listen(self._back, self._lost)
        await self._feed.open()
        await self._current.wait()

    async def close(self) -> None:
        """End, and with it whatever watches."""
        self._forget()
        await self._feed.close()
        if self._sweep:
            self._sweep.cancel()
        if self._settling:
            self._settling.cancel()
        for each in self._watchers:
            each.end()

    def now(self) -> float:
        """Return the server's time; it stands still while the connection is lost, since nothing can be told then."""
        return self._line.now() if self._lost_at is None else self._lost_at

    def of(self, service: str) -> tuple[Instance, ...]:
        """Return the instances of a service that are fresh."""
        now = self.now()
        return tuple(each for each in self._services.get(service, {}).values() if self._fresh(each, now))

    def all(self) -> tuple[Instance, ...]:
        """Return every instance that is fresh."""
        now = self.now()
        return tuple(each for each in self._known.values() if self._fresh(each, now))

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
        """Know that nobody can be heard now, so that nobody is late."""
        self._lost_at = self._line.now()

    def _back(self, same_server: bool) -> None:
        """Go on; where the server was away, everybody gets the time to be heard again."""
        self._lost_at = None
        if not same_server:
            self._back_at = self._line.now()
            self._forgiven_until = self._back_at + (self.bucket.ttl or DEFAULT_TTL) / 3 + RECONNECT_SECONDS
        self._plan_sweep()

    # -- What the feed tells

    def begins(self, bucket: Bucket, *, anew: bool) -> None:
        """Expect what comes after what is known, or everything anew."""
        changed = bucket.ttl != self.bucket.ttl or bucket.per_key != self.bucket.per_key
        self.bucket = bucket
        if anew:
            self._told = set()
        if changed:
            self._due, self._queued = [], set()
            for each in self._known.values():
                self._queue(each)
        self._plan_sweep()

    def happened(self, event: Event) -> None:
        """Take a heartbeat, a change, or an end."""
        key = event.key
        if entry.is_canary(key):
            return
        if self._told is not None:
            self._told.add(key)
        self.unread.pop(key, None)
        if event.gone:
            self._remove(key, Kind.EXPIRED if event.expired else Kind.LEFT)
            return
        known = self._known.get(key)
        if known and self._payloads[key] == event.payload:
            self._beat(known, event)
            return
        try:
            instance = entry.read(key, event.payload, revision=event.revision, heartbeat=event.at)
        except entry.Unread as why:
            self._remove(key, Kind.LEFT)
            self.unread[key] = Unread(key=key, why=str(why), revision=event.revision, at=event.at)
            return
        if not self._fresh(instance, self.now()):
            self._remove(key, Kind.EXPIRED)
            return
        if known and (known.service, known.id) != (instance.service, instance.id):
            self._remove(key, Kind.LEFT)
            known = None
        self._keep(instance, event.payload)
        if known is None:
            self._queue(instance)
            self._plan_sweep()
        self._tell(Kind.CHANGED if known else Kind.JOINED, instance)

    def current(self) -> None:
        """Let go what was not told again."""
        if self._told is not None:
            missing = self._known.keys() - self._told
            self.unread = {key: each for key, each in self.unread.items() if key in self._told}
            self._told = None
            for key in missing:
                if self._line.now() > self._forgiven_until:
                    self._remove(key, Kind.EXPIRED)
        self._current.set()

    # -- What follows

    def _beat(self, known: Instance, event: Event) -> None:
        self._keep(replace(known, revision=event.revision, heartbeat=event.at), event.payload)

    def _keep(self, instance: Instance, payload: bytes) -> None:
        self._known[instance.key] = instance
        self._payloads[instance.key] = payload
        self._services.setdefault(instance.service, {})[instance.key] = instance

    def _remove(self, key: str, kind: Kind) -> None:
        known = self._known.pop(key, None)
        if known is None:
            return
        del self._payloads[key]
        of = self._services[known.service]
        del of[key]
        if not of:
            del self._services[known.service]
        self._tell(kind, known)

    def _tell(self, kind: Kind, instance: Instance) -> None:
        for each in self._watchers:
            each.hear(Change(kind=kind, instance=instance))

    def _fresh(self, instance: Instance, now: float) -> bool:
        return now < self._until(instance)

    def _until(self, instance: Instance) -> float:
        """Return when an instance is gone if it is not heard again."""
        until = instance.heartbeat + self.bucket.lives(instance)
        forgiven = instance.heartbeat < self._back_at and instance.key in self._known
        return max(until, self._forgiven_until) if forgiven else until

    # -- Who is late

    def _queue(self, instance: Instance) -> None:
        if instance.key not in self._queued:
            self._queued.add(instance.key)
            heapq.heappush(self._due, (self._until(instance), instance.key))

    def _plan_sweep(self) -> None:
        if self._sweep:
            self._sweep.cancel()
            self._sweep = None
        if self._due and self._lost_at is None:
            due = self._due[0][0]
            self._sweep = asyncio.get_running_loop().call_later(max(0.0, due - self.now()), self._swept, due)

    def _swept(self, due: float) -> None:
        """Remove who is late, unless we are late ourselves: then what has arrived meanwhile is read first."""
        if self.now() - due > LATE_SECONDS:
            if self._settling is None or self._settling.done():
                self._settling = asyncio.create_task(self._settle())
            return
        self._expire()

    async def _settle(self) -> None:
        """Look again once a question to the server is answered: what it sent before has been read by then."""
        with contextlib.suppress(NatsmithError):
            await self._line.bucket(self.bucket.name)
        self._expire()

    def _expire(self) -> None:
        now = self.now()
        while self._due and self._due[0][0] <= now:
            _, key = heapq.heappop(self._due)
            self._queued.discard(key)
            known = self._known.get(key)
            if known and self._fresh(known, now):
                self._queue(known)
            else:
                self._remove(key, Kind.EXPIRED)
        self._plan_sweep()
