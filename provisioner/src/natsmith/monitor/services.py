"""Who is registered: as the registry tells it, with those who went a while ago."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, deque
from collections.abc import Callable, Iterator

from nats.aio.client import Client

from natsmith.errors import DecisionNeeded, NatsmithError
from natsmith.model.units import Json
from natsmith.monitor.elections import Leaders
from natsmith.monitor.hub import Hub, tabled
from natsmith.registry.changes import Kind
from natsmith.registry.entry import DEFAULT_TTL, Instance
from natsmith.registry.errors import NoBucket
from natsmith.registry.feed import Feed
from natsmith.registry.line import Line
from natsmith.registry.view import View

LATE = 0.7
"""The part of its life after which an instance that was not heard is late: two heartbeats are missing then."""

GONE_KEPT = 200
UNREAD_SHOWN = 100
METADATA_SHOWN = 2_000
"""Characters of an instance's metadata, where values may be shown."""

TELL_SECONDS = 0.25
"""What happens to instances is told together, as often: thousands may come in the same moment."""

BEATS_SECONDS = 1.0
"""So are heartbeats, whose age is shown in whole seconds."""

AGAIN_SECONDS = 5.0
"""A bucket that is not there is looked for as often: most accounts have none."""


class Services:
    """The instances and leaders of one account."""

    def __init__(self, client: Client, hub: Hub, *, account: str, bucket: str, elections: str, values: bool) -> None:
        self._line, self._hub, self._account = Line(client), hub, account
        self._bucket, self._elections, self._values = bucket, elections, values
        self._part = f"services:{account}"
        self._view: View | None = None
        self._leaders = Leaders()
        self._told: dict[str, int] = {}
        """The revision of each instance that pages know."""

        self._changed: set[str] = set()
        self._went: list[dict[str, Json]] = []
        self._gone: deque[dict[str, Json]] = deque(maxlen=GONE_KEPT)
        self._about: dict[str, Json] = {}
        self.went: Counter[str] = Counter()
        """How many went since the monitor began, by why."""

        self._trouble = "it was not read yet"
        self._lacking = ""
        """What of the elections may not be asked, if so."""

        hub.source(self._part, self._everything)
        hub.clock(self._part, lambda: {"account": account, "of": "services", "now": self._now()})
        for each in self._everything():  # who looks knows what was before this connection
            hub.tell(self._part, each)

    def listen(self, back: Callable[[], None], lost: Callable[[], None]) -> None:
        """Call *lost* when the connection is gone, and *back* when it stands again."""
        self._line.listen(lambda _: back(), lost)

    async def run(self) -> None:
        """Watch until the program ends."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            group.create_task(self._elect())
            group.create_task(self._tell())

    # -- What is known

    @property
    def trouble(self) -> str:
        """Why nothing is heard just now, if so."""
        trouble = self._view.trouble if self._view else None
        return str(trouble) if trouble else self._trouble

    def instances(self) -> tuple[Instance, ...]:
        """Return who is fresh."""
        return self._view.all() if self._view else ()

    def is_late(self, instance: Instance) -> bool:
        """Return whether it was not heard for two of three heartbeats."""
        return self._line.now() - instance.heartbeat > LATE * self._lives(instance)

    @property
    def unread(self) -> int:
        """How many entries are not understood."""
        return len(self._view.unread) if self._view else 0

    @property
    def leaders(self) -> int:
        """How many groups have a leader."""
        return len(self._leaders.leading(self._line.now()))

    def _now(self) -> float | None:
        """Return the server's time, or nothing before it was told."""
        return None if self._line.offset is None else self._line.now()

    def document(self) -> dict[str, Json]:
        """Return everything, for programs."""
        shown = [self._shown(each) | self._detail(each) for each in self.instances()]
        return {**self._surroundings(), "now": self._now(), "instances": shown, "gone": list(self._gone)}

    # -- What pages are told

    def _everything(self) -> Iterator[Json]:
        about = {"account": self._account, "now": self._now()}
        first, *rest = tabled([self._shown(each) for each in self.instances()], list(self._gone), about, anew=True)
        yield {**first, **self._surroundings()}
        yield from rest

    async def _tell(self) -> None:
        """Tell what is new, again and again; what comes meanwhile is told together."""
        beaten = 0.0
        while True:
            await asyncio.sleep(TELL_SECONDS)  # time itself is awaited
            beats = {}
            if self._line.now() - beaten >= BEATS_SECONDS:
                beaten, beats = self._line.now(), self._beats()
            known = {each.key: each for each in self.instances()} if self._changed else {}
            changed = [self._shown(known[key]) for key in self._changed if key in known]
            went, about = self._went, self._surroundings()
            self._changed, self._went = set(), []
            if not (changed or went or beats or about != self._about):
                continue
            news = {key: value for key, value in about.items() if self._about.get(key) != value}
            self._about = about
            first, *rest = tabled(changed, went, {"account": self._account, "now": self._now()})
            for each in ({**first, **news, "beats": beats}, *rest):
                self._hub.tell(self._part, each)

    def _surroundings(self) -> dict[str, Json]:
        unread = list(self._view.unread.items())[:UNREAD_SHOWN] if self._view else []
        return {
            "account": self._account,
            "bucket": self._bucket,
            "trouble": self.trouble,
            "unread": [{"key": key, "why": why} for key, why in unread],
            "leaders": self._leaders.shown(self._line.now()),
            "lacking": self._lacking,
        }

    def _beats(self) -> dict[str, float]:
        beats = {}
        for each in self.instances():
            if self._told.get(each.key) != each.revision:
                self._told[each.key] = each.revision
                beats[each.key] = round(each.heartbeat, 2)
        return beats

    def _shown(self, each: Instance) -> dict[str, Json]:
        shown: dict[str, Json] = {
            "key": each.key,
            "service": each.service,
            "id": each.id,
            "status": each.status.value,
            "heartbeat": round(each.heartbeat, 2),
            "lives": self._lives(each),
        }
        if self._values:
            shown["metadata"] = json.dumps(dict(each.metadata), ensure_ascii=False)[:METADATA_SHOWN]
        return shown

    def _detail(self, each: Instance) -> dict[str, Json]:
        late = {"late": self.is_late(each)}
        return {**late, "metadata": dict(each.metadata)} if self._values else late

    def _lives(self, each: Instance) -> float:
        return self._view.bucket.lives(each) if self._view else DEFAULT_TTL

    # -- What is heard

    async def _watch(self) -> None:
        view = await self._found()
        self._view, self._trouble = view, ""
        watcher = view.watch(None)
        try:
            async for change in watcher:
                if change.kind in (Kind.LEFT, Kind.EXPIRED):
                    self._go(change.instance, change.kind.value)
                else:
                    self._told[change.instance.key] = change.instance.revision
                    self._changed.add(change.instance.key)
        finally:
            view.unwatch(watcher)
            await view.close()

    def _go(self, instance: Instance, why: str) -> None:
        self._told.pop(instance.key, None)
        self._changed.discard(instance.key)
        self.went[why] += 1
        gone = {"key": instance.key, "service": instance.service, "id": instance.id, "why": why, "at": self._line.now()}
        self._gone.appendleft(gone)
        self._went.append(gone)

    async def _found(self) -> View:
        """Return the view of the bucket as soon as there is one; it may be provisioned later, or never."""
        while True:
            view = View(self._line, self._bucket)
            try:
                await view.open()
            except NatsmithError as error:
                await view.close()
                self._trouble = str(error)
                await asyncio.sleep(AGAIN_SECONDS)  # nobody announces that a bucket appears to who has no view yet
            else:
                return view

    async def _elect(self) -> None:
        """Hear who leads, as soon as there is a bucket of elections."""
        while True:
            feed = Feed(self._line, self._elections, self._leaders)
            try:
                await feed.open()
            except NatsmithError as error:
                await feed.close()
                # Most accounts have no such bucket, of which nothing is to be said; what may not be asked is missing.
                forbidden = isinstance(error, DecisionNeeded) and not isinstance(error, NoBucket)
                self._lacking = str(error) if forbidden else ""
                await asyncio.sleep(AGAIN_SECONDS)  # as above
                continue
            self._lacking = ""
            try:
                await asyncio.Future()
            finally:
                await feed.close()
