"""What the age of the oldest message says about expiry."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from builders import desired
from memory import MemoryServer
from natsmith.actions.observe import observe
from natsmith.actions.verify import passive, twin
from natsmith.model.desired import Desired
from natsmith.model.outcome import Proof

BUCKET = {"name": "KV_b", "subjects": ["$KV.b.>"], "max_msgs_per_subject": 1}


async def proof(server: MemoryServer) -> Proof:
    observed = await observe(server, Desired(), account="app")
    return passive(next(iter(observed.objects.values())))


@pytest.mark.parametrize(
    ("seconds", "written_after", "result"),
    [(10, 0, "not observed"), (100, 95, "holds"), (100, None, "not observed")],
    ids=["too young to tell", "only what is young is there", "empty"],
)
async def test_what_a_server_that_expires_shows(seconds: int, written_after: int | None, result: str) -> None:
    """Nothing is claimed that could not be seen."""
    server = MemoryServer()
    await server.create_stream({**BUCKET, "max_age": 30 * 10**9})
    if written_after is not None:
        server.now += timedelta(seconds=written_after)
        await server.publish("$KV.b.k", b"v")
    server.now += timedelta(seconds=seconds - (written_after or 0))

    assert result == (await proof(server)).result


async def test_an_entry_that_outlived_its_time_is_told() -> None:
    """The values say 30 seconds, the server keeps for ever: `verify` sees the entry as well as the setting."""
    server = MemoryServer()
    await server.create_stream(BUCKET)
    await server.publish("$KV.b.k", b"v")
    server.now += timedelta(seconds=100)
    observed = await observe(server, desired({"buckets": {"b": {"ttlSeconds": 30}}}), account="app")
    (found,) = observed.objects.values()

    assert "fails" == passive(replace(found, settings={**found.settings, "ttlSeconds": 30})).result


def test_twins_of_one_make_are_one() -> None:
    """What tells two buckets apart is not what makes them expire."""
    one = twin({**BUCKET, "max_age": 30, "description": "one", "metadata": {"a": "b"}, "max_bytes": -1})
    other = twin({"name": "KV_c", "subjects": ["$KV.c.>"], "max_msgs_per_subject": 1, "max_age": 60, "max_bytes": -1})

    assert one == other
