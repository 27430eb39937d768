"""The connection to a server: requests go out, answers come back.

nats-py's exceptions, its callbacks and its habit of printing end here.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import nats.aio.client
import nats.aio.msg
import nats.aio.subscription
import nats.errors

from natsmith.adapters.closing import closed, ended
from natsmith.adapters.connecting import Waiting, check_files, quieten_tls, ssl_context, user_of
from natsmith.adapters.connections import Connection
from natsmith.adapters.grants import grant
from natsmith.errors import DecisionNeeded, NatsmithError, NotReady, Unheard, WrongValues

REQUEST_SECONDS = 5.0
RETRY_SECONDS = 0.25
"""Between two attempts to connect."""

ATTEMPT_SECONDS = 2
NO_RESPONDERS = "503"
QUORUM = "More than half of the cluster's servers must run"
ENDED = (ConnectionResetError, BrokenPipeError, nats.errors.UnexpectedEOF)
"""What a refused password also looks like, when the end of the connection overtakes the reason."""

Heard: TypeAlias = nats.aio.msg.Msg
"""A message that was listened for."""

Hearer: TypeAlias = Callable[[Heard], Awaitable[None]]


class Link:
    """One connection, and the requests that wait for their answers on it."""

    def __init__(self, connection: Connection, waiting: Waiting) -> None:
        self.timeout = REQUEST_SECONDS
        """Seconds that one request may take."""

        self.where = connection.shown
        self.who = user_of(connection)
        self._connection = connection
        self._waiting = waiting
        self._client = nats.aio.client.Client()
        self._connecting: asyncio.Task[None] | None = None
        self._up = asyncio.Event()
        self._inbox = ""
        self._tokens = itertools.count()
        # A future gets its error as a result, never as an exception: one that nobody awaits any more must not end as
        # asyncio's "exception was never retrieved".
        self._pending: dict[str, tuple[str, asyncio.Future[nats.aio.msg.Msg | NatsmithError]]] = {}
        self._broken: NatsmithError | None = None
        self._heard: dict[str, str | DecisionNeeded] = {}
        """What is listened to, by its lower case, or why that is not allowed."""

        self.losses = 0
        """How often the connection was lost, and with it what was on its way."""

        self._unsaid = ""
        """Where the server did not let us publish the last time, in lower case."""

    @property
    def greeting(self) -> dict[str, Any]:
        """What the server told when it was connected to."""
        # nats-py shows the version in a type of its own and the cluster not at all.
        greeting: dict[str, Any] = self._client._server_info
        return greeting

    @property
    def clustered(self) -> bool:
        """Whether the server is one of several."""
        return bool(self.greeting.get("cluster"))

    @property
    def client(self) -> nats.aio.client.Client:
        """What the registry, a library for applications, is given by them: a client of nats-py."""
        return self._client

    async def open(self) -> None:
        """Connect, for as long as it takes: whoever calls sets the limit."""
        options = self._options()
        self._connecting = asyncio.create_task(self._client.connect(**options))
        # asyncio.wait() always lets a cancellation through, which nats-py does not: see ended().
        await asyncio.wait({self._connecting})
        self._connecting.result()
        if self._client.is_connected:
            self._up.set()
        else:
            # A server that ends the connection instead of answering is a success to nats-py, which then reconnects.
            await self._up.wait()
        asked_tls = "tls" in options or self._connection.server.startswith("tls://")
        if self.greeting.get("tls_required"):
            quieten_tls()
        elif asked_tls:
            raise DecisionNeeded(
                f"{self.where} does not speak TLS, but the connection asks for it: turn it on there, or leave it out here"
            )
        # One inbox for all answers.
        self._inbox = self._client.new_inbox() + "."
        await self._client.subscribe(self._inbox + "*", cb=self._answered)

    async def close(self) -> None:
        """End the connection; requests that still wait fail."""
        if self._connecting:
            await ended(self._connecting)
            await closed(self._client)

    async def send(self, subject: str, payload: bytes, headers: dict[str, str] | None = None) -> bytes:
        """Return what the answer to one request holds."""
        return (await self.exchange(subject, payload, headers))[0]

    async def exchange(
        self, subject: str, payload: bytes, headers: dict[str, str] | None = None, *, within: float = 0
    ) -> tuple[bytes, dict[str, str]]:
        """Return the answer to one request, *within* so many seconds, and its headers; many may be under way at once."""
        seconds = within or self.timeout
        token = f"{self._inbox}{next(self._tokens)}"
        future: asyncio.Future[nats.aio.msg.Msg | NatsmithError] = asyncio.get_running_loop().create_future()
        self._pending[token] = (subject, future)
        try:
            async with asyncio.timeout(seconds):
                await self._up.wait()
                if self._broken:
                    raise self._broken
                await self._client.publish(subject, payload, reply=token, headers=headers)
                answer = await future
        except TimeoutError:
            raise NotReady(
                f"{self.where} did not answer {subject} within {seconds:g} s{self.quorum}: run the same command again"
            ) from None
        except nats.errors.Error as error:
            raise NotReady(f"{subject} could not be sent to {self.where}: {error}") from error
        finally:
            del self._pending[token]
        if isinstance(answer, NatsmithError):
            raise answer
        if answer.headers and answer.headers.get("Status") == NO_RESPONDERS:
            raise Unheard(
                f"nobody answers {subject} at {self.where}{self.quorum}: run the same command when somebody does"
            )
        return bytes(answer.data), answer.headers or {}

    @property
    def quorum(self) -> str:
        """What silence may mean: without a quorum a cluster's JetStream mostly does not refuse, but says nothing."""
        return f" (no quorum? {QUORUM})" if self.clustered else ""

    async def listen(self, subject: str, heard: Hearer) -> Callable[[], Awaitable[None]]:
        """Have *heard* called with every message on *subject*; the answer ends that."""
        self._heard[subject.lower()] = subject
        subscription = await self._client.subscribe(subject, cb=heard)
        try:
            await self.settled()
        except BaseException:
            await self._end_listening(subject, subscription)
            raise
        refused = self._heard[subject.lower()]
        if isinstance(refused, DecisionNeeded):
            await self._end_listening(subject, subscription)
            raise refused
        return lambda: self._end_listening(subject, subscription)

    async def _end_listening(self, subject: str, subscription: nats.aio.subscription.Subscription) -> None:
        self._heard.pop(subject.lower(), None)
        with contextlib.suppress(nats.errors.Error, OSError):  # of a connection that is gone already
            await subscription.unsubscribe()

    async def settled(self) -> None:
        """Return when the server has everything that was sent; nats-py's own flush overtakes what is still buffered."""
        await self.exchange("$JS.API.INFO", b"")

    async def say(
        self, subject: str, payload: bytes, *, reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """Send something for others; who waits for what cannot be sent asks again."""
        with contextlib.suppress(nats.errors.Error, OSError):
            await self._client.publish(subject, payload, reply=reply, headers=headers)

    def allowed(self, subject: str) -> None:
        """Raise DecisionNeeded if what was said on *subject* was not allowed."""
        if subject and subject.lower() == self._unsaid:
            raise self._forbidden(subject)

    def _options(self) -> dict[str, Any]:
        connection = self._connection
        check_files(connection)
        servers = [each.strip() for each in connection.server.split(",") if each.strip()]
        try:
            for each in servers:
                nats.aio.client.Client._parse_server_uri(each)
        except nats.errors.Error as error:
            # An address that cannot be read may have a password anywhere.
            address = "" if "@" in connection.server else f" {self.where}"
            raise WrongValues(f"the server's address{address} cannot be read: write nats://host:4222") from error
        options: dict[str, Any] = {
            "servers": servers,
            "name": "natsmith",
            "user": connection.user or None,
            "password": connection.password if connection.user else None,
            "token": connection.token or None,
            "user_credentials": connection.creds or None,
            "nkeys_seed": connection.nkey or None,
            "inbox_prefix": connection.inbox_prefix.rstrip(".") or "_INBOX",
            "tls_hostname": connection.tls_name or None,
            "connect_timeout": ATTEMPT_SECONDS,
            "reconnect_time_wait": RETRY_SECONDS,
            "max_reconnect_attempts": -1,
            # Nothing is kept for later: a request that was given up must not reach the server after a reconnect.
            "pending_size": 0,
            # What is passed on under the subject that is listened to must not come back.
            "no_echo": True,
            "error_cb": self._on_error,
            "disconnected_cb": self._on_disconnected,
            "reconnected_cb": self._on_reconnected,
            "closed_cb": self._on_closed,
        }
        context = ssl_context(connection)
        return options if context is None else options | {"tls": context}

    async def _answered(self, msg: nats.aio.msg.Msg) -> None:
        waiting = self._pending.get(msg.subject)
        if waiting and not waiting[1].done():
            waiting[1].set_result(msg)

    async def _on_error(self, error: Exception) -> None:
        text = str(error)
        if "permissions violation" in text:
            self._denied(text)
        elif not self._up.is_set():
            self._waiting.because(error, vague=isinstance(error, ENDED))

    async def _on_disconnected(self) -> None:
        self.losses += 1
        self._up.clear()
        lost = NotReady(f"the connection to {self.where} was lost before it answered: run the same command again")
        self._fail(lambda subject: lost)

    async def _on_reconnected(self) -> None:
        self._up.set()

    async def _on_closed(self) -> None:
        reason = self._client.last_error
        self._broken = NotReady(f"the connection to {self.where} ended{f': {reason}' if reason else ''}")
        self._up.set()

    def _denied(self, violation: str) -> None:
        """Fail the requests that the server's asynchronous *violation* is about; it names a subject in lower case."""
        denied = violation.split('"')[1] if '"' in violation else ""
        inbox = self._inbox + "*"
        if "for subscription" in violation and denied == inbox.lower():
            broken = self._broken = DecisionNeeded(
                f"{self.who} may not receive answers on {inbox} at {self.where}: "
                "grant subscribe there, or set the inbox prefix that the user may subscribe to"
            )
            self._fail(lambda subject: broken)
        elif "for subscription" in violation and denied in self._heard:
            self._heard[denied] = DecisionNeeded(
                f"{self.who} may not subscribe to {self._heard[denied]} at {self.where}: grant that user subscribe there"
            )
        elif "for publish" in violation:
            self._unsaid = denied
            self._fail(lambda subject: self._forbidden(subject) if subject.lower() == denied else None)

    def _forbidden(self, subject: str) -> DecisionNeeded:
        return DecisionNeeded(
            f"{self.who} may not publish on {subject} at {self.where}: grant that user publish on {grant(subject)}"
        )

    def _fail(self, why: Callable[[str], NatsmithError | None]) -> None:
        for subject, future in self._pending.values():
            error = why(subject)
            if error and not future.done():
                future.set_result(error)


@contextlib.asynccontextmanager
async def opened(link: Link, waiting: Waiting, *, timeout: float) -> AsyncIterator[None]:
    """Open *link* and run a block, both within *timeout* seconds; whatever goes wrong there closes it again."""
    try:
        async with asyncio.timeout(timeout):
            await link.open()
            yield
    except TimeoutError:
        await link.close()
        raise waiting.given_up(timeout) from waiting.error
    except BaseException:
        await link.close()
        raise
