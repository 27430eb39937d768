"""A server of a cluster may be asked for what only another one knows yet: who takes the pieces of a stream."""

from __future__ import annotations

import os

import pytest

from natsmith.adapters.jetstream import JetStream, connect
from natsmith.adapters.link import Link
from natsmith.adapters.sources import FromServer
from natsmith.adapters.transfer import bring_stream
from natsmith.errors import Unheard
from natsmith.log import Log
from versions import Hands, Servers

PIECES = "$JS.SNAPSHOT.RESTORE."


@pytest.fixture
def unheard(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Have nobody hear a piece when it is sent first; return those that nobody heard."""
    lost: list[bytes] = []
    exchange = Link.exchange

    async def exchanged(link: Link, subject: str, payload: bytes, *rest: object, within: float = 0) -> object:
        if subject.startswith(PIECES) and payload not in lost:
            lost.append(payload)
            raise Unheard(f"nobody answers {subject}")
        return await exchange(link, subject, payload, *rest, within=within)  # type: ignore[arg-type]  # headers, if any

    monkeypatch.setattr(Link, "exchange", exchanged)
    return lost


async def test_a_piece_that_nobody_hears_yet_is_sent_again(
    servers: Servers, release: str, server: JetStream, hands: Hands, unheard: list[bytes]
) -> None:
    """None of them is lost, and none stored twice."""
    there = servers.fresh(release)
    hand = await hands(there)
    await hand.stream("S", subjects=["s"])
    for _ in range(20):
        await hand.write("s", 1, os.urandom(100_000))
    async with await connect(there, timeout=10, log=Log()) as origin:
        source = FromServer(origin)
        [info] = [each for each in await source.streams() if each.config["name"] == "S"]
        sent: list[int] = []
        came = await bring_stream(source, server, info, sent.append, alone=True)

    assert 3 <= len(unheard), "some pieces, and the end"
    assert came.bytes == sent[-1] == sum(map(len, unheard))
    assert (20, 20) == (came.stored.messages, came.stored.last_sequence)
    assert info.bytes == came.stored.bytes
