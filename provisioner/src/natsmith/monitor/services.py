"""Who is registered: as the registry tells it, with those who went a while ago."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping

from nats.aio.client import Client

from natsmith.errors import NatsmithError
from natsmith.log import Log
from natsmith.model.units import Json
from natsmith.monitor.hub import Hub
from natsmith.registry.candidacy import leader_of
from natsmith.registry.changes import Kind
from natsmith.registry.entry import DEFAULT_TTL, Instance
from natsmith.registry.feed import Event, Feed
from natsmith.registry.line import Line, Stored
from natsmith.registry.view import View

LATE = 0.7
"""The part of its life after which an instance that was not heard is late: two heartbeats are missing then."""

GONE_KEPT = 200
TELL_SECONDS = 0.5
"""Heartbeats are told together, as often."""

AGAIN_SECONDS = 5.0
"""A bucket that is not there is looked for as often: most accounts have none."""


class Services:
    """The instances and leaders of one account."""

    def __init__(
        self, client: Client, hub: Hub, *, account: str, bucket: str, elections: str, values: bool, log: Log
    ) -> None:
        self._line, self._hub, self._account, self._log = Line(client), hub, account, log
        self._bucket, self._elections, self._values = bucket, elections, values
        self._view: View | None = None
        self._leaders = Leaders()
        self._told: dict[str, int] = {}
        self._gone: deque[dict[str, Json]] = deque(maxlen=GONE_KEPT)
        self.trouble = "it was not read yet"
        hub.source(f"services:{account}", self.document)

    async def run(self) -> None:
        """Watch until the program ends."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._instances())
            group.create_task(self._elect())

    def instances(self) -> tuple[Instance, ...]:
        """Return who is fresh."""
        return self._view.all() if self._view else ()

    def is_late(self, instance: Instance) -> bool:
        """Return whether it was not heard for two of three heartbeats."""
        return self._view is not None and self._line.now() - instance.heartbeat > LATE * self._view.bucket.lives(
            instance
        )

    @property
    def unread(self) -> int:
        """How many entries are not understood."""
        return len(self._view.unread) if self._view else 0

    @property
    def leaders(self) -> Mapping[str, Stored]:
        """Who leads, by group."""
        return self._leaders.known

    def document(self) -> dict[str, Json]:
        """Return everything, for who comes."""
        trouble = self._view.trouble if self._view else None
        return {
            "account": self._account,
            "bucket": self._bucket,
            "trouble": str(trouble) if trouble else self.trouble,
            "now": self._line.now(),
            "instances": [self._shown(each) for each in self.instances()],
            "unread": [
                {"key": each.key, "why": each.why} for each in (self._view.unread.values() if self._view else ())
            ],
            "gone": list(self._gone),
            "leaders": self._leading(),
        }

    async def _instances(self) -> None:
        view = await self._found()
        self._view, self.trouble = view, ""
        watcher = view.watch(None)
        telling = asyncio.create_task(self._tell_beats())
        try:
            async for change in watcher:
                instance = change.instance
                if change.kind in (Kind.LEFT, Kind.EXPIRED):
                    self._told.pop(instance.key, None)
                    gone = {
                        "service": instance.service,
                        "id": instance.id,
                        "why": change.kind.value,
                        "at": self._line.now(),
                    }
                    self._gone.appendleft(gone)
                    self._hub.tell("gone", {"account": self._account, "key": instance.key, **gone})
                else:
                    self._told[instance.key] = instance.revision
                    self._hub.tell(
                        "instance", {"account": self._account, "now": self._line.now(), **self._shown(instance)}
                    )
        finally:
            telling.cancel()
            view.unwatch(watcher)
            await view.close()

    async def _found(self) -> View:
        """Return the view of the bucket as soon as there is one; it may be provisioned later, or never."""
        while True:
            view = View(self._line, self._bucket)
            try:
                await view.open()
            except NatsmithError as error:
                await view.close()
                self.trouble = str(error)
                await asyncio.sleep(AGAIN_SECONDS)  # nobody announces that a bucket appears to who has no view yet
            else:
                return view

    async def _tell_beats(self) -> None:
        while True:
            await asyncio.sleep(TELL_SECONDS)  # time itself is awaited: what comes meanwhile is told together
            beats = {}
            for each in self.instances():
                if self._told.get(each.key) != each.revision:
                    self._told[each.key] = each.revision
                    beats[each.key] = round(each.heartbeat, 3)
            if beats:
                self._hub.tell("beats", {"account": self._account, "now": self._line.now(), "beats": beats})

    async def _elect(self) -> None:
        while True:
            feed = Feed(self._line, self._elections, self._leaders)
            try:
                await feed.open()
            except NatsmithError:
                await feed.close()
                await asyncio.sleep(AGAIN_SECONDS)  # as above
                continue
            with contextlib.suppress(asyncio.CancelledError):
                while True:
                    await self._leaders.changed.wait()
                    self._leaders.changed.clear()
                    self._hub.tell("leaders", {"account": self._account, "leaders": self._leading()})
            await feed.close()
            return

    def _leading(self) -> list[dict[str, Json]]:
        found = [leader_of(group, stored) for group, stored in sorted(self._leaders.known.items())]
        return [
            {"group": each.group, "id": each.id, "token": each.token, "ttl": each.ttl, "heard": each.heard}
            for each in found
            if each
        ]

    def _shown(self, each: Instance) -> dict[str, Json]:
        lives = self._view.bucket.lives(each) if self._view else DEFAULT_TTL
        shown: dict[str, Json] = {
            "key": each.key,
            "service": each.service,
            "id": each.id,
            "status": each.status.value,
            "heartbeat": round(each.heartbeat, 3),
            "lives": lives,
        }
        return {**shown, "metadata": dict(each.metadata)} if self._values else shown


class Leaders:
    """Hears who leads."""

    def __init__(self) -> None:
        self.known: dict[str, Stored] = {}
        self.changed = asyncio.Event()

    def begins(self, _: object, *, anew: bool) -> None:
        """Forget who led, if all is told anew."""
        if anew:
            self.known.clear()

    def happened(self, event: Event) -> None:
        """Learn who leads."""
        self.known[event.key] = Stored(revision=event.revision, at=event.at, payload=event.payload, deleted=event.gone)
        self.changed.set()

    def current(self) -> None:
        """Know who leads."""
        self.changed.set()
