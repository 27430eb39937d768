"""Questions to the server's JSON API and their answers: what every request of ``jetstream`` shares."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Self, TypeVar

from natsmith.adapters import answers
from natsmith.adapters.link import Link
from natsmith.adapters.server import STREAM_NOT_FOUND, Refused
from natsmith.clock import clock
from natsmith.errors import NotReady, Unheard, WrongValues

PASSING = {10008, 10009, 10076}
"""What the server says while there is no leader yet, while another server leads, and before JetStream runs."""

PAGES_AT_ONCE = 8
"""A page of 256 streams is some 300 kB, and a client drops answers that pile up."""

UNHEARD_SECONDS = 2
"""How long the other servers of a cluster may need to hear that a stream was made, restored, or took another subject."""

ASK_AGAIN_SECONDS = 0.05
"""Nobody announces that they have heard it."""

RESTART_SECONDS = 30
"""How long a server of a cluster may take to come back when it is restarted; what only it has is in no listing meanwhile."""

LIST_AGAIN_SECONDS = 0.5

Entry = TypeVar("Entry")


async def heard(ask: Callable[[], Awaitable[Entry]]) -> Entry:
    """Return the answer; what nobody hears is asked again for as long as servers may not know yet who does."""
    until = clock() + UNHEARD_SECONDS
    while True:
        try:
            return await ask()
        except Unheard:
            if clock() >= until:
                raise
        await asyncio.sleep(ASK_AGAIN_SECONDS)


class Api:
    """The JSON API of one account, over one connection."""

    def __init__(self, link: Link) -> None:
        self.link = self._link = link
        """The connection itself, for the registry's verbs."""

        self.passing = PASSING
        """The refusals that pass by themselves."""

    async def close(self) -> None:
        """End the connection; requests that still wait fail."""
        await self._link.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def timeout(self) -> float:
        """Seconds that one request may take."""
        return self._link.timeout

    @timeout.setter
    def timeout(self, seconds: float) -> None:
        self._link.timeout = seconds

    async def ask(self, call: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer of JetStream's API, or raise as every method does."""
        payload = b"" if body is None else json.dumps(body).encode()
        return await self._answer(call, f"$JS.API.{call}", payload)

    async def _answer(
        self, call: str, subject: str, payload: bytes, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        most = self._link.greeting.get("max_payload", 0)
        size = len(payload) + sum(len(name) + len(value) + 16 for name, value in (headers or {}).items())
        if 0 < most < size:
            # Sent all the same, it would end the connection.
            raise WrongValues(
                f"the request {call} is {size} bytes, but the server takes {most}: shorten what it has to hold, "
                "such as metadata and descriptions, or raise max_payload on the server"
            )
        answer: dict[str, Any] = json.loads(await self._link.send(subject, payload, headers))
        refused = answers.refusal(call, answer)
        if refused is None:
            return answer
        if refused.code in self.passing:
            raise NotReady(
                f"{self._link.where} cannot answer {call} now: {refused}{self._link.quorum}. Run the same command again"
            ) from refused
        raise refused

    async def _find(
        self, call: str, body: Mapping[str, Any] | None = None, *, absent: tuple[int, ...] = (STREAM_NOT_FOUND,)
    ) -> dict[str, Any] | None:
        """Return the answer, or None where what it is about is not there."""
        try:
            return await self.ask(call, body)
        except Refused as refused:
            if refused.code in absent:
                return None
            raise

    async def _listing(self, call: str, key: str, convert: Callable[[answers.Answer], Entry]) -> list[Entry]:
        """Return all entries of a listing: the first page tells how many there are, the others follow, a few at once."""
        gate, until = asyncio.Semaphore(PAGES_AT_ONCE), clock() + RESTART_SECONDS

        async def page(offset: int) -> tuple[list[Entry], int]:
            async with gate:
                answer = await self._page(call, offset, until)
            return ([convert(each) for each in answer[key] or []], answer["total"]) if answer else ([], 0)

        first, total = await page(0)
        offsets = range(len(first), total, len(first)) if first else range(0)
        rest = await asyncio.gather(*(page(offset) for offset in offsets))
        return [*first, *itertools.chain.from_iterable(entries for entries, _ in rest)]

    async def _page(self, call: str, offset: int, until: float) -> dict[str, Any] | None:
        """Return a page of a listing when a cluster can tell all of it."""
        while True:
            try:
                answer = await self._find(call, {"offset": offset})
            except NotReady as error:
                # A cluster that has no leader yet says so; who says nothing at all has been waited for.
                if not isinstance(error.__cause__, Refused) or clock() >= until:
                    raise
            else:
                missing = (answer or {}).get("missing")
                if not missing:
                    return answer
                # Only a cluster says so. Taken for absent, they would be planned as new.
                if clock() >= until:
                    names = ", ".join(missing)
                    raise NotReady(
                        f"{self._link.where} cannot reach {names} for {RESTART_SECONDS} s: "
                        "a server of the cluster may be down, or more than half of them full"
                    )
            await asyncio.sleep(LIST_AGAIN_SECONDS)

    async def _stored(self, subject: str, payload: bytes, headers: dict[str, str] | None, *, patient: bool) -> int:
        """Return the sequence that a message got; who is *patient* waits for servers that do not know its stream yet."""
        ask = partial(self._answer, f"publish on {subject}", subject, payload, headers)
        return int((await (heard(ask) if patient else ask()))["seq"])
