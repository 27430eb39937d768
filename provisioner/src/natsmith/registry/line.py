"""The connection of an application, as the registry uses it: requests, writes, and when it was lost and came back.

The application keeps its client, with its own callbacks; the registry's are put before them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeAlias, TypeVar

import nats.errors
from nats.aio.client import Client

from natsmith.clock import clock
from natsmith.errors import DecisionNeeded, NotReady, WrongValues
from natsmith.registry.answers import (
    NO_MESSAGE,
    STREAM_NOT_FOUND,
    WRONG_LAST_REVISION,
    Stored,
    refused,
    seconds,
    stored_in,
)
from natsmith.registry.bucket import Bucket, bucket_of
from natsmith.registry.errors import Conflict, NoBucket, NotAllowed, WrongUse

log = logging.getLogger("natsmith.registry")

REQUEST_SECONDS = 5.0
VIOLATION = re.compile(r'permissions violation for (publish|subscription) to "([^"]+)"', re.IGNORECASE)

T = TypeVar("T")

Back: TypeAlias = Callable[[bool], None]
"""Told whether it is the same server, which then ran all the while."""

Lost: TypeAlias = Callable[[], None]


class Line:
    """What the registry asks of a connection."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.offset: float | None = None
        """What is added to ``clock()`` for the server's time."""

        self._listeners: list[tuple[Back, Lost]] = []
        self._no_inbox = ""
        """What this user is not allowed, and needs to hear answers."""

        self.may_pace = True
        """Whether this user may acknowledge portions of what it is told; learnt when it is refused."""

        self._up = asyncio.Event()
        self._denied: dict[str, list[asyncio.Future[str]]] = {}
        self._server = str(client._server_info.get("server_id"))
        if client.is_connected:
            self._up.set()
        # nats-py has one callback of each kind, given when it connects; there is no way to add another.
        client._error_cb = _Before(self, client._error_cb, self._on_error)
        client._disconnected_cb = _Before(self, client._disconnected_cb, self._on_lost)
        client._reconnected_cb = _Before(self, client._reconnected_cb, self._on_back)

    def now(self) -> float:
        """Return the server's time, in seconds since 1970, as far as it was told."""
        return clock() + (self.offset or 0.0)

    def listen(self, back: Back, lost: Lost = lambda: None) -> Callable[[], None]:
        """Call *back* when the connection stands again, and *lost* when it is gone; the answer ends that."""
        both = back, lost
        self._listeners.append(both)
        return lambda: self._listeners.remove(both) if both in self._listeners else None

    async def up(self) -> None:
        """Return when the connection stands."""
        await self._up.wait()

    def check_open(self) -> None:
        """Raise DecisionNeeded where the connection is closed, since it stays so."""
        if self.client.is_closed:
            raise DecisionNeeded("the connection is closed for good: connect anew, and make a Registry of that client")

    def check_loop(self) -> None:
        """Raise WrongUse where the client lives in another event loop, and would never be heard in this one."""
        reading = self.client._reading_task
        if reading and reading.get_loop() is not asyncio.get_running_loop():
            raise WrongUse(
                "the client was connected in another event loop (an earlier asyncio.run, or another thread): "
                "connect in the one where the Registry is used"
            )

    @property
    def is_up(self) -> bool:
        """Whether the connection stands."""
        return self._up.is_set()

    async def ask(
        self, subject: str, payload: bytes, *, headers: dict[str, str] | None = None, timeout: float = REQUEST_SECONDS
    ) -> dict[str, Any]:
        """Return the answer to one request; NotReady where there is none in time, DecisionNeeded where it is forbidden."""
        self.check_open()
        try:
            async with asyncio.timeout(timeout):
                # nats-py would keep it and send it when the server is back, perhaps when nobody means it any more.
                await self.up()
                answer: dict[str, Any] = json.loads(await self._answer(subject, payload, headers, timeout))
        except (TimeoutError, nats.errors.TimeoutError):
            self.check_open()
            if self._no_inbox:
                raise NotAllowed(self._no_inbox) from None
            raise NotReady(f"no answer to {subject} within {timeout:g} s: try again later") from None
        except ValueError as error:
            raise NotReady(f"what answers {subject} is no JetStream: {error}") from error
        except nats.errors.MaxPayloadError as error:
            raise WrongValues(
                f"{len(payload)} bytes on {subject} are more than the {self.client.max_payload} that the server takes: "
                "keep less in it, such as where the rest is, or raise the server's max_payload"
            ) from error
        except nats.errors.NoRespondersError:
            raise NotReady(
                f"nobody answers {subject}: the bucket is not there or moves just now, or JetStream is off"
            ) from None
        except (nats.errors.Error, OSError) as error:
            self.check_open()
            raise NotReady(f"{subject} could not be sent: {error}") from error
        return answer

    async def _answer(self, subject: str, payload: bytes, headers: dict[str, str] | None, timeout: float) -> bytes:
        """Return what is answered, or raise as soon as the server says that it is forbidden to ask."""
        denied: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._denied.setdefault(subject.lower(), []).append(denied)
        request = asyncio.ensure_future(self.client.request(subject, payload, timeout=timeout, headers=headers))
        try:
            both: set[asyncio.Future[Any]] = {request, denied}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if denied.done():
                raise NotAllowed(denied.result() or f"publish on {subject}")
            return request.result().data
        finally:
            waiting = self._denied[subject.lower()]
            waiting.remove(denied)
            if not waiting:
                del self._denied[subject.lower()]
            # nats-py may lose a cancellation, and end in an error that asyncio prints when nobody looks at it.
            request.add_done_callback(lambda done: done.cancelled() or done.exception())
            request.cancel()

    async def bucket(self, name: str, *, timeout: float = REQUEST_SECONDS, profile: str = "serviceRegistry") -> Bucket:
        """Return a bucket as it is now, and learn the server's time by the way."""
        asked = clock()
        answer = await self.ask(f"$JS.API.STREAM.INFO.KV_{name}", b"", timeout=timeout)
        answered = clock()
        refusal = answer.get("error")
        if refusal and refusal.get("err_code") == STREAM_NOT_FOUND:
            raise NoBucket(name, profile)
        if refusal:
            raise refused(f"to tell about bucket {name}", refusal)
        if answer.get("ts"):
            told = seconds(answer["ts"])
            # It was told between question and answer. Rather late than early: nobody is let go before the time.
            before = told - answered if self.offset is None else self.offset
            self.offset = min(max(before, told - answered), told - asked)
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
        if refusal and refusal.get("err_code") in WRONG_LAST_REVISION:
            raise Conflict
        if refusal:
            raise refused(f"to write {key} to bucket {bucket.name}", refusal)
        return int(answer["seq"])

    async def last(self, bucket: Bucket, key: str, *, timeout: float = REQUEST_SECONDS) -> Stored | None:
        """Return the newest value of a key, by the replica that decides."""
        request = json.dumps({"last_by_subj": bucket.subject(key)}).encode()
        answer = await self.ask(f"$JS.API.STREAM.MSG.GET.{bucket.stream}", request, timeout=timeout)
        refusal = answer.get("error")
        if refusal and refusal.get("err_code") == NO_MESSAGE:
            return None
        if refusal:
            raise refused(f"to read {key} from bucket {bucket.name}", refusal)
        return stored_in(answer["message"])

    def _on_error(self, error: Exception) -> None:
        found = VIOLATION.search(str(error))
        if not found:
            return
        doing, subject = found[1].lower(), found[2].lower()
        if doing == "publish":
            self._deny(self._denied.get(subject, ()), "")
            self.may_pace = self.may_pace and not subject.startswith("$js.fc.")
        elif subject.startswith(self.client._inbox_prefix.decode().lower()):
            # Who may not hear answers hears none at all: it is the same with every question.
            self._no_inbox = f"subscribe to {self.client._inbox_prefix.decode()}.>"
            for waiting in tuple(self._denied.values()):
                self._deny(waiting, self._no_inbox)

    def _deny(self, waiting: Iterable[asyncio.Future[str]], what: str) -> None:
        for future in waiting:
            if not future.done():
                future.set_result(what)

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


