"""What an application does with a bucket, by the same requests as NATS client libraries, over a connection of its own."""

from __future__ import annotations

import json

from natsmith.adapters import answers
from natsmith.adapters.connecting import Waiting, user_of
from natsmith.adapters.connections import Connection
from natsmith.adapters.link import Link, opened
from natsmith.adapters.server import NO_MESSAGE
from natsmith.log import Log

NOT_FOUND = "404"


class NatsApplication:
    """One account as an application's user has it; see ``server.Application``."""

    def __init__(self, link: Link, who: str) -> None:
        self._link = link
        self._who = who

    async def __aenter__(self) -> NatsApplication:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._link.close()

    @property
    def who(self) -> str:
        """The user, as a person reads it."""
        return self._who

    async def user_account(self) -> str:
        """Return the name of the account that the user belongs to, or nothing where the server does not tell."""
        return await answers.told_account(self._link.send)

    async def put(self, bucket: str, key: str, value: bytes) -> None:
        """Put a value: published on the key's subject, and acknowledged by the stream."""
        subject = f"$KV.{bucket}.{key}"
        refused = answers.refusal(f"publish on {subject}", json.loads(await self._link.send(subject, value)))
        if refused:
            raise refused

    async def get(self, bucket: str, key: str, *, direct: bool) -> bytes | None:
        """Return the value of a key, or None."""
        stream, subject = f"KV_{bucket}", f"$KV.{bucket}.{key}"
        if direct:
            data, headers = await self._link.exchange(f"$JS.API.DIRECT.GET.{stream}.{subject}", b"")
            return None if headers.get("Status") == NOT_FOUND else data
        call = f"STREAM.MSG.GET.{stream}"
        about = json.dumps({"last_by_subj": subject}).encode()
        answer = json.loads(await self._link.send(f"$JS.API.{call}", about))
        refused = answers.refusal(call, answer)
        if refused and refused.code == NO_MESSAGE:
            return None
        if refused:
            raise refused
        return answers.message(answer).payload


async def connect_application(connection: Connection, *, timeout: float, log: Log) -> NatsApplication:
    """Return the application that logs in by *connection*; it need not have a right to ask about the account."""
    waiting = Waiting(connection, log)
    link = Link(connection, waiting)
    async with opened(link, waiting, timeout=timeout):
        return NatsApplication(link, connection.user or user_of(connection))
