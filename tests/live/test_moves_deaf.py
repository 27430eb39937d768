"""Copies that get nothing more, and servers that do not answer, while a stream is kept from being written."""

from __future__ import annotations

import asyncio
import io

import nats.aio.client
import pytest

from contract import found
from moving import CARRIER, applied, bucket, contents, halted, names, put, where_markers_move
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import JetStream
from natsmith.errors import NotReady
from natsmith.log import Log

pytestmark = where_markers_move

BEFORE, AFTER = bucket(storage="memory"), bucket(storage="file")


@pytest.mark.parametrize(
    ("nth", "source", "copy", "made"), [(1, "KV_b", CARRIER + "KV_b", "copy"), (2, CARRIER + "KV_b", "KV_b", "return")]
)
async def test_a_copy_that_gets_nothing_more_is_made_anew(
    server: JetStream,
    connection: Connection,
    nats_connection: nats.aio.client.Client,
    nth: int,
    source: str,
    copy: str,
    made: str,
) -> None:
    """Here since it is full; a server of several can come to the same by itself."""
    await applied(server, BEFORE)
    for number in range(30):
        await put(nats_connection, f"$KV.b.{number}", str(number).encode())
    async with halted(connection, AFTER, "park", nth) as go_on:
        info = await found(server, copy)
        await server.update_stream(info.config | {"max_bytes": info.bytes, "discard": "new"})
        await put(nats_connection, "$KV.b.0", b"later")
        entries = await contents(nats_connection, source)

        log = await go_on()

    assert 2 == log.count(f"step={made} "), log
    assert log.count("step=unpark ") >= 4
    assert entries == await contents(nats_connection, "KV_b")
    assert "file" == (await found(server, "KV_b")).config["storage"]
    assert ["KV_b"] == await names(server)


@pytest.mark.parametrize("says", [None, NotReady("the server does not answer")], ids=["never answers", "gives up"])
@pytest.mark.parametrize("copy", [CARRIER + "KV_b", "KV_b"])
async def test_writers_do_not_wait_for_a_copy_that_does_not_answer(
    server: JetStream,
    nats_connection: nats.aio.client.Client,
    monkeypatch: pytest.MonkeyPatch,
    copy: str,
    says: NotReady | None,
) -> None:
    """They are let in again, and the next switch comes when it answers."""
    await applied(server, BEFORE)
    await put(nats_connection, "$KV.b.k")
    asked: list[str] = []
    purge = server.purge_stream

    async def purged(name: str, *, subject: str = "", before: int = 0) -> int:
        if name != copy or asked:
            return await purge(name, subject=subject, before=before)
        asked.append(name)
        if says:
            raise says
        await asyncio.Event().wait()
        return 0

    monkeypatch.setattr(server, "purge_stream", purged)
    log = io.StringIO()

    await applied(server, AFTER, log=Log(stream=log))

    steps = [line.split("step=")[1].split()[0] for line in log.getvalue().splitlines() if "step=" in line]
    assert asked
    assert ["park", "unpark", "park", "promote"] in [steps[at : at + 4] for at in range(len(steps))], steps
    assert ["KV_b"] == await names(server)
