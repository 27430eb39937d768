"""The servers themselves, as a user of the system account sees them who may ask them to load their files again."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from natsmith.adapters.connecting import Waiting
from natsmith.adapters.connections import Connection
from natsmith.adapters.link import Heard, Link, opened
from natsmith.errors import NatsmithError, NotReady
from natsmith.log import Log
from natsmith.model.loading import Seen, tag_of, without_secrets

ANSWER_SECONDS = 1.0
"""How long to listen for servers of which nobody said how many there are, and for one that does not answer."""


class System(Link):
    """A connection to the system account."""

    def __init__(self, connection: Connection, waiting: Waiting) -> None:
        super().__init__(connection, waiting)
        self._gathered: dict[str, tuple[list[bytes], int]] = {}

    async def __aenter__(self) -> System:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def servers(self, count: int = 0) -> list[Seen]:
        """Return the servers that answer: as soon as *count* did, or those that did within a second."""
        answers = await self._gather("$SYS.REQ.SERVER.PING", enough=count)
        return list({each.id: each for each in map(_seen, answers)}.values())

    async def reload(self, servers: Sequence[Seen]) -> list[Seen]:
        """Have servers load their files, and return what those are then that answered; one that refuses serves on as it did.

        Servers whose routes get other credentials part from those that have not loaded them yet. So all are asked before
        any does it, and last the one that passes the questions on.
        """
        passing = self.greeting.get("server_id")
        order = sorted(servers, key=lambda each: each.id == passing)
        answers = await asyncio.gather(*(self._reloaded(each) for each in order))
        return [each for each in answers if each]

    async def _reloaded(self, server: Seen) -> Seen | None:
        try:
            return _seen(await self.send(f"$SYS.REQ.SERVER.{server.id}.RELOAD", b""))
        except NotReady:
            return None

    async def elsewhere(self) -> None:
        """Ask another server from now on: the next address, or whom a Service gives."""
        self._up.clear()
        await self._client.force_reconnect()

    async def _gather(self, subject: str, *, enough: int) -> list[bytes]:
        token = f"{self._inbox}{next(self._tokens)}"
        future: asyncio.Future[Heard | NatsmithError] = asyncio.get_running_loop().create_future()
        answers: list[bytes] = []
        self._pending[token] = (subject, future)
        self._gathered[token] = (answers, enough)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self._up.wait()
                    await self.say(subject, b"", reply=token)
                    ended = await future
                    if isinstance(ended, NatsmithError):
                        raise ended
        finally:
            del self._pending[token], self._gathered[token]
        return answers

    async def _answered(self, msg: Heard) -> None:
        if msg.subject not in self._gathered:
            await super()._answered(msg)
            return
        answers, enough = self._gathered[msg.subject]
        answers.append(bytes(msg.data))
        if len(answers) == enough:
            await super()._answered(msg)


def _seen(answer: bytes) -> Seen:
    told: dict[str, Any] = json.loads(answer)
    server = told["server"]
    refusal = told.get("error", {})
    return Seen(
        id=server["id"],
        name=server["name"],
        version=server["ver"],
        tag=tag_of(server.get("tags") or ()),
        cluster=server.get("cluster", ""),
        routes=Counter(each.get("name", "") for each in told.get("statsz", {}).get("routes") or ()),
        refusal=without_secrets(refusal.get("description", "it does not say why")) if refusal else "",
    )


async def connect_system(connection: Connection, *, timeout: float, log: Log) -> System:
    """Return a connection to the system account, within *timeout* seconds."""
    waiting = Waiting(connection, log)
    system = System(connection, waiting)
    async with opened(system, waiting, timeout=timeout):
        return system
