"""What one server has comes to three as it is: every message, and where every consumer stands."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nats.js.errors import NoStreamResponseError

from bringing import Pair, furnish, names, pair, positions
from cli import Natsmith
from versions import VERSIONS, Hands
from waiting import eventually, over

PAIRS = [*((each, each) for each in VERSIONS), (VERSIONS[0], VERSIONS[-1])]
KINDS = ("EMPTY", "INT", "KV_b", "LOG", "MIR", "OBJ_o", "PURGED", "SEALED", "WQ")


@pytest.fixture(scope="module")
def newest_pair() -> Iterator[Pair]:
    """One server and three of the newest version, for all tests of this module."""
    with pair(VERSIONS[-1], VERSIONS[-1]) as both:
        yield both


@pytest.mark.parametrize(("before", "after"), PAIRS)
async def test_everything_comes_as_it_was(before: str, after: str, tmp_path: Path, hands: Hands) -> None:
    with pair(before, after) as both:
        there, here = await both.fresh()
        one, many = await hands(there), await hands(here)
        await furnish(one)
        natsmith = Natsmith(tmp_path, here)
        stood = {name: await positions(there, name) for name in KINDS}

        ran = await natsmith("bring", "--from", there.server, "--output", "json")
        assert 0 == ran.code, ran.text
        came = {each["stream"]: each for each in json.loads(ran.stdout)["accounts"][0]["streams"]}
        assert set(KINDS) == set(came)
        assert {"brought"} == {each["fate"] for each in came.values()}
        for name in KINDS:
            assert await one.messages(name) == await many.messages(name), name
            assert stood[name] == await positions(here, name), name
            theirs, ours = [(await each.api(f"STREAM.INFO.{name}"))["state"] for each in (one, many)]
            assert theirs["last_seq"] == ours["last_seq"], name

        # What is there goes on: consumers hand out what they had before them, times to live end, mirrors copy.
        pulled = await many.js.pull_subscribe_bind("pulls", stream="INT")
        assert [*range(11, 31)] == [each.metadata.sequence.stream for each in await pulled.fetch(20, timeout=5)]
        work = await many.js.pull_subscribe_bind("w", stream="WQ")
        assert 1 + stood["WQ"]["w"][0] == (await work.fetch(1, timeout=5))[0].metadata.sequence.stream
        await many.write("log.a", 1)

        async def copied() -> bool:
            return bool((await many.api("STREAM.INFO.MIR"))["state"]["last_seq"] == 301)

        await eventually(copied, within=15)

        # Another run finds all of it, also what was written meanwhile, and touches nothing.
        again = await natsmith("bring", "--from", there.server)
        assert 0 == again.code, again.text
        assert again.last == "0 streams brought, 9 brought before, 0 left out."
        assert 301 == (await many.api("STREAM.INFO.LOG"))["state"]["last_seq"]


async def test_three_into_one(newest_pair: Pair, tmp_path: Path, hands: Hands) -> None:
    """The way back, into another release: with one replica, and consumers where they stood."""
    here, there = await newest_pair.fresh()
    one, many = await hands(here), await hands(there)
    await many.stream("S", subjects=["s"], num_replicas=3, retention="interest")
    await many.consumer("S", "c")
    await many.write("s", 20)
    pulled = await many.js.pull_subscribe_bind("c", stream="S")
    for each in await pulled.fetch(5):
        await each.ack_sync()
    stood = await positions(there, "S")
    ran = await Natsmith(tmp_path, here)("bring", "--from", there.server)
    assert 0 == ran.code, ran.text
    assert await one.messages("S") == await many.messages("S")
    assert stood == await positions(here, "S")
    assert 1 == (await one.api("STREAM.INFO.S"))["config"]["num_replicas"]


async def test_a_key_goes_when_its_own_time_is_over(newest_pair: Pair, tmp_path: Path, hands: Hands) -> None:
    there, here = await newest_pair.fresh()
    one, many = await hands(there), await hands(here)
    await one.stream("KV_s", subjects=["$KV.s.>"], allow_msg_ttl=True, max_msgs_per_subject=1)
    await one.write("$KV.s.short", 1, Nats_TTL="6s")
    await one.write("$KV.s.long", 1, Nats_TTL="600s")
    ran = await Natsmith(tmp_path, here)("bring", "--from", there.server)
    assert 0 == ran.code, ran.text
    assert 2 == len(await many.messages("KV_s"))

    async def gone() -> bool:
        return [each["subject"] for each in await many.messages("KV_s")] == ["$KV.s.long"]

    await eventually(gone, within=10)


async def test_apply_brings_before_it_makes_and_gives_three_replicas(
    newest_pair: Pair, tmp_path: Path, hands: Hands
) -> None:
    there, here = await newest_pair.fresh()
    one, many = await hands(there), await hands(here)
    before, natsmith = Natsmith(tmp_path, there), Natsmith(tmp_path, here)
    values: dict[str, dict[str, dict[str, Any]]] = {
        "buckets": {"b": {"replicas": 1, "history": 3}},
        "streams": {"S": {"subjects": ["s.>"], "replicas": 1}},
    }
    natsmith.write("one.json", json.dumps(values))
    for each in (values["buckets"]["b"], values["streams"]["S"]):
        each["replicas"] = 3
    natsmith.write("three.json", json.dumps(values))
    way = {"user": there.user, "password": there.password}
    natsmith.write("former.json", json.dumps({"server": there.server, "accounts": {"app": way}}))
    assert 0 == (await before("apply", "-f", "one.json")).code
    await one.write("$KV.b.k", 3)
    await one.write("s.a", 20)
    await one.stream("OTHER", subjects=["other.>"])

    ran = await natsmith("apply", "-f", "three.json", "--bring", "former.json")
    assert 0 == ran.code, ran.text
    assert "4 streams brought" in ran.stdout, ran.text  # natsmith's own notes too
    for name in ("KV_b", "S"):
        assert await one.messages(name) == await many.messages(name)
        assert 3 == (await many.api(f"STREAM.INFO.{name}"))["config"]["num_replicas"]
    assert 1 == (await many.api("STREAM.INFO.OTHER"))["config"]["num_replicas"]
    assert "2 runs remembered" in (await natsmith("history")).last

    planned = await natsmith("plan", "-f", "three.json", "--check")
    assert 0 == planned.code, planned.text
    again = await natsmith("apply", "-f", "three.json", "--bring", "former.json", "--output", "json", "--leave", "OTHR")
    assert 0 == again.code, again.text
    told = "--leave, or nats.grow.leave in the chart, names OTHR, but the former server has KV_b, KV_natsmith_state, OTHER, S"
    assert f"warning: {told}" in again.stderr
    assert "apply" == json.loads(again.stdout)["kind"]
    assert "0 streams brought, 4 brought before" in again.stderr


async def test_what_is_on_both_sides_is_never_written_over(newest_pair: Pair, tmp_path: Path, hands: Hands) -> None:
    there, here = await newest_pair.fresh()
    one, many = await hands(there), await hands(here)
    for each, count in ((one, 3), (many, 2)):
        await each.stream("S", subjects=["s"])
        await each.write("s", count)
    await one.stream("T", subjects=["t"])
    natsmith = Natsmith(tmp_path, here)
    ran = await natsmith("bring", "--from", there.server)
    assert 3 == ran.code, ran.text
    assert "with 3 messages (1 to 3)" in ran.stderr
    assert "with 2 messages (1 to 2)" in ran.stderr
    assert "--leave S" in ran.stderr
    assert ["S"] == [each["config"]["name"] for each in (await many.api("STREAM.LIST"))["streams"]]
    slip = await natsmith("bring", "--from", there.server, "--leave", "S", "--leave", "s")
    assert 2 == slip.code, slip.text
    assert f"--leave names s, but {there.server} has S, T: name one of these" in slip.stderr
    assert ["S"] == [each["config"]["name"] for each in (await many.api("STREAM.LIST"))["streams"]]
    ran = await natsmith("bring", "--from", there.server, "--leave", "S")
    assert 0 == ran.code, ran.text
    assert ran.last == "1 stream brought, 0 brought before, 1 left out: S (as asked)."
    assert 2 == (await many.api("STREAM.INFO.S"))["state"]["messages"]


@pytest.mark.parametrize("before", [0.02, 0.1, 0.2, 0.3])
async def test_a_run_that_was_killed_is_gone_on_with(
    newest_pair: Pair, tmp_path: Path, hands: Hands, before: float
) -> None:
    there, here = await newest_pair.fresh()
    one, many = await hands(there), await hands(here)
    for name in ("A", "B", "C"):
        await one.stream(name, subjects=[name])
        await one.write(name, 300, os.urandom(100_000))
    natsmith = Natsmith(tmp_path, here)
    process = await natsmith.start("bring", "--from", there.server)
    assert process.stderr
    await process.stderr.readline()  # it brings the first
    await asyncio.sleep(before)  # somewhere in the middle
    with contextlib.suppress(ProcessLookupError):  # it was faster
        process.kill()
    await process.wait()
    for name in ("A", "B", "C"):
        with contextlib.suppress(NoStreamResponseError):  # what is not whole yet takes nothing that would be lost
            assert 301 == (await many.js.publish(name, b"new")).seq
    ran = await natsmith("bring", "--from", there.server)
    assert 0 == ran.code, ran.text
    for name in ("A", "B", "C"):
        assert await one.messages(name) == (await many.messages(name))[:300]


async def test_two_at_once_do_not_spoil_each_other(newest_pair: Pair, tmp_path: Path, hands: Hands) -> None:
    """Also where natsmith's notes, in which the lock is, are brought themselves, to three servers."""
    there, here = await newest_pair.fresh()
    one, many = await hands(there), await hands(here)
    before, natsmith = Natsmith(tmp_path, there), Natsmith(tmp_path, here)
    before.write("v.json", '{"buckets": {"k": {}}}')
    assert 0 == (await before("apply", "-f", "v.json")).code
    for name in ("A", "B", "C"):
        await one.stream(name, subjects=[name], num_replicas=1)
        await one.write(name, 200, os.urandom(100_000))
    ran = await asyncio.gather(*(natsmith("bring", "--from", there.server, "--output", "json") for _ in range(3)))
    assert [0, 0, 0] == [each.code for each in ran], "\n\n".join(each.text for each in ran)
    rows = [row for each in ran for row in json.loads(each.stdout)["accounts"][0]["streams"]]
    for name in ("A", "B", "C", "KV_k", "KV_natsmith_state"):
        assert ["brought", "kept", "kept"] == sorted(row["fate"] for row in rows if row["stream"] == name), rows
    for name in ("A", "B", "C"):
        assert await one.messages(name) == await many.messages(name)


