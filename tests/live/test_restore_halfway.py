"""A restore that stops in the middle tells what it has restored."""

from __future__ import annotations

import json
from pathlib import Path

from bringing import names
from cli import Natsmith
from embedded import nats_server
from natsmith.adapters.connections import Connection
from versions import VERSIONS, Hands, binary

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
