"""The connection of an application, as the registry uses it: requests, writes, and when it was lost and came back.

The application keeps its client, with its own callbacks; the registry's are put before them.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import nats.errors
from nats.aio.client import Client

from natsmith.clock import clock
from natsmith.errors import DecisionNeeded, NotReady
from natsmith.registry.bucket import Bucket, bucket_of

log = logging.getLogger("natsmith.registry")

REQUEST_SECONDS = 5.0
STREAM_NOT_FOUND = 10059
NO_MESSAGE = 10037
WRONG_LAST_REVISION = 10071
NEVER = 0
"""What is expected of a key that was never written, or is gone."""


Back: TypeAlias = Callable[[bool], None]
"""Told whether it is the same server, which then ran all the while."""

Lost: TypeAlias = Callable[[], None]


class NoBucket(DecisionNeeded):
    """There is no bucket of that name."""


class Conflict(Exception):
    """The key has another revision than was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The newest value of a key."""

    revision: int
    at: float
    """When it was stored: seconds since 1970 by the server's clock."""

    payload: bytes
    deleted: bool
    """Whether it is a marker: the key is gone, and its revision has to be expected all the same."""


class Line:
    """What the registry asks of a connection."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.offset = 0.0
        """What is added to ``clock()`` for the server's time."""

        self._listeners: list[tuple[Back, Lost]] = []
        self._up = asyncio.Event()
        self._denied: dict[str, list[asyncio.Future[str]]] = {}
        self._server = str(client._server_info.get("server_id"))
        if client.is_connected:
            self._up.set()
        # nats-py has one callback of each kind, given when it connects; there is no way to add another.
        client._error_cb = self._before(client._error_cb, self._on_error)
        client._disconnected_cb = self._before(client._disconnected_cb, self._on_lost)
        client._reconnected_cb = self._before(client._reconnected_cb, self._on_back)

    def now(self) -> float:
        """Return the server's time, in seconds since 1970, as far as it was told."""
        return clock() + self.offset

    def listen(self, back: Back, lost: Lost = lambda: None) -> Callable[[], None]:
        """Call *back* when the connection stands again, and *lost* when it is gone; the answer ends that."""
        both = back, lost
        self._listeners.append(both)
        return lambda: self._listeners.remove(both) if both in self._listeners else None

    def close(self) -> None:
        """Hear nothing more of the connection."""
        self._listeners.clear()

    async def up(self) -> None:
        """Return when the connection stands."""
        await self._up.wait()

    @property
    def is_up(self) -> bool:
        """Whether the connection stands."""
        return self._up.is_set()

    async def ask(
        self, subject: str, payload: bytes, *, headers: dict[str, str] | None = None, timeout: float = REQUEST_SECONDS
    ) -> dict[str, Any]:
        """Return the answer to one request; NotReady where there is none in time, DecisionNeeded where it is forbidden."""
        denied: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._denied.setdefault(subject.lower(), []).append(denied)
        request = asyncio.ensure_future(self.client.request(subject, payload, timeout=timeout, headers=headers))
        try:
            async with asyncio.timeout(timeout):
                await self.up()
                both: set[asyncio.Future[Any]] = {request, denied}
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if denied.done():
                raise DecisionNeeded(f"the user of this connection may not publish on {subject}: grant it that")
            answer: dict[str, Any] = json.loads(request.result().data)
        except (TimeoutError, nats.errors.TimeoutError):
            raise NotReady(f"no answer to {subject} within {timeout:g} s: try again later") from None
        except nats.errors.NoRespondersError:
            raise NotReady(
                f"nobody answers {subject}: the bucket is not there or moves just now, or JetStream is off"
            ) from None
        except nats.errors.Error as error:
            raise NotReady(f"{subject} could not be sent: {error}") from error
        finally:
            waiting = self._denied[subject.lower()]
            waiting.remove(denied)
            if not waiting:
                del self._denied[subject.lower()]
            if not request.done():
                request.cancel()
            elif not request.cancelled():
                request.exception()  # asyncio would print one that nobody looks at
        return answer

    async def bucket(self, name: str) -> Bucket:
        """Return a bucket as it is now, and learn the server's time by the way."""
        asked = clock()
        answer = await self.ask(f"$JS.API.STREAM.INFO.KV_{name}", b"")
        answered = clock()
        refusal = answer.get("error")
        if refusal and refusal.get("err_code") == STREAM_NOT_FOUND:
            raise NoBucket(
                f"there is no bucket {name}: provision it (values: buckets.{name}, profile serviceRegistry or election)"
            )
        if refusal:
            raise DecisionNeeded(f"the server refused to tell about bucket {name}: {_said(refusal)}")
        if answer.get("ts"):
            self.offset = seconds(answer["ts"]) - (asked + answered) / 2
        return bucket_of(name, answer)

    async def write(
        self,
        bucket: Bucket,
        key: str,
        payload: bytes,
        *,
        expect: int,
        ttl: int = 0,
        delete: bool = False,
        timeout: float = REQUEST_SECONDS,
    ) -> int:
        """Store a value, or a marker that deletes, if the key still has revision *expect*; return the new revision."""
        headers = {"Nats-Expected-Last-Subject-Sequence": str(expect)}
        if ttl:
            headers["Nats-TTL"] = f"{ttl}s"
        if delete:
            headers |= {"KV-Operation": "PURGE", "Nats-Rollup": "sub"}
        answer = await self.ask(bucket.subject(key), payload, headers=headers, timeout=timeout)
        refusal = answer.get("error")
        if refusal and refusal.get("err_code") == WRONG_LAST_REVISION:
            raise Conflict
        if refusal:
            raise DecisionNeeded(f"the server refused to write {key} to bucket {bucket.name}: {_said(refusal)}")
        return int(answer["seq"])

    async def last(self, bucket: Bucket, key: str, *, timeout: float = REQUEST_SECONDS) -> Stored | None:
        """Return the newest value of a key, by the replica that decides."""
        request = json.dumps({"last_by_subj": bucket.subject(key)}).encode()
        answer = await self.ask(f"$JS.API.STREAM.MSG.GET.{bucket.stream}", request, timeout=timeout)
        refusal = answer.get("error")
        if refusal and refusal.get("err_code") == NO_MESSAGE:
            return None
        if refusal:
            raise DecisionNeeded(f"the server refused to read {key} from bucket {bucket.name}: {_said(refusal)}")
        return _stored(answer["message"])

    def _before(
        self, theirs: Callable[..., Awaitable[None]] | None, ours: Callable[..., None]
    ) -> Callable[..., Awaitable[None]]:
        async def both(*given: Any) -> None:
            ours(*given)
            if theirs is not None:
                await theirs(*given)

        return both

    def _on_error(self, error: Exception) -> None:
        text = str(error)
        if "permissions violation for publish" in text.lower() and '"' in text:
            for future in self._denied.get(text.split('"')[1].lower(), ()):
                if not future.done():
                    future.set_result(text)

    def _on_lost(self) -> None:
        self._up.clear()
        for _, lost in tuple(self._listeners):
            lost()

    def _on_back(self) -> None:
        self._up.set()
        server = str(self.client._server_info.get("server_id"))
        same, self._server = server == self._server, server
        for back, _ in tuple(self._listeners):
            back(same)


