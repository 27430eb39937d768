"""The registry as an application holds it: register, discover, watch, lead."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncGenerator, Mapping
from types import TracebackType

from nats.aio.client import Client

from natsmith.errors import NatsmithError
from natsmith.registry import entry
from natsmith.registry.candidacy import Leader, leader_of
from natsmith.registry.changes import Change
from natsmith.registry.election import Leadership
from natsmith.registry.entry import Instance, Json, Status
from natsmith.registry.errors import WrongUse
from natsmith.registry.line import line_of
from natsmith.registry.presence import Presence
from natsmith.registry.view import View

BUCKET = "service_registry"
ELECTIONS = "elections"


class Registry:
    """The service registry in two buckets of a connection that the application keeps."""

    def __init__(self, client: Client, *, bucket: str = BUCKET, elections: str = ELECTIONS) -> None:
        self._line = line_of(client)
        self._bucket, self._elections = entry.bucket_name(bucket), entry.bucket_name(elections)
        self._view: View | None = None
        self._opening = asyncio.Lock()
        self._is = "not open yet"

    async def __aenter__(self) -> Registry:
        if self._is != "not open yet":
            raise WrongUse(f"the registry is {self._is} already: make another Registry for another block")
        self._line.check_loop()
        self._is = "open"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the local view and whoever watches; the connection stays the application's.

        Its own instances stay registered, and its leases held, until their blocks end.
        """
        self._is = "closed"
        view, self._view = self._view, None
        if view:
            await view.close()

    def instance(
        self,
        service: str,
        *,
        id: str = "",
        metadata: Mapping[str, Json] | None = None,
        status: Status = Status.HEALTHY,
        ttl: int | None = None,
    ) -> Presence:
        """Return this process as an instance of *service*, registered while ``async with`` runs.

        Without *id* it is the host's name and a few random letters. With *ttl* its entry lives that many seconds
        instead of the bucket's, where the server can do that safely; elsewhere it is refused with the reason.
        """
        self._check_open()
        known = Instance(
            service=service,
            id=id or f"{_host()}-{secrets.token_hex(3)}",
            status=entry.status_of(status),
            metadata={} if metadata is None else metadata,
        )
        return Presence(self._line, self._bucket, known, ttl=ttl, seen=self._seen)

    async def instances(self, service: str, *, status: Status | None = None) -> tuple[Instance, ...]:
        """Return the instances of *service* that are fresh, or only those of a *status*.

        The first call reads the bucket; from then on a local view answers, which is told every change.
        """
        wanted = None if status is None else entry.status_of(status)
        entry.check_service(service)
        view = self._view or await self._opened()
        await view.settled()
        found = view.of(service)
        return found if wanted is None else tuple(each for each in found if each.status is wanted)

    async def all_instances(self) -> tuple[Instance, ...]:
        """Return the fresh instances of every service."""
        view = self._view or await self._opened()
        await view.settled()
        return view.all()

    async def watch(self, service: str | None = None) -> AsyncGenerator[Change, None]:
        """Yield what happens to the instances of *service*, or of all: first each one that is there, as joined."""
        if service is not None:
            entry.check_service(service)
        view = self._view or await self._opened()
        watcher = view.watch(service)
        try:
            async for change in watcher:
                yield change
        finally:
            view.unwatch(watcher)

    @property
    def trouble(self) -> NatsmithError | None:
        """Why the local view is told nothing just now, if so; it then answers what it knew."""
        return self._view.trouble if self._view else None

    def leadership(self, group: str, *, id: str = "", ttl: int = 10) -> Leadership:
        """Return the wish to lead *group*: ``async with`` waits until nobody else does.

        A leader that dies is followed *ttl* seconds later.
        """
        self._check_open()
        return Leadership(self._line, self._elections, group, id=id, ttl=ttl)

    async def leader(self, group: str) -> Leader | None:
        """Return who leads *group* now, or None."""
        self._check_open()
        key = entry.group_key(group)
        bucket = await self._line.bucket(self._elections, profile="election")
        return leader_of(group, await self._line.last(bucket, key), now=self._line.now())

    async def _opened(self) -> View:
        async with self._opening:
            if self._view is None:
                self._check_open()
                view = View(self._line, self._bucket)
                await view.open()
                if self._is == "closed":
                    await view.close()
                self._check_open()
                self._view = view
            return self._view

    async def _seen(self, revision: int) -> None:
        if self._view:
            await self._view.reaches(revision)

    def _check_open(self) -> None:
        if self._is != "open":
            raise WrongUse(f"the registry is {self._is}: use it inside `async with Registry(client) as registry:`")


def _host() -> str:
    """Return the name of this machine, as it can be part of a key."""
    name = "".join(each if each.isascii() and (each.isalnum() or each == "-") else "-" for each in socket.gethostname())
    return name[:64] or "host"
