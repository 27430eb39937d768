"""The versions of nats-server that are served, and one running server of each for all tests of a worker."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import nats.aio.client

from bringing import Hand
from embedded import Embedded, nats_server
from natsmith.adapters.connections import Connection

ROOT = Path(__file__).parents[2]
VERSIONS = sorted(
    (path.stem for path in ROOT.glob("tests/servers/*.lock")), key=lambda text: [*map(int, text.split("."))]
)
ACCOUNTS = 400
"""More than the tests of one version; they cost a server 20 ms to start and 5 MB."""

PASSWORD = "pw"
Connecting = Callable[[Connection], Awaitable[nats.aio.client.Client]]
Hands = Callable[[Connection], Awaitable[Hand]]


def binary(version: str) -> Path:
    """Return the nats-server of a version; `make live` gets them."""
    return ROOT / ".servers" / version / "bin" / "nats-server"


class Servers:
    """One running server of each version that was asked for."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._running: dict[str, tuple[Embedded, Iterator[int]]] = {}

    def fresh(self, version: str) -> Connection:
        """Return the connection of an account that nobody has used."""
        if version not in self._running:
            users = [f"A{number:03}" for number in range(ACCOUNTS)]
            accounts = {
                user: {"jetstream": "enabled", "users": [{"user": user, "password": PASSWORD}]} for user in users
            }
            server = self._stack.enter_context(nats_server(binary(version), {"accounts": accounts}))
            self._running[version] = server, itertools.count()
        server, numbers = self._running[version]
        return Connection(server=server.url, user=f"A{next(numbers):03}", password=PASSWORD)
