"""The key that a leader holds, as those see it who want it next."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from dataclasses import dataclass
from typing import Any

from natsmith.registry.bucket import Bucket
from natsmith.registry.feed import Event, Feed
from natsmith.registry.line import NEVER, Line, Stored

AGAIN_SECONDS = 0.1
"""How soon a key is tried again that should have expired: servers are up to 0.3 s late."""

LONGEST_PAUSE = 1.0
"""How often it is tried at last: a value that somebody put there by hand never goes."""


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

    def __init__(self, line: Line, bucket: str, key: str) -> None:
        self._line = line
        self._key = key
        self._feed = Feed(line, bucket, self, key=key)
        self._bucket = Bucket(name=bucket)
        self._expected = NEVER
        self._free_at = 0.0
        """When the key can be had, by the server's clock."""

        self._tries = 0
        self._heard = asyncio.Event()
        self._current = asyncio.Event()

    async def open(self) -> None:
        """Begin to hear; return when it is known who leads."""
        await self._feed.open()
        await self._current.wait()

    async def close(self) -> None:
        """Hear no more."""
        await self._feed.close()

    async def free(self) -> int:
        """Return, as soon as the key can be had, the revision that it must still have then."""
        while True:
            await self._line.up()
            left = self._free_at - self._line.now()
            if left <= 0:
                return self._expected
            self._heard.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._heard.wait()

    async def beaten(self) -> None:
        """Look why the key could not be had: somebody was faster, or the server is late with letting it go."""
        last = await self._line.last(self._bucket, self._key)
        if last is None or last.deleted:
            self._expected, self._free_at = (last.revision if last else NEVER), 0.0
            return
        self._tries += 1
        pause = min(AGAIN_SECONDS * 2 ** (self._tries // 10), LONGEST_PAUSE)
        self._held(last.payload, last.at, not_before=self._line.now() + pause * random.uniform(0.5, 1))  # noqa: S311  (spreads load, keeps no secret)

    def begins(self, bucket: Bucket, *, anew: bool) -> None:
        """Know nothing of the key, if all is told anew."""
        self._bucket = bucket
        if anew:
            self._expected, self._free_at = NEVER, 0.0

    def happened(self, event: Event) -> None:
        """Learn that somebody took it, renewed it, or let it go."""
        self._tries = 0
        if event.gone:
            self._expected, self._free_at = event.revision, 0.0
        else:
            self._held(event.payload, event.at)
        self._heard.set()

    def current(self) -> None:
        """Know who leads."""
        self._current.set()

    def _held(self, payload: bytes, at: float, *, not_before: float = 0.0) -> None:
        ttl = said_in(payload).get("ttl")
        self._expected = NEVER
        self._free_at = max(at + (ttl if isinstance(ttl, int) else 0), not_before)


def leader_of(group: str, last: Stored | None) -> Leader | None:
    """Return who leads a group by its key's newest value."""
    if last is None or last.deleted:
        return None
    said = said_in(last.payload)
    return Leader(
        group=group,
        id=str(said.get("id", "unknown")),
        token=said["token"] if isinstance(said.get("token"), int) else last.revision,
        ttl=said["ttl"] if isinstance(said.get("ttl"), int) else 0,
        heard=last.at,
    )


def said_in(payload: bytes) -> dict[str, Any]:
    """Return what a value says, or nothing where it is not one of ours."""
    try:
        said = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
