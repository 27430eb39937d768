"""Every key of a bucket as it is: also what readers hide, which the operator's verbs have to show."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from natsmith.errors import NotReady
from natsmith.registry import entry
from natsmith.registry.answers import Stored
from natsmith.registry.bucket import Bucket
from natsmith.registry.candidacy import Leader, leader_of
from natsmith.registry.consumer import Event
from natsmith.registry.feed import Feed
from natsmith.registry.found import Found, found
from natsmith.registry.line import Line


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """The longest time between two heartbeats of one process, while it was looked."""

    seconds: float
    ttl: float


class Snapshot(ABC):
    """The keys of a bucket: inside ``async with`` all of them are told, and then what happens to them."""

    def __init__(self, line: Line, bucket: str, *, timeout: float) -> None:
        self.bucket = Bucket(name=bucket)
        self._line, self._timeout = line, timeout
        self._feed = Feed(line, bucket, self)
        self._current = asyncio.Event()

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(self._timeout):
                await self._feed.open()
                await self._current.wait()
        except BaseException as error:
            await self._feed.close()
            if not isinstance(error, TimeoutError):
                raise
            raise NotReady(
                f"bucket {self.bucket.name} was not read within {self._timeout:g} s: "
                "run the same command again, with a longer --timeout"
            ) from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._feed.close()

    def now(self) -> float:
        """Return the server's time."""
        return self._line.now()

    def begins(self, bucket: Bucket, *, anew: bool) -> None:
        """Begin once more, if all is told anew."""
        self.bucket = bucket
        if anew:
            self.forget()

    def happened(self, event: Event) -> None:
        """Keep what a key says now."""
        if not entry.is_canary(event.key):
            self.keep(event)
        if event.revision >= self.bucket.last_revision:
            self._current.set()  # in a bucket that is written to all the time something always follows

    def current(self) -> None:
        """Know that everything was told."""
        self._current.set()

    @abstractmethod
    def keep(self, event: Event) -> None:
        """Keep what a key says now, or that it is gone."""

    @abstractmethod
    def forget(self) -> None:
        """Know nothing."""


class Entries(Snapshot):
    """The entries of a registry."""

    def __init__(self, line: Line, bucket: str, *, timeout: float) -> None:
        super().__init__(line, bucket, timeout=timeout)
        self.intervals: dict[str, Interval] = {}
        self._found: dict[str, Found] = {}

    def all(self) -> tuple[Found, ...]:
        """Return what is there, by service and id."""
        return tuple(sorted(self._found.values(), key=lambda each: (each.names, each.key)))

    def keep(self, event: Event) -> None:
        """Keep what a key says now, or that it is gone."""
        before = self._found.pop(event.key, None)
        if event.gone:
            return
        after = found(event.key, event.payload, revision=event.revision, at=event.at, kept=event.kept)
        self._found[event.key] = after
        if before and before.instance and after.instance and before.instance.run == after.instance.run:
            known = self.intervals.get(event.key)
            longest = max(after.at - before.at, known.seconds if known else 0.0)
            self.intervals[event.key] = Interval(seconds=longest, ttl=after.ttl(self.bucket))

    def forget(self) -> None:
        """Know nothing."""
        self._found = {}


class Leaders(Snapshot):
    """Who leads the groups of a bucket of elections."""

    def __init__(self, line: Line, bucket: str, *, timeout: float) -> None:
        super().__init__(line, bucket, timeout=timeout)
        self._newest: dict[str, Stored] = {}

    def all(self) -> tuple[Leader, ...]:
        """Return who leads now, by group."""
        leaders = (leader_of(group, stored, now=self.now()) for group, stored in sorted(self._newest.items()))
        return tuple(each for each in leaders if each)

    def keep(self, event: Event) -> None:
        """Keep the newest value of a group's key."""
        self._newest[event.key] = Stored(
            revision=event.revision, at=event.at, payload=event.payload, deleted=event.gone
        )

    def forget(self) -> None:
        """Know nothing."""
        self._newest = {}
