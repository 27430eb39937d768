"""When a server of several is ready: what the chart's probes ask, of a server that restarts."""

from __future__ import annotations

import asyncio
import json
import signal
import urllib.error
import urllib.request

import nats.aio.client
import nats.errors

from chaos.raw import api, connect
from chaos.servers import free_ports, three
from waiting import Eventually

START, READINESS = "/healthz", "/healthz?js-server-only=true"
"""What the probes of three servers ask: tests/chart/test_settings.py."""


async def test_a_server_that_has_spoken_to_nobody_has_not_started(release: str, eventually: Eventually) -> None:
    """It would be ready already; the start waits for the others, and gets what was missed."""
    with three(release) as site:
        await site.ready()
        client = await connect(site.fresh())
        await api(client, "STREAM.CREATE.S", {"name": "S", "subjects": ["s"], "num_replicas": 3})
        late, *others = (site.servers[name] for name in ("n3", "n1", "n2"))
        await asyncio.to_thread(late.stop)
        await eventually(lambda: _published(client), within=40)
        [port] = free_ports(1)
        late.config.write_text(json.dumps({**json.loads(late.config.read_text()), "http": f"127.0.0.1:{port}"}))

        async def told(path: str) -> int:
            return await asyncio.to_thread(_status, f"http://127.0.0.1:{port}{path}")

        async def started() -> bool:
            return await told(START) == 200

        for each in others:
            each.signal(signal.SIGSTOP)
        try:
            await asyncio.to_thread(late.start)
            alone = (await told(START), await told(READINESS))
        finally:
            for each in others:
                each.signal(signal.SIGCONT)
        await eventually(started, within=60)

        async def current() -> bool:
            # A leader that was stopped needs a moment to hear of it.
            try:
                info = await api(client, "STREAM.INFO.S", timeout=10)
            except nats.errors.Error:
                return False
            return all(each["current"] for each in info["cluster"]["replicas"])

        await eventually(current, within=60)
        await client.close()

    assert (503, 200) == alone


async def _published(client: nats.aio.client.Client) -> bool:
    """Publish what the server misses; False while nobody leads the stream."""
    try:
        await asyncio.gather(*(client.request("s", bytes(1000), timeout=5) for _ in range(2000)))
    except nats.errors.Error:
        return False
    return True


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310  (it is our own server's)
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
