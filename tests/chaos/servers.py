"""Where runs happen: shared servers with an account for each run, a server of its own, or three as one cluster."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import nats.errors
from nats.aio.client import Client

from chaos.raw import Place, api, closed, connect
from embedded import Embedded, nats_server

ROOT = Path(__file__).parents[2]
ACCOUNTS = 300
PASSWORD = "pw"
NODES = ("n1", "n2", "n3")
READY_SECONDS = 40


def binary(version: str) -> Path:
    """Return the nats-server of a version; ``make live`` gets them."""
    return ROOT / ".servers" / version / "bin" / "nats-server"


def accounts() -> dict[str, object]:
    """Return the configuration of accounts that nobody has used."""
    return {
        f"A{number:03}": {"jetstream": "enabled", "users": [{"user": f"A{number:03}", "password": PASSWORD}]}
        for number in range(ACCOUNTS)
    }


@dataclass(slots=True)
class Site:
    """One or more servers that belong together."""

    servers: dict[str, Embedded]
    """By the names that they call themselves."""

    users: Iterator[int]

    def fresh(self) -> Place:
        """Return an account that nobody has used."""
        urls = tuple(server.url for server in self.servers.values())
        return Place(urls=urls, user=f"A{next(self.users):03}", password=PASSWORD)

    async def crash(self, name: str, seconds: float) -> None:
        """Kill the server called *name* and start it again after so long."""
        server = self.servers[name]
        server.kill()
        await asyncio.sleep(seconds)
        await asyncio.to_thread(server.start)

    async def leader(self, client: Client, *streams: str) -> str:
        """Return the server that leads the first of these streams that is there."""
        if len(self.servers) > 1:
            for stream in streams:
                try:
                    answer = await api(client, f"STREAM.INFO.{stream}", timeout=1)
                except nats.errors.Error:
                    continue
                name = answer.get("cluster", {}).get("leader")
                if name in self.servers:
                    return str(name)
        return next(iter(self.servers))

    async def ready(self) -> None:
        """Return when a stream can be created with a replica on every server."""
        client = await connect(self.fresh())
        deadline = time.monotonic() + READY_SECONDS
        config = {"name": "ready", "subjects": ["ready"], "num_replicas": len(self.servers)}
        try:
            while time.monotonic() < deadline:
                try:
                    answer = await api(client, "STREAM.CREATE.ready", config, timeout=2)
                    info = await api(client, "STREAM.INFO.ready", timeout=2)
                    replicas = info.get("cluster", {}).get("replicas", [])
                    if "error" not in answer and len(replicas) == len(self.servers) - 1:
                        if all(each["current"] for each in replicas):
                            return
                        answer = {}
                except nats.errors.Error:
                    answer = {}
                # A cluster announces nothing when it is ready; the deadline bounds the loop.
                await asyncio.sleep(0.2)
            raise RuntimeError(f"the servers were not ready within {READY_SECONDS} s: {answer}")
        finally:
            await closed(client)


class Sites:
    """The servers of one worker: one of each version that is shared, and clusters one at a time."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._shared: dict[str, Site] = {}
        self._cluster: tuple[str, Site, ExitStack] | None = None

    def shared(self, version: str) -> Site:
        """Return the server of a version that many runs use."""
        if version not in self._shared:
            server = self._stack.enter_context(nats_server(binary(version), {"accounts": accounts()}))
            self._shared[version] = Site({"n1": server}, itertools.count())
        return self._shared[version]

    async def cluster(self, version: str) -> Site:
        """Return three servers of a version; those of another version end."""
        if self._cluster and self._cluster[0] != version:
            self._cluster[2].close()
            self._cluster = None
        if not self._cluster:
            stack = self._stack.enter_context(ExitStack())
            site = stack.enter_context(three(version))
            self._cluster = version, site, stack
        site = self._cluster[1]
        await site.ready()
        return site


@contextmanager
def alone(version: str) -> Iterator[Site]:
    """Run a server that belongs to one run."""
    some = {name: account for name, account in accounts().items() if name < "A010"}
    with nats_server(binary(version), {"accounts": some}) as server:
        yield Site({"n1": server}, itertools.count())


@contextmanager
def three(version: str, *, started: int = len(NODES)) -> Iterator[Site]:
    """Run a cluster of three servers, of which so many are *started*."""
    ports = free_ports(len(NODES))
    routes = [f"nats-route://127.0.0.1:{port}" for port in ports]
    servers: dict[str, Embedded] = {}
    with tempfile.TemporaryDirectory(prefix="natsmith-chaos-") as directory:
        try:
            for name, port in zip(NODES, ports, strict=True):
                home = Path(directory) / name
                home.mkdir()
                config = home / "nats.conf"
                settings = {
                    "server_name": name,
                    "jetstream": {"store_dir": f"{home}/data"},
                    "cluster": {"name": "chaos", "listen": f"127.0.0.1:{port}", "routes": routes},
                    "accounts": {**accounts(), "SYS": {"users": [{"user": "sys", "password": PASSWORD}]}},
                    "system_account": "SYS",
                }
                config.write_text(json.dumps(settings))
                servers[name] = Embedded(binary(version), home, config)
                if len(servers) <= started:
                    servers[name].start()
            yield Site(servers, itertools.count())
        finally:
            for server in servers.values():
                server.end()


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on; another process could take one before the server does."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
