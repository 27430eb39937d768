"""A NATS account by the server's own JSON API, over ``link``.

nats-py's JetStream classes drop fields they do not know, so requests are written here.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal

from natsmith.adapters import answers, wire
from natsmith.adapters.api import PASSING, Api
from natsmith.adapters.connecting import Waiting
from natsmith.adapters.connections import Connection
from natsmith.adapters.link import QUORUM, Link, opened
from natsmith.adapters.relay import relayed
from natsmith.adapters.server import (
    CONSUMER_NOT_FOUND,
    NO_MESSAGE,
    STREAM_NOT_FOUND,
    Account,
    Config,
    ConsumerInfo,
    Message,
    Refused,
    Relay,
    StreamInfo,
)
from natsmith.clock import clock
from natsmith.errors import DecisionNeeded, NotReady
from natsmith.log import Log

NO_JETSTREAM = 10039

OLDEST_LEVEL = 1
"""The API level of 2.11; older servers have none."""

COUNTING_SECONDS = (10, 1)
"""How long a consumer that only counts may outlive a run that died before it was deleted; less where a stream says so."""

NO_PEERS = 10005
PEERS_SECONDS, PEERS_AGAIN_SECONDS = 15, 0.5
"""How long a cluster may need to know its servers, and how often it is asked; one that has too few refuses after that."""

THRESHOLD_EXCEEDED = 10153
NO_SUCH_SEQUENCE = 10043
COPIED_INTO = "_nats.mirror.stream"
COPIERS = ("JS_MIRROR_", "JS_SOURCE_")


class JetStream(Api):
    """One account on one server; see ``server.Server``."""

    async def user_account(self) -> str:
        """Return the name of the account that our user belongs to, or nothing where the server does not tell."""
        return await answers.told_account(self._link.send)

    async def account(self) -> Account:
        """Return the server's version and the account's limits."""
        version = self._link.greeting.get("version", "")
        return answers.account(await self.ask("INFO"), version=version, clustered=self._link.clustered)

    async def streams(self) -> list[StreamInfo]:
        """Return every stream of the account."""
        found = await self._listing("STREAM.LIST", "streams", answers.stream)
        # A stream that is created meanwhile shifts another one into the next page as well.
        return list({each.config["name"]: each for each in found}.values())

    async def stream(self, name: str, *, gaps: bool = False) -> StreamInfo | None:
        """Return one stream, or None where there is none."""
        answer = await self._find(f"STREAM.INFO.{name}", {"deleted_details": True} if gaps else None)
        return answers.stream(answer) if answer else None

    async def create_stream(self, config: Config) -> StreamInfo:
        """Create a stream."""
        return answers.stream(await self._placed(f"STREAM.CREATE.{config['name']}", config))

    async def update_stream(self, config: Config) -> StreamInfo:
        """Make *config* the whole configuration of a stream."""
        return answers.stream(await self._placed(f"STREAM.UPDATE.{config['name']}", config))

    async def _placed(self, call: str, config: Config) -> dict[str, Any]:
        """Ask for a stream; in a cluster that has just begun or grown the leader does not know of all servers yet."""
        until = clock() + PEERS_SECONDS
        while True:
            try:
                return await self.ask(call, config)
            except Refused as refused:
                if refused.code != NO_PEERS or clock() > until:
                    raise
            # Nobody announces a server that is known now; the deadline above bounds the loop.
            await asyncio.sleep(PEERS_AGAIN_SECONDS)

    async def delete_stream(self, name: str) -> None:
        """Delete a stream."""
        await self._find(f"STREAM.DELETE.{name}")

    async def purge_stream(self, name: str, *, subject: str = "", before: int = 0) -> int:
        """Remove messages of a stream."""
        which = ({"filter": subject} if subject else {}) | ({"seq": before} if before else {})
        return int((await self.ask(f"STREAM.PURGE.{name}", which)).get("purged", 0))

    async def delete_message(self, stream: str, sequence: int) -> None:
        """Remove one message."""
        about = {"seq": sequence, "no_erase": True}
        await self._find(f"STREAM.MSG.DELETE.{stream}", about, absent=(STREAM_NOT_FOUND, NO_SUCH_SEQUENCE, NO_MESSAGE))

    async def consumers(self, stream: str) -> list[ConsumerInfo]:
        """Return every consumer of a stream; a stream that is gone has none."""
        found = await self._all_consumers(stream)
        return list({each.name: each for each in found if not each.name.startswith(COPIERS)}.values())

    async def copiers(self, stream: str, into: str) -> list[str]:
        """Return the consumers through which another stream copies one."""
        return [
            each.name
            for each in await self._all_consumers(stream)
            if each.name.startswith(COPIERS) and (each.config.get("metadata") or {}).get(COPIED_INTO) == into
        ]

    async def _all_consumers(self, stream: str) -> list[ConsumerInfo]:
        """Return what a stream lists: from 2.14 on those by which others copy it as well."""
        return await self._listing(f"CONSUMER.LIST.{stream}", "consumers", answers.consumer)

    async def consumer(self, stream: str, name: str) -> ConsumerInfo | None:
        """Return one consumer, or None where there is none."""
        answer = await self._find(f"CONSUMER.INFO.{stream}.{name}", absent=(STREAM_NOT_FOUND, CONSUMER_NOT_FOUND))
        return answers.consumer(answer) if answer else None

    async def put_consumer(self, stream: str, config: Config, *, verb: Literal["create", "update"]) -> ConsumerInfo:
        """Create or update a consumer."""
        body = {"stream_name": stream, "config": config, "action": verb}
        return answers.consumer(await self.ask(f"CONSUMER.CREATE.{stream}.{config['durable_name']}", body))

    async def delete_consumer(self, stream: str, name: str) -> None:
        """Delete a consumer."""
        await self._find(f"CONSUMER.DELETE.{stream}.{name}", absent=(STREAM_NOT_FOUND, CONSUMER_NOT_FOUND))

    async def pause_consumer(self, stream: str, name: str, until: str) -> None:
        """Pause a consumer, or let it go on."""
        about = {"pause_until": until} if until else {}
        await self._find(f"CONSUMER.PAUSE.{stream}.{name}", about, absent=(STREAM_NOT_FOUND, CONSUMER_NOT_FOUND))

    async def reset_consumer(self, stream: str, name: str, sequence: int) -> None:
        """Make a consumer go on at a sequence."""
        await self.ask(f"CONSUMER.RESET.{stream}.{name}", {"seq": sequence})

    async def subject_counts(self, stream: str) -> Mapping[str, int]:
        """Return how many messages each subject holds; a stream that is gone holds none."""
        counts: dict[str, int] = {}
        offset = 0
        while True:
            answer = await self._find(f"STREAM.INFO.{stream}", {"subjects_filter": ">", "offset": offset})
            page = (answer["state"].get("subjects") if answer else None) or {}
            counts |= page
            offset += len(page)
            if not answer or not page or offset >= answer["total"]:
                return counts

    async def count_since(self, stream: str, time: str) -> int | None:
        """Return how many messages are not older than *time*: what a consumer that begins there has before it."""
        for seconds in COUNTING_SECONDS:
            name = f"natsmith-count-{secrets.token_hex(8)}"
            config = wire.counting(name, time, seconds)
            body = {"stream_name": stream, "config": config, "action": "create"}
            try:
                answer = await self.ask(f"CONSUMER.CREATE.{stream}.{name}", body)
            except Refused as refusal:
                if refusal.code == THRESHOLD_EXCEEDED:
                    continue
                return None  # a work queue lets nobody look, and a stream may have all the consumers it allows
            await self.delete_consumer(stream, name)
            return int(answer["num_pending"])
        return None

    async def publish(
        self, subject: str, payload: bytes, *, expect: int | None = None, ttl: int | None = None, patient: bool = True
    ) -> int:
        """Store a message and return its sequence."""
        headers = {} if expect is None else {"Nats-Expected-Last-Subject-Sequence": str(expect)}
        if ttl is not None:
            headers["Nats-TTL"] = f"{ttl}s"
        return await self._stored(subject, payload, headers or None, patient=patient)

    async def last(self, stream: str, subject: str) -> Message | None:
        """Return the newest message of a subject, or None."""
        about = {"last_by_subj": subject}
        answer = await self._find(f"STREAM.MSG.GET.{stream}", about, absent=(STREAM_NOT_FOUND, NO_MESSAGE))
        return answers.message(answer) if answer else None

    def relay(self, stream: str, *, through: str) -> AbstractAsyncContextManager[Relay]:
        """Hear the direct gets of a stream for a block."""
        return relayed(self._link, stream, through)


async def connect(connection: Connection, *, timeout: float, log: Log) -> JetStream:
    """Return the account of *connection*, waiting at most *timeout* seconds for a server that still begins."""
    waiting = Waiting(connection, log)
    link = Link(connection, waiting)
    server = JetStream(link)
    async with opened(link, waiting, timeout=timeout):
        account = await _ready_account(server, waiting)
    if account.level < OLDEST_LEVEL:
        await link.close()
        raise DecisionNeeded(
            f"{link.where} is nats-server {account.version}, but natsmith needs 2.11 or later: upgrade the server"
        )
    # The account had it a moment ago: a server that restarts or moves its leader does not have it for a moment.
    server.passing = PASSING | {NO_JETSTREAM}
    return server


async def _ready_account(server: JetStream, waiting: Waiting) -> Account:
    """Return the account as soon as JetStream tells about it."""
    pause = 0.1
    while True:
        try:
            return await server.account()
        except NotReady as error:
            cure = "Check that JetStream is on, and the server's log"
            if server.link.clustered:
                cure = f"{QUORUM}: see which do, and their logs"
            waiting.because_of_jetstream(error, "JetStream does not answer yet", cure)
        except Refused as error:
            if error.code == NO_JETSTREAM:
                cure = "Enable JetStream for this account, or connect as a user of one that has it"
                waiting.because_of_jetstream(error, "the account has no JetStream", cure, DecisionNeeded)
            else:
                waiting.because_of_jetstream(error, str(error), "Check the server's log")
        # Nothing announces that JetStream has a leader; connect's timeout bounds the wait.
        await asyncio.sleep(pause)
        pause = min(pause * 2, 1.0)