async def answered(asking: Coroutine[Any, Any, T], within: float) -> T:
    """Await something that may have to be taken back, also where the caller is cancelled meanwhile.

    What was sent is stored some time: whoever looks before does not see what there is to take back.
    """
    task = asyncio.ensure_future(asking)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=within)
        task.cancel()
        raise


class _Before:
    """Calls ours and then theirs, which the application gave to its client."""

    def __init__(self, line: Line, theirs: Callable[..., Awaitable[None]] | None, ours: Callable[..., None]) -> None:
        self.line, self._theirs, self._ours = line, theirs, ours

    async def __call__(self, *given: Any) -> None:
        self._ours(*given)
        if self._theirs is not None:
            await self._theirs(*given)


def line_of(client: Client) -> Line:
    """Return the line of a connection: one, however many registries there are on it."""
    if not isinstance(client, Client):
        raise WrongUse(
            f"a Registry needs a connected client of nats-py, but was given {type(client).__name__}: "
            "client = await nats.connect(...), and then Registry(client)"
        )
    # One that reconnects is connecting for a moment, as one that never was; but a server has told it who it is.
    if not (client.is_connected or client.is_reconnecting or client.is_closed or client._server_info):
        raise WrongUse(
            "a Registry needs a connected client, but this one was never connected: "
            "client = await nats.connect(...), and then Registry(client)"
        )
    hook = client._reconnected_cb
    return hook.line if isinstance(hook, _Before) else Line(client)
