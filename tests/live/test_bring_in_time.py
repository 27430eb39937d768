"""A stream that is larger than a run's time is told with what to raise: it would begin anew in each attempt."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cli import Natsmith
from embedded import Embedded, nats_server
from natsmith.adapters.connections import Connection
from slow import slow_link
from versions import VERSIONS, Hands, binary


@pytest.fixture
def both() -> Iterator[tuple[Embedded, Embedded]]:
    """Run a server to bring from, and one to bring to."""
    with ExitStack() as stack:
        one, other = (stack.enter_context(nats_server(binary(VERSIONS[-1]))) for _ in range(2))
        yield one, other


async def test_what_does_not_come_in_time_is_told(
    both: tuple[Embedded, Embedded], hands: Hands, tmp_path: Path
) -> None:
    """What came before it stays, nothing of it does, and a run with more time brings the rest."""
    there, here = both
    one, other = await hands(Connection(server=there.url)), await hands(Connection(server=here.url))
    await one.stream("A", subjects=["a"])
    await one.write("a", 3)
    await one.stream("B", subjects=["b"])
    await one.write("b", 40, os.urandom(500_000))
    natsmith = Natsmith(tmp_path, Connection(server=here.url))
    natsmith.write("values.json", json.dumps({"streams": {"A": {"subjects": ["a"]}, "C": {"subjects": ["c"]}}}))
    async with slow_link(there.port) as slow:
        natsmith.write("former.json", json.dumps({"server": slow.url, "accounts": {"app": {}}}))
        words = ("apply", "-f", "values.json", "--bring", "former.json")
        ran = await natsmith(*words, "--within", "4")
        assert 3 == ran.code, ran.text
        assert "stream B was the one that did not:" in ran.stderr
        assert "Raise provisioner.deadlineSeconds, and helm's --timeout above it" in ran.stderr
        assert "natsmith bring --from-connections former.json" in ran.stderr
        assert ["A", "KV_natsmith_state"] == [
            each["config"]["name"] for each in (await other.api("STREAM.LIST"))["streams"]
        ]

        ran = await natsmith(*words, "--within", "60")
    assert 0 == ran.code, ran.text
    assert "1 stream brought, 1 brought before" in ran.stdout
    assert await one.messages("B") == await other.messages("B")
