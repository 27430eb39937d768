"""What every open page is told: each part of the picture once, however many look at it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence

from natsmith.model.units import Json

MOST_READERS = 200
"""More pages than this are turned away: each costs a connection and some memory."""

MOST_WAITING = 64
"""A page that is so many messages behind is told everything anew instead."""

ROWS_AT_ONCE = 200
"""Rows of a message: what waits to be sent to one page stays small, and no page has to draw for long."""

QUIET_SECONDS = 15.0
"""A connection on which nothing is said for longer may be ended by what stands between."""


class Full(Exception):
    """There are as many readers as there may be."""


class Hub:
    """Keeps the newest of each part, and tells readers when one changes."""

    def __init__(self) -> None:
        self._parts: dict[str, bytes] = {}
        self._tables: dict[str, Mapping[str, Json]] = {}
        self._sources: dict[str, Callable[[], Iterable[Json]]] = {}
        self._made: dict[str, Sequence[bytes]] = {}
        """What the sources told last, until something new is told of theirs."""

        self._clocks: dict[str, Callable[[], Json]] = {}
        self._readers: set[Reader] = set()
        self._closed = False

    @property
    def readers(self) -> int:
        """How many pages are open."""
        return len(self._readers)

    def put(self, part: str, value: Json) -> None:
        """Keep a part, such as ``plan:app``; who reads is told where it is not what it was."""
        event = _event(part, value)
        if self._parts.get(part) != event:
            self._parts[part] = event
            self._tell(event)

    def put_rows(self, part: str, rows: Mapping[str, Json], about: Mapping[str, Json]) -> None:
        """Keep a table by its rows' keys; who reads is told the rows that are not what they were."""
        before = self._tables.get(part, {})
        changed = [row for key, row in rows.items() if before.get(key) != row]
        gone = [key for key in before if key not in rows]
        self._tables[part] = rows
        self.source(part, lambda: tabled(list(rows.values()), (), about, anew=True))
        if changed or gone:
            for each in tabled(changed, gone, about):
                self.tell(part, each)

    def tell(self, part: str, value: Json) -> None:
        """Tell of something that needs not be kept, since the part's source says it as well."""
        self._made.pop(part, None)
        if self._readers:
            self._tell(_event(part, value))

    def source(self, part: str, values: Callable[[], Iterable[Json]]) -> None:
        """Have who comes told what *values* returns then; who is there was told what is new in it."""
        self._sources[part] = values
        self._made.pop(part, None)

    def clock(self, part: str, told: Callable[[], Json]) -> None:
        """Have who comes told what the server's clock shows at that moment: ages are counted from there."""
        self._clocks[part] = told

    def close(self) -> None:
        """Let every reader's connection end."""
        self._closed = True
        for each in self._readers:
            each.end()

    async def read(self) -> AsyncIterator[bytes]:
        """Yield everything as it is now, and then what changes, as server-sent events."""
        if len(self._readers) >= MOST_READERS:
            raise Full
        reader = Reader()
        self._readers.add(reader)
        try:
            yield b": hello\n\n"
            while not self._closed:
                reader.forget()
                for event in self._everything():
                    yield event
                for told in tuple(self._clocks.values()):
                    yield _event("clock", told())
                async for event in reader.events():
                    yield event
        finally:
            self._readers.discard(reader)

    def _everything(self) -> Sequence[bytes]:
        """Return all there is at this moment; many that come together share it."""
        for part, values in self._sources.items():
            if part not in self._made:
                self._made[part] = [_event(part, each) for each in values()]
        return [*self._parts.values(), *(event for each in self._made.values() for event in each)]

    def _tell(self, event: bytes) -> None:
        for each in self._readers:
            each.put(event)


class Reader:
    """What one page was not told yet."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(MOST_WAITING)
        self._behind = False

    def put(self, event: bytes) -> None:
        """Keep an event until it is read; with too many, none of them: all is told anew then."""
        if self._waiting.full():
            self._behind = True
        else:
            self._waiting.put_nowait(event)

    def end(self) -> None:
        """Have the connection end, whatever was not told yet."""
        self.forget()
        self._behind = True
        self._waiting.put_nowait(b": goodbye\n\n")

    def forget(self) -> None:
        """Wait for nothing that was."""
        self._behind = False
        while not self._waiting.empty():
            self._waiting.get_nowait()

    async def events(self) -> AsyncIterator[bytes]:
        """Yield what comes, until too much came to be told one by one."""
        while not self._behind:
            try:
                async with asyncio.timeout(QUIET_SECONDS):
                    event = await self._waiting.get()
            except TimeoutError:
                event = b": still here\n\n"
            yield event


def tabled(
    changed: Sequence[Json], gone: Sequence[Json], about: Mapping[str, Json], *, anew: bool = False
) -> Iterator[Json]:
    """Yield messages of a few rows each; *anew* where the first begins a whole table."""
    for begin in range(0, len(changed) or 1, ROWS_AT_ONCE):
        first = begin == 0
        rows = list(changed[begin : begin + ROWS_AT_ONCE])
        yield {**about, "anew": anew and first, "changed": rows, "gone": list(gone) if first else []}


def _event(part: str, value: Json) -> bytes:
    # No line ends inside: a server-sent event would end there.
    return f"event: {part.partition(':')[0]}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n".encode()
