"""A restore, or a bring, that stops in the middle tells what it has done."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from bringing import names
from cli import Natsmith
from embedded import nats_server
from natsmith.adapters.connections import Connection
from versions import VERSIONS, Hands, Servers, binary

REFUSED = "$JS.API.STREAM.RESTORE.T"


async def test_what_was_restored_is_told(tmp_path: Path, hands: Hands) -> None:
    """The second of three streams is refused."""
    users = [
        {"user": "a", "password": "pw"},
        {"user": "p", "password": "pw", "permissions": {"publish": {"deny": [REFUSED]}}},
    ]
    config = {"accounts": {"A": {"jetstream": "enabled", "users": users}}}
    with nats_server(binary(VERSIONS[-1]), config) as server:
        application = Connection(server=server.url, user="a", password="pw")
        hand = await hands(application)
        for name in ("S", "T", "U"):
            await hand.stream(name, subjects=[name])
            await hand.write(name, 2)
        all_of_it, some = (Natsmith(tmp_path, Connection(server=server.url, user=user, password="pw")) for user in "ap")
        assert 0 == (await all_of_it("backup", "b")).code
        for output in ("text", "json"):
            for name in await names(hand):
                await hand.api(f"STREAM.DELETE.{name}")
            ran = await some("restore", "b", "--timeout", "3", "--output", output)
            assert 1 == ran.code, ran.text
            assert ["S"] == await names(hand)
            if output == "text":
                assert ran.row("restored S").startswith("restored S: 2 messages, 1 to 2"), ran.text
                assert "1 stream restored" in ran.last
                assert REFUSED in ran.stderr
                assert "stopped halfway" in ran.stderr
            else:
                told = json.loads(ran.stdout)
                assert ("restore", 1) == (told["kind"], told["exitCode"])
                assert [("S", "restored")] == [(r["stream"], r["fate"]) for r in told["accounts"][0]["streams"]]
                assert REFUSED in told["problems"][0]
        ran = await some("restore", "b", "--timeout", "3")
        assert 3 == ran.code, ran.text  # nothing more was done
        ran = await all_of_it("restore", "b")
        assert 0 == ran.code, ran.text
        assert ["S", "T", "U"] == await names(hand)


@pytest.mark.parametrize("output", ["text", "json"])
@pytest.mark.parametrize("verb", ["bring", "restore"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
async def test_what_was_done_before_a_signal_is_told(
    tmp_path: Path, hands: Hands, servers: Servers, number: signal.Signals, verb: str, output: str
) -> None:
    """With the exit code and the reason that a signal has; the next run goes on."""
    streams = [f"S{each:02}" for each in range(20)]
    there, done = servers.fresh(VERSIONS[-1]), "brought" if verb == "bring" else "restored"
    one = await hands(there)
    for name in streams:
        await one.stream(name, subjects=[name])
        await one.write(name, 10, os.urandom(100_000))
    with nats_server(binary(VERSIONS[-1])) as server:
        natsmith = Natsmith(tmp_path, Connection(server=server.url))
        words = ["bring", "--from", there.server.replace("//", f"//{there.user}:{there.password}@")]
        if verb == "restore":
            assert 0 == (await Natsmith(tmp_path, there)("backup", "b")).code
            words = ["restore", "b"]
        before = signal.signal(number, signal.SIG_DFL)  # inherited; a shell has what runs behind it ignore the keyboard
        try:
            process = await natsmith.start(*words, "--output", output)
        finally:
            signal.signal(number, before)
        assert process.stderr
        while not (await process.stderr.readline()).decode().startswith(f"{done} stream={streams[0]} "):
            assert process.returncode is None
        process.send_signal(number)
        stdout, said = (each.decode() for each in await asyncio.wait_for(process.communicate(), 30))

        assert 1 == process.returncode, said
        reason = "stopped by the keyboard" if number == signal.SIGINT else "stopped by a signal"
        came = [name for name in await names(await hands(natsmith.connection)) if name != "KV_natsmith_state"]
        assert streams[: len(came)] == came
        assert 0 < len(came) < len(streams), came
        if output == "text":
            told = [line.split(":")[0].split()[1] for line in stdout.splitlines() if line.startswith(f"{done} S")]
            assert reason in said
        else:
            document = json.loads(stdout)
            assert (verb, 1) == (document["kind"], document["exitCode"])
            told = [each["stream"] for each in document["accounts"][0]["streams"] if each["fate"] == done]
            assert reason in document["problems"][0]
        assert told in (came, came[:-1])  # the signal may come before the server's answer that the last one is whole
        assert told
        again = await natsmith(*words)
        assert 0 == again.code, again.text
        # One that was there and not whole yet is begun anew.
        expected = [f"{len(streams) - len(each)} streams {done}, {len(each)} {done} before" for each in (came, told)]
        assert any(each in again.last for each in expected), again.last