def seconds(time: str) -> float:
    """Return a time of the server as seconds since 1970."""
    whole, _, parts = time.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + (float(f"0.{parts}") if parts else 0.0)


def gone(headers: Mapping[str, str] | None) -> bool:
    """Return whether a value's headers say that the key is deleted, or expired."""
    if not headers:
        return False
    return "Nats-Marker-Reason" in headers or headers.get("KV-Operation") in ("DEL", "PURGE")


def kept(headers: Mapping[str, str] | None) -> float:
    """Return the seconds that the server keeps a value by a TTL of its own; 0: it has none, -1: it stays for ever."""
    said = (headers or {}).get("Nats-TTL", "")
    if said == "never":
        return -1.0
    if said.isdecimal():
        return float(said)
    parts = re.findall(r"(\d+(?:\.\d+)?)(h|ms|m|s)", said)
    return sum(float(number) * {"h": 3600, "m": 60, "s": 1, "ms": 0.001}[unit] for number, unit in parts)


def _stored(message: dict[str, Any]) -> Stored:
    lines = base64.b64decode(message.get("hdrs", "")).decode(errors="replace").split("\r\n")[1:]
    headers = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Stored(
        revision=int(message["seq"]),
        at=seconds(message["time"]),
        payload=base64.b64decode(message.get("data", "")),
        deleted=gone(headers),
    )


def _said(refusal: dict[str, Any]) -> str:
    return f"{refusal.get('description')} ({refusal.get('err_code', refusal.get('code'))})"
