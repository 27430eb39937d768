"""Storing messages in what was made just now."""

from __future__ import annotations

import asyncio

import pytest

from contract import stream
from natsmith.adapters.jetstream import JetStream
from natsmith.errors import NotReady


async def test_a_message_waits_for_a_stream_that_is_made_just_now(server: JetStream) -> None:
    """In a cluster a server may hear of it only after another one made it."""
    published = asyncio.create_task(server.publish("S.a", b"early"))
    with pytest.raises(NotReady, match=r"nobody answers S\.a"):
        await server.publish("S.a", b"at once", patient=False)

    await server.create_stream(stream("S", subjects=["S.>"]))

    assert 1 == await published