async def test_somebody_who_still_writes_there_is_told_of(newest_pair: Pair, tmp_path: Path, hands: Hands) -> None:
    there, here = await newest_pair.fresh()
    one, many = await hands(there), await hands(here)
    await one.stream("S", subjects=["s"])
    await one.write("s", 400, os.urandom(50_000))

    async def writes() -> None:
        while True:
            await one.write("s", 1)

    writer = asyncio.create_task(writes())
    natsmith = Natsmith(tmp_path, here)
    try:
        ran = await natsmith("bring", "--from", there.server)
    finally:
        await over(writer)
    assert 3 == ran.code, ran.text
    assert "somebody writes to it at" in ran.stderr
    assert [] == await names(many)
    ran = await natsmith("bring", "--from", there.server)
    assert 0 == ran.code, ran.text
    assert await one.messages("S") == await many.messages("S")


@pytest.mark.parametrize("release", VERSIONS)
async def test_a_stream_with_sources_is_never_doubled(release: str, tmp_path: Path, hands: Hands) -> None:
    with pair(release, release) as both:
        there, here = await both.fresh()
        one, many = await hands(there), await hands(here)
        await one.stream("LOG", subjects=["log"])
        await one.write("log", 20)
        await one.stream("SRC", sources=[{"name": "LOG"}])

        async def copied() -> bool:
            return bool((await one.api("STREAM.INFO.SRC"))["state"]["messages"] == 20)

        await eventually(copied, within=10)
        natsmith = Natsmith(tmp_path, here)
        ran = await natsmith("bring", "--from", there.server)
        if release == VERSIONS[-1]:
            assert 3 == ran.code, ran.text
            assert "copy all of them once more" in ran.stderr
            assert [] == await names(many)
            ran = await natsmith("bring", "--from", there.server, "--leave", "SRC")
            assert 0 == ran.code, ran.text
            return
        assert 0 == ran.code, ran.text
        await many.write("log", 1)

        async def went_on() -> bool:
            return bool((await many.api("STREAM.INFO.SRC"))["state"]["messages"] >= 21)

        await eventually(went_on, within=15)
        assert 21 == (await many.api("STREAM.INFO.SRC"))["state"]["messages"]


async def test_memory_comes_or_is_told_of(tmp_path: Path, hands: Hands) -> None:
    with pair(VERSIONS[0], VERSIONS[0]) as both:
        there, here = await both.fresh()
        one = await hands(there)
        await one.stream("MEM", subjects=["m"], storage="memory")
        await one.write("m", 2)
        ran = await Natsmith(tmp_path, here)("bring", "--from", there.server)
        assert 0 == ran.code, ran.text
        assert "it is in memory" in ran.last


async def test_the_same_server_is_refused(newest_pair: Pair, tmp_path: Path, hands: Hands) -> None:
    _, here = await newest_pair.fresh()
    natsmith = Natsmith(tmp_path, here)
    ran = await natsmith("bring", "--from", here.server)
    assert 2 == ran.code
    assert "are the same server" in ran.stderr
    for words in ((), ("--from", here.server, "--from-context", "x")):
        ran = await natsmith("bring", *words)
        assert 2 == ran.code
        assert "natsmith bring brings from one server" in ran.stderr
