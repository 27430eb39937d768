"""The key that a leader holds, as those see it who want it next."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from dataclasses import dataclass
from typing import Any

from natsmith.clock import clock
from natsmith.errors import NatsmithError
from natsmith.registry.answers import NEVER, Stored
from natsmith.registry.bucket import Bucket
from natsmith.registry.consumer import Event
from natsmith.registry.feed import Feed
from natsmith.registry.line import Line, log

AGAIN_SECONDS = 0.1
"""How soon a key is tried again that should have expired: servers are up to 0.3 s late."""

SLOWER_AFTER = 10
SLOWEST = 4
"""After so many tries half as often, at most so many times: a value that somebody put there by hand never goes."""

TOLD_AFTER = 30
"""After so many tries it is told that the key does not expire."""

LOOK_SECONDS = 1.0
"""How often it is asked whether the connection was closed for good, which nobody tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leader:
    """Who leads a group."""

    group: str
    id: str
    token: int
    """The revision with which it began to lead."""

    ttl: int
    heard: float
    """When it was heard last: seconds since 1970 by the server's clock."""


class Candidacy:
    """What somebody who wants to lead hears of the key."""

    def __init__(self, line: Line, bucket: Bucket, key: str, *, run: str) -> None:
        self._line, self._bucket, self._key, self._run = line, bucket, key, run
        self._feed = Feed(line, bucket.name, self, key=key)
        self._expected = NEVER
        self._free_at = 0.0
        """When the key can be had, by this machine's clock: the server's may be set while somebody waits."""

        self._tries = 0
        self._heard = asyncio.Event()

    async def open(self) -> None:
        """Begin to hear; return when it is known who leads."""
        await self._feed.open()
        self._learn(await self._line.last(self._bucket, self._key))

    async def close(self) -> None:
        """Hear no more."""
        await self._feed.close()

    async def free(self) -> int:
        """Return, as soon as the key can be had, the revision that it must still have then."""
        while True:
            await self._connected()
            self._heard.clear()
            left = self._free_at - clock()
            if left <= 0:
                return self._expected
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, LOOK_SECONDS)):
                    await self._heard.wait()

    async def beaten(self) -> None:
        """Look why the key could not be had: somebody was faster, or the server is late with letting it go."""
        try:
            last = await self._line.last(self._bucket, self._key)
        except NatsmithError as error:
            log.info("who has %s cannot be seen just now: %s", self._key, error)
        else:
            self._learn(last)
        self.later()

    def later(self) -> None:
        """Try again after a pause, however often it has to be."""
        self._tries += 1
        if self._tries == TOLD_AFTER:
            log.warning(
                "key %s of bucket %s should be free by now and is not: if no leader wrote its value, delete it",
                self._key,
                self._bucket.name,
            )
        pause = AGAIN_SECONDS * 2 ** min(self._tries // SLOWER_AFTER, SLOWEST)
        self._free_at = max(self._free_at, clock() + pause * random.uniform(0.5, 1))  # noqa: S311  (spreads load, keeps no secret)

    def begins(self, bucket: Bucket, *, anew: bool) -> None:
        """Know nothing of the key, if all is told anew."""
        self._bucket = bucket
        if anew:
            self._learn(None)

    def happened(self, event: Event) -> None:
        """Learn that somebody took it, renewed it, or let it go."""
        self._tries = 0
        self._learn(Stored(revision=event.revision, at=event.at, payload=event.payload, deleted=event.gone))

    def current(self) -> None:
        """Need nothing: who leads was asked."""

    async def _connected(self) -> None:
        """Return when the connection stands; raise where it is closed, since it stays so."""
        while True:
            self._line.check_open()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    return await self._line.up()

    def _learn(self, last: Stored | None) -> None:
        """Know what the key is, and so when it can be had."""
        self._expected, self._free_at = NEVER, 0.0
        said = said_in(last.payload) if last and not last.deleted else {}
        if last and (last.deleted or said.get("run") == self._run):
            # Ours although nobody answered when it was written: it is taken once more, since when it began is not known.
            self._expected = last.revision
        elif last:
            ttl = _whole(said.get("ttl"))
            self._free_at = clock() + min(ttl, last.at + ttl - self._line.now())
        self._heard.set()


def leader_of(group: str, last: Stored | None, *, now: float) -> Leader | None:
    """Return who leads a group by its key's newest value.

    A server is late with letting go of a key, most of all when it comes back: a lease that is over leads nobody.
    """
    if last is None or last.deleted:
        return None
    said = said_in(last.payload)
    ttl = _whole(said.get("ttl"))
    if 0 < ttl <= now - last.at:
        return None
    return Leader(
        group=group,
        id=str(said.get("id", "unknown")),
        token=_whole(said.get("token")) or last.revision,
        ttl=ttl,
        heard=last.at,
    )


def said_in(payload: bytes) -> dict[str, Any]:
    """Return what a value says, or nothing where it is not one of ours."""
    try:
        said = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _whole(number: object) -> int:
    """Return a lease's length or its token, or 0 where a value says something that is none."""
    return number if isinstance(number, int) and not isinstance(number, bool) and 0 < number < 2**63 else 0
