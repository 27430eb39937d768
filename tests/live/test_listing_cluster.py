"""A listing of a cluster of which one server restarts."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import nats.errors

from chaos.raw import api, connect
from chaos.servers import three
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import connect as provisioner
from natsmith.log import Log
from waiting import Eventually


async def test_what_a_restarting_server_has_is_waited_for(release: str, eventually: Eventually) -> None:
    """What only that server has is in no answer; it is neither taken for absent nor the end of the run."""
    with three(release) as site:
        await site.ready()
        place = site.fresh()
        client = await connect(place)
        made = await api(client, "STREAM.CREATE.one", {"name": "one", "subjects": ["one"], "num_replicas": 1})
        await client.close()
        away = made["cluster"]["leader"]
        urls = tuple(server.url for name, server in site.servers.items() if name != away)
        client = await connect(replace(place, urls=urls))
        connection = Connection(server=",".join(urls), user=place.user, password=place.password)
        async with await provisioner(connection, timeout=10, log=Log()) as server:
            await asyncio.to_thread(site.servers[away].stop)

            async def missed() -> bool:
                try:
                    return bool((await api(client, "STREAM.LIST", timeout=10)).get("missing"))
                except nats.errors.Error:
                    return False

            await eventually(missed, within=40)
            listing = asyncio.create_task(server.streams())
            # Whoever does not wait is told at once, as we were.
            done, _ = await asyncio.wait({listing}, timeout=4.5)
            await asyncio.to_thread(site.servers[away].start)

            assert (set(), ["one"]) == (done, [each.config["name"] for each in await listing])
        await client.close()
