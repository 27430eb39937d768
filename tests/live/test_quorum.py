"""Three servers of which some are gone: what natsmith does, and what it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.servers import Site, three
from cli import Natsmith
from natsmith.adapters.connections import Connection
from versions import VERSIONS
from waiting import eventually

pytestmark = pytest.mark.parametrize("release", VERSIONS[1:])

DOCUMENT = {"buckets": {"b": {"replicas": 3}}}
SHORTER = {"buckets": {"b": {"replicas": 3, "ttlSeconds": 60}}}


@pytest.fixture
def site(release: str) -> Iterator[Site]:
    """Start three servers."""
    with three(release) as found:
        yield found


async def test_two_of_three_are_enough_and_of_one_alone_it_is_said(site: Site, tmp_path: Path) -> None:
    """Without a quorum nothing is written, and the run goes on as soon as there is one again."""
    await site.ready()
    place = site.fresh()
    first, second, third = site.servers.values()
    natsmith = Natsmith(tmp_path, Connection(server=first.url, user=place.user, password=place.password))
    natsmith.write("before.json", json.dumps(DOCUMENT))
    natsmith.write("after.json", json.dumps(SHORTER))
    assert 0 == (await natsmith("apply", "-f", "before.json")).code

    async def told() -> bool:
        status = await natsmith("status", "--output", "json")
        return not status.code and ["n3"] == json.loads(status.stdout)["accounts"][0]["objects"][0]["offline"]

    third.kill()
    await eventually(told, within=30)
    assert "on 2 of 3 servers: n3 not there" in (await natsmith("status")).text

    second.kill()

    async def said() -> bool:
        """Apply; for some seconds the one that is left believes that it still leads, and does not answer."""
        ran = await natsmith("apply", "-f", "after.json", "--timeout", "5")
        assert 75 == ran.code, ran.text
        return "More than half of the cluster's servers must run: see which do" in ran.stderr

    await eventually(said, within=60)

    second.start()

    async def gone_on() -> bool:
        """Apply; as long as leaders are elected a run may end as not ready, and says to run it again."""
        ran = await natsmith("apply", "-f", "after.json", "--timeout", "20")
        assert ran.code in (0, 75), ran.text
        return ran.code == 0

    await eventually(gone_on, within=60)
    assert "time to live 60 s" in (await natsmith("status")).text
