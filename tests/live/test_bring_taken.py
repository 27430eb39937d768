"""A name that a cluster keeps for a stream that no server has: what an ended run left goes, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import nats.errors
import pytest
from nats.js.errors import NoStreamResponseError

from bringing import Hand, Pair, furnish, names, pair
from cli import Natsmith
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import connect
from natsmith.adapters.sources import FromServer
from natsmith.adapters.transfer import arriving
from natsmith.log import Log
from versions import VERSIONS, Hands
from waiting import eventually

TAKEN, NOT_FOUND = 10130, 10059
KINDS = ("KV_b", "MIR")
"""Each takes the six seconds after which nobody is at it any more."""


@pytest.fixture(scope="module", params=VERSIONS)
def both(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """One server and three."""
    with pair(request.param, request.param) as found:
        yield found


async def _refused(hand: Hand, verb: str, body: dict[str, Any], code: int) -> bool:
    """Tell whether the cluster refuses so; it says nothing at all now and then."""
    with contextlib.suppress(nats.errors.TimeoutError):
        answer = await hand.client.request(f"$JS.API.{verb}", json.dumps(body).encode(), timeout=2)
        return bool(json.loads(answer.data).get("error", {}).get("err_code") == code)
    return False


async def _left(hand: Hand, config: dict[str, Any], state: dict[str, Any]) -> None:
    """Have the cluster keep a name for a stream that no server has, as a run leaves it that is ended at once."""
    name = str(config["name"])
    body = {"config": config, "state": state}
    await hand.client.publish(
        f"$JS.API.STREAM.RESTORE.{name}", json.dumps(body).encode(), reply=hand.client.new_inbox()
    )
    await eventually(partial(_refused, hand, f"STREAM.RESTORE.{name}", body, TAKEN), within=20)
    await eventually(partial(_refused, hand, f"STREAM.INFO.{name}", {}, NOT_FOUND), within=20)


async def test_what_an_ended_run_left_is_removed(both: Pair, tmp_path: Path, hands: Hands) -> None:
    there, here = await both.fresh()
    one, many = await hands(there), await hands(here)
    await furnish(one)
    async with await connect(there, timeout=10, log=Log()) as server:
        source = FromServer(server)
        left = {each.config["name"]: arriving(each, source.mark(each)) for each in await source.streams()}
    await asyncio.gather(*(_left(many, left[name], {"first_seq": 1}) for name in KINDS))

    ran = await Natsmith(tmp_path, here)("bring", "--from", there.server)
    assert 0 == ran.code, ran.text
    assert await names(one) == await names(many)
    for name in KINDS:
        assert await one.messages(name) == await many.messages(name), name


async def test_what_somebody_else_restores_is_left_alone(both: Pair, tmp_path: Path, hands: Hands) -> None:
    """Until all of it is there no server has it, which looks as what an ended run left."""
    there, here = await both.fresh()
    one, many = await hands(there), await hands(here)
    await one.stream("S", subjects=["s"])
    for _ in range(80):
        await one.write("s", 1, os.urandom(50_000))
    async with (
        await connect(there, timeout=10, log=Log()) as server,
        FromServer(server).sending("S", 32 * 1024) as sent,
    ):
        pieces = [each async for each in sent.pieces]
    what = {"config": sent.about["config"], "state": sent.about["state"]}
    theirs = await many.api("STREAM.RESTORE.S", what)

    run = asyncio.create_task(Natsmith(tmp_path, here)("bring", "--from", there.server))
    while not run.done():  # over a link that is slow
        await many.client.request(theirs["deliver_subject"], pieces.pop(0), timeout=5)
        await asyncio.wait({run}, timeout=0.2)
    for piece in (*pieces, b""):
        await many.client.request(theirs["deliver_subject"], piece, timeout=10)

    ran = run.result()
    assert 3 == ran.code, ran.text
    assert "has the name S for a stream that it did not show" in ran.stderr
    assert "delete it (nats stream rm S)" in ran.stderr
    assert await one.messages("S") == await many.messages("S")


async def test_what_a_stopped_server_has_is_left_alone(both: Pair, tmp_path: Path, hands: Hands) -> None:
    there, here = await both.fresh()
    one, many = await hands(there), await hands(here)
    await one.stream("S", subjects=["s"])
    made = await many.api("STREAM.CREATE.S", {"name": "S", "subjects": ["s"], "num_replicas": 1})
    await eventually(partial(_written, many), within=20)
    messages = await many.messages("S")
    away = made["cluster"]["leader"]
    url = next(server.url for name, server in both.many.servers.items() if name != away)
    both.many.servers[away].stop()
    try:
        ran = await Natsmith(tmp_path, replace(here, server=url))("bring", "--from", there.server, "--timeout", "10")
    finally:
        await asyncio.to_thread(both.many.servers[away].start)

    assert ran.code in (3, 75), ran.text
    again = await hands(Connection(server=url, user=here.user, password=here.password))
    await eventually(partial(_holds, again, messages), within=30)


async def _written(hand: Hand) -> bool:
    with contextlib.suppress(NoStreamResponseError):  # the servers hear of a stream one after the other
        await hand.write("s", 1)
        return True
    return False


async def _holds(hand: Hand, messages: list[dict[str, Any]]) -> bool:
    with contextlib.suppress(nats.errors.Error, AssertionError):
        return await hand.messages("S") == messages
    return False
