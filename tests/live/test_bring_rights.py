"""The chart's own rights are enough to grow, and each of them is needed or named: nobody else gets in at the former server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import chart
from bringing import Hand
from chaos.servers import binary
from cli import Natsmith
from embedded import Embedded, nats_server
from natsmith.adapters.connections import Connection
from versions import VERSIONS, Connecting

Rights = dict[str, dict[str, list[str]]]
NEEDED = (
    "$JS.API.STREAM.LIST",
    "$JS.API.STREAM.SNAPSHOT.*",
    "$JS.API.STREAM.INFO.*",
    "$JS.API.CONSUMER.LIST.*",
    "$JS.API.INFO",
)


@pytest.fixture(scope="module")
def rights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Rights, Rights]:
    """Return what a provisioner may do at the former server, and at the new ones, as the chart says it."""
    values = tmp_path_factory.mktemp("grow") / "grow.json"
    values.write_text(json.dumps({"nats": {"replicas": 3, "grow": {"fromOne": True}}}))
    files = chart.render([values]).one("ConfigMap", "-config")["data"]
    found = []
    for name in ("former.conf", "nats.conf"):
        text = re.sub(r'include ("[^"]*")', r'"include": \1', files[name]).replace("$SERVER_NAME,", '"x",')
        [user] = [each for each in json.loads(text)["accounts"]["app"]["users"] if each["user"] == "provisioner-app"]
        found.append(user["permissions"])
    return found[0], found[1]


class Places:
    """Two servers: an application may do all, the provisioner what it is given."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def one(self, version: str, given: Rights) -> Embedded:
        """Run a server for the test."""
        users: list[dict[str, Any]] = [{"user": "app", "password": "pw"}]
        users += [{"user": "provisioner", "password": "pw", "permissions": given}]
        accounts = {"app": {"jetstream": "enabled", "users": users}}
        return self._stack.enter_context(nats_server(binary(version), {"accounts": accounts}))


@pytest.fixture
def places() -> Iterator[Places]:
    with ExitStack() as stack:
        yield Places(stack)


async def brought(
    places: Places, connecting: Connecting, home: Path, version: str, there: Rights, here: Rights
) -> tuple[int, str]:
    """Return how a run ended that brings a stream with a consumer, in many pieces."""
    former, new = places.one(version, there), places.one(version, here)
    application = Hand(await connecting(Connection(server=former.url, user="app", password="pw")))
    await application.stream("S", subjects=["s"])
    await application.consumer("S", "c")
    await application.write("s", 60, b"x" * 100_000)
    provisioner = Connection(server=new.url, user="provisioner", password="pw")
    natsmith = Natsmith(home, provisioner)
    ran = await natsmith(
        "bring", "--from", former.url, "--inbox-prefix", "_INBOX_natsmith", "--account", "app", "--timeout", "10"
    )
    return ran.code, ran.text


def without(given: Rights, lacking: str) -> Rights:
    """Return rights without one that is among them."""
    less = {**given, "publish": {"allow": [each for each in given["publish"]["allow"] if each != lacking]}}
    assert less != given
    return less


@pytest.mark.parametrize("release", VERSIONS)
async def test_they_are_enough(
    places: Places, connecting: Connecting, tmp_path: Path, release: str, rights: tuple[Rights, Rights]
) -> None:
    code, said = await brought(places, connecting, tmp_path, release, *rights)
    assert 0 == code, said
    assert "brought S: 60 messages" in said


@pytest.mark.parametrize("lacking", NEEDED)
async def test_one_less_there_is_named(
    places: Places, connecting: Connecting, tmp_path: Path, lacking: str, rights: tuple[Rights, Rights]
) -> None:
    there, here = rights
    code, said = await brought(places, connecting, tmp_path, VERSIONS[-1], without(there, lacking), here)
    assert 0 != code
    assert lacking.removesuffix(".*") in said


@pytest.mark.parametrize("lacking", ["$JS.API.STREAM.RESTORE.*", "$JS.SNAPSHOT.RESTORE.*.*"])
async def test_one_less_here_is_named(
    places: Places, connecting: Connecting, tmp_path: Path, lacking: str, rights: tuple[Rights, Rights]
) -> None:
    there, here = rights
    code, said = await brought(places, connecting, tmp_path, VERSIONS[-1], there, without(here, lacking))
    assert 3 == code, said
    assert lacking.partition("*")[0].removesuffix(".") in said
