"""Questions to the server's API: what is sent, and which refusals pass by themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import pytest

from natsmith.adapters.api import PASSING
from natsmith.adapters.jetstream import NO_JETSTREAM, JetStream
from natsmith.adapters.link import Link
from natsmith.adapters.server import Refused
from natsmith.errors import NotReady, WrongValues


class Answering:
    """A connection that gives one answer to everything."""

    where = "memory"
    quorum = ""
    greeting: Mapping[str, Any] = {"max_payload": 1000}

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.answer = answer
        self.sent = 0

    async def send(self, subject: str, payload: bytes, headers: Mapping[str, str] | None = None) -> bytes:
        """Return the answer."""
        self.sent += 1
        return json.dumps(self.answer).encode()


def jetstream(link: Answering) -> JetStream:
    """Return the account at the end of *link*."""
    return JetStream(cast(Link, link))


@pytest.mark.parametrize("code", sorted({*PASSING, NO_JETSTREAM}))
async def test_a_server_whose_jetstream_is_gone_for_a_moment_is_asked_again_later(code: int) -> None:
    """Once it has answered; before that, connect() judges what it means."""
    server = jetstream(Answering({"error": {"err_code": code, "description": "not now"}}))
    server.passing = PASSING | {NO_JETSTREAM}  # as connect() leaves it

    with pytest.raises(NotReady, match="Run the same command again"):
        await server.streams()
    with pytest.raises(NotReady, match="Run the same command again"):
        await server.publish("x", b"")


async def test_before_it_has_answered_an_account_without_jetstream_is_refused() -> None:
    with pytest.raises(Refused):
        await jetstream(Answering({"error": {"err_code": NO_JETSTREAM, "description": "not enabled"}})).account()


async def test_what_a_server_would_not_take_is_not_sent() -> None:
    link = Answering({"seq": 1})

    with pytest.raises(WrongValues, match=r"publish on x is 1001 bytes, but the server takes 1000: shorten"):
        await jetstream(link).publish("x", b"x" * 1001)
    with pytest.raises(WrongValues):
        await jetstream(link).publish("x", b"x" * 990, ttl=15)
    assert link.sent == 0
    assert await jetstream(link).publish("x", b"x" * 1000) == 1
