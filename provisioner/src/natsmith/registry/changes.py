"""What happens to instances, and the reader who is told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from enum import StrEnum

from natsmith.errors import NatsmithError
from natsmith.registry.entry import Instance


class Kind(StrEnum):
    """What happened to an instance."""

    JOINED = "joined"
    CHANGED = "changed"
    LEFT = "left"
    """It said so."""

    EXPIRED = "expired"
    """It said nothing any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that happened to an instance."""

    kind: Kind
    instance: Instance


class Watcher:
    """The changes that one reader has not read yet: at most one for each instance, however long it does not read."""

    def __init__(self, service: str | None) -> None:
        self._service = service
        self._waiting: dict[str, Change] = {}
        self._something = asyncio.Event()
        self._ended = False
        self._error: NatsmithError | None = None

    def hear(self, change: Change) -> None:
        """Keep a change until it is read."""
        if self._service not in (None, change.instance.service):
            return
        key = change.instance.key
        before = self._waiting.pop(key, None)
        if before and before.kind is Kind.JOINED:
            if change.kind in (Kind.LEFT, Kind.EXPIRED):
                return  # nobody was told that it came
            change = replace(change, kind=Kind.JOINED)
        elif before and change.kind is Kind.JOINED:
            change = replace(change, kind=Kind.CHANGED)
        self._waiting[key] = change
        self._something.set()

    def end(self, error: NatsmithError | None = None) -> None:
        """Have the reader's loop end, once it has read what happened until now; with an error if there is one."""
        self._ended, self._error = True, error
        self._something.set()

    def __aiter__(self) -> Watcher:
        return self

    async def __anext__(self) -> Change:
        """Return the next change."""
        while not self._waiting:
            if self._error:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            self._something.clear()
            await self._something.wait()
        key = next(iter(self._waiting))
        return self._waiting.pop(key)
