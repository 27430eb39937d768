"""Two places to bring streams between: one server, and three; and one stream of every kind to bring."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import nats.aio.client
from nats.js.errors import NoStreamResponseError

from chaos.servers import Site, accounts, binary, three
from embedded import nats_server
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import connect
from natsmith.log import Log
from waiting import eventually

SECOND = 10**9


@dataclass
class Pair:
    """One server and three, which know the same accounts."""

    one: Site
    many: Site
    users: Iterator[int] = field(default_factory=lambda: itertools.count(5))

    async def fresh(self) -> tuple[Connection, Connection]:
        """Return an account that nobody has used, on the one server and on the three."""
        await self.many.ready()
        user = f"A{next(self.users):03}"
        there, here = (next(iter(site.servers.values())).url for site in (self.one, self.many))
        return tuple(Connection(server=url, user=user, password="pw") for url in (there, here))  # type: ignore[return-value]


@contextmanager
def pair(before: str, after: str) -> Iterator[Pair]:
    """Run a server of one version, and three of another."""
    with nats_server(binary(before), {"accounts": accounts()}) as server, three(after) as many:
        yield Pair(Site({"n1": server}, itertools.count()), many)


class Hand:
    """An application's hand in an account, which may do everything."""

    def __init__(self, client: nats.aio.client.Client) -> None:
        self.client = client
        self.js = client.jetstream()

    async def api(self, verb: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ask, and be answered without an error."""
        answer = await self.client.request(f"$JS.API.{verb}", json.dumps(body).encode() if body else b"", timeout=10)
        result: dict[str, Any] = json.loads(answer.data)
        assert "error" not in result, (verb, result)
        return result

    async def stream(self, name: str, **config: Any) -> None:
        """Create a stream."""
        await self.api(f"STREAM.CREATE.{name}", {"name": name, "storage": "file", **config})

    async def consumer(self, stream: str, name: str, **config: Any) -> None:
        """Create a durable consumer."""
        given = {"durable_name": name, "name": name, "ack_policy": "explicit", **config}
        await self.api(f"CONSUMER.CREATE.{stream}.{name}", {"stream_name": stream, "config": given})

    async def write(self, subject: str, count: int, data: bytes = b"x", **headers: str) -> None:
        """Publish so many messages, all of them stored."""
        given = {name.replace("_", "-"): value for name, value in headers.items()} or None

        async def begun() -> bool:
            # Servers of a cluster hear of a new stream one after the other.
            with suppress(NoStreamResponseError):
                return bool(await self.js.publish(subject, data + b"0", headers=given))
            return False

        await eventually(begun, within=5)
        for begin in range(1, count, 200):
            numbers = range(begin, min(begin + 200, count))
            await asyncio.gather(*(self.js.publish(subject, data + b"%d" % each, headers=given) for each in numbers))

    async def messages(self, stream: str) -> list[dict[str, Any]]:
        """Return every message as the server stores it: sequence, subject, time, headers and data."""
        state = (await self.api(f"STREAM.INFO.{stream}"))["state"]
        found = []
        for sequence in range(state["first_seq"], state["last_seq"] + 1):
            answer = await self.client.request(
                f"$JS.API.STREAM.MSG.GET.{stream}", json.dumps({"seq": sequence}).encode(), timeout=10
            )
            told = json.loads(answer.data)
            if "message" in told:
                found.append(told["message"])
        return found


async def names(hand: Hand) -> list[str]:
    """Return the streams of an account, but natsmith's own."""
    found = (await hand.api("STREAM.LIST")).get("streams") or []
    return sorted(each["config"]["name"] for each in found if each["config"]["name"] != "KV_natsmith_state")


async def furnish(one: Hand) -> None:
    """Make a stream of every kind, with consumers that are somewhere in the middle."""
    bucket = {"allow_rollup_hdrs": True, "deny_delete": True, "allow_direct": True, "discard": "new"}
    await one.stream(
        "KV_b", subjects=["$KV.b.>"], max_msgs_per_subject=5, max_age=3600 * SECOND, allow_msg_ttl=True, **bucket
    )
    for key in range(10):
        await one.write(f"$KV.b.k{key}", 8, b"v")
    await one.write("$KV.b.short", 1, Nats_TTL="30s")
    await one.write("$KV.b.long", 1, Nats_TTL="600s", Other="header")
    await one.stream("WQ", subjects=["wq.>"], retention="workqueue")
    await one.consumer("WQ", "w", ack_wait=600 * SECOND, max_deliver=5)
    await one.write("wq.a", 40)
    pulled = await one.js.pull_subscribe_bind("w", stream="WQ")
    got = await pulled.fetch(20)
    for each in got[:12]:
        await each.ack()
    for each in got[12:15]:
        await each.nak()
    await pulled.fetch(3)
    await one.stream("INT", subjects=["int.>"], retention="interest")
    await one.consumer("INT", "pulls")
    await one.consumer("INT", "pushed", deliver_subject="pushed.here")
    await one.write("int.a", 30)
    pulled = await one.js.pull_subscribe_bind("pulls", stream="INT")
    for each in await pulled.fetch(10):
        await each.ack()
    await one.stream("LOG", subjects=["log.>"], compression="s2", num_replicas=1, description="with gaps")
    await one.consumer("LOG", "reads", ack_policy="none", filter_subject="log.b")
    await one.write("log.a", 200, b"y" * 500)
    await one.write("log.b", 100, b"z" * 500)
    for sequence in (*range(10, 150, 3), 300):
        await one.api("STREAM.MSG.DELETE.LOG", {"seq": sequence, "no_erase": True})
    await one.stream("MIR", mirror={"name": "LOG"})
    await one.stream("SEALED", subjects=["sealed.>"])
    await one.write("sealed.a", 5)
    info = await one.api("STREAM.INFO.SEALED")
    await one.api("STREAM.UPDATE.SEALED", info["config"] | {"sealed": True})
    await one.stream("EMPTY", subjects=["empty.>"])
    await one.consumer("EMPTY", "waits")
    await one.stream("PURGED", subjects=["purged.>"])
    await one.write("purged.a", 7)
    await one.api("STREAM.PURGE.PURGED", {})
    store = await one.js.create_object_store("o")
    await store.put("big", bytes(range(256)) * 4000)

    async def copied() -> bool:
        return bool((await one.api("STREAM.INFO.MIR"))["state"]["last_seq"] >= 299)

    await eventually(copied, within=15)


async def positions(connection: Connection, stream: str) -> dict[str, tuple[int, ...]]:
    """Return where each consumer is."""
    async with await connect(connection, timeout=10, log=Log()) as server:
        return {
            each.name: (
                each.delivered,
                each.ack_floor,
                each.handed_out,
                each.pending,
                each.ack_pending,
                each.redelivered,
            )
            for each in await server.consumers(stream)
        }
