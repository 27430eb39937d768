"""Direct reads of what moves are answered all the time, each with the newest value that was written before it was asked."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import nats
import nats.aio.client
import nats.errors
import pytest

from contract import stream as plain_stream
from moving import applied, bucket, contents, put, stream, where_moves_are_possible
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import JetStream

pytestmark = where_moves_are_possible

KEYS = 20


@dataclass
class Traffic:
    """A writer and readers of one stream, and everything that they saw go wrong."""

    client: nats.aio.client.Client
    prefix: str
    name: str
    newest: dict[str, int] = field(default_factory=dict)
    """The sequence of the last acknowledged write under each key."""

    over: bool = False
    reads: int = 0
    writes: int = 0
    wrong: list[str] = field(default_factory=list)

    async def write(self) -> None:
        """Write one key after the other; who finds nobody tries again."""
        number = 0
        while not self.over:
            key = str(number % KEYS)
            try:
                answer = await put(self.client, f"{self.prefix}.{key}", str(number).encode())
            except nats.errors.NoRespondersError:
                continue
            if answer["seq"] <= max(self.newest.values(), default=0):
                self.wrong.append(f"revision {answer['seq']} was given twice")
            self.newest[key] = answer["seq"]
            number += 1
            self.writes += 1

    async def read(self, key: str) -> None:
        """Get one key again and again, as a bound client does."""
        while not self.over:
            known = self.newest[key]
            subject = f"$JS.API.DIRECT.GET.{self.name}.{self.prefix}.{key}"
            try:
                answer = await self.client.request(subject, b"", timeout=2)
            except nats.errors.Error as error:
                self.wrong.append(f"{key}: {error!r}")
                continue
            headers = answer.headers or {}
            if int(headers.get("Nats-Sequence", 0)) < known:
                self.wrong.append(f"{key}: {headers} although {known} is there")
            self.reads += 1


async def seen(server: JetStream, connection: Connection, traffic: Traffic, after: object) -> None:
    """Apply *after* while there is traffic."""
    assert isinstance(after, dict)
    for key in range(KEYS):
        traffic.newest[str(key)] = (await put(traffic.client, f"{traffic.prefix}.{key}"))["seq"]
    at_work = [traffic.write(), *(traffic.read(str(key)) for key in range(4))]
    tasks = [asyncio.create_task(each) for each in at_work]
    try:
        await applied(server, after)
    finally:
        traffic.over = True
        await asyncio.gather(*tasks)


@pytest.mark.parametrize("before", ["memory", "file"])
async def test_a_bucket_is_read_all_the_time_and_every_write_is_kept(
    server: JetStream, connection: Connection, nats_connection: nats.aio.client.Client, before: str
) -> None:
    """No read fails, finds nothing or is stale; no revision comes twice; what was acknowledged is there."""
    await applied(server, bucket(storage=before))
    traffic = Traffic(nats_connection, "$KV.b", "KV_b")

    await seen(server, connection, traffic, bucket(storage="file" if before == "memory" else "memory"))

    assert [] == traffic.wrong
    assert traffic.reads > 50
    assert traffic.writes > 20
    assert traffic.newest == {
        each.subject.rpartition(".")[2]: each.sequence for each in await contents(nats_connection, "KV_b")
    }


async def test_a_stream_with_direct_gets_is_read_all_the_time(
    server: JetStream, connection: Connection, nats_connection: nats.aio.client.Client
) -> None:
    await applied(server, stream(storage="memory", allowDirect=True))
    traffic = Traffic(nats_connection, "S", "S")

    await seen(server, connection, traffic, stream(storage="file", allowDirect=True))

    assert [] == traffic.wrong
    assert traffic.writes + KEYS == len(await contents(nats_connection, "S"))


async def test_a_relay_has_another_stream_answer_what_its_own_cannot(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    """By subject and by sequence; what was held is answered when it is known who can."""
    await server.create_stream(plain_stream("S"))
    await server.create_stream(plain_stream("T", allow_direct=True))
    await put(nats_connection, "T.a", b"answer")

    async def got(what: str, body: bytes = b"") -> bytes:
        return bytes((await nats_connection.request(f"$JS.API.DIRECT.GET.S{what}", body, timeout=5)).data)

    async with server.relay("S", through="T") as relay:
        relay.hold()
        held = asyncio.create_task(got(".T.a"))
        await nats_connection.flush()
        await relay.to("T")
        assert b"answer" == await held
        assert b"answer" == await got("", b'{"seq": 1}')
        assert 2 == relay.passed
        relay.rest()
        with pytest.raises(nats.errors.Error):
            await nats_connection.request("$JS.API.DIRECT.GET.S.T.a", b"", timeout=0.3)
