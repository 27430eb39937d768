"""A cluster that has just begun: what needs a server that is not known yet waits for it, for a while."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from chaos.servers import three
from cli import Natsmith
from natsmith.adapters.connections import Connection
from versions import VERSIONS


@pytest.mark.parametrize("release", VERSIONS)
async def test_three_replicas_wait_for_the_third_server(release: str, tmp_path: Path) -> None:
    """The Job of a first install may be there before the last server; more than there are is refused all the same."""
    with three(release, started=2) as site:
        place = site.fresh()
        first, _, third = site.servers.values()
        natsmith = Natsmith(tmp_path, Connection(server=first.url, user=place.user, password=place.password))
        natsmith.write("three.json", json.dumps({"buckets": {"b": {"replicas": 3}}}))
        natsmith.write("five.json", json.dumps({"buckets": {"c": {"replicas": 5}}}))

        run = asyncio.create_task(natsmith("apply", "-f", "three.json", "--timeout", "60"))
        await asyncio.to_thread(third.start)
        ran = await run
        assert 0 == ran.code, ran.text

        too_many = await natsmith("apply", "-f", "five.json", "--timeout", "60")
        assert "no suitable peers" in too_many.stderr
        assert 0 != too_many.code
