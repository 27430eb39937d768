"""A release whose credentials are renewed under its clients: its steps as upgrades would render them, its servers asked to reload."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import nats.aio.client
import nats.errors

from chart import Manifest, Rendered
from installed import Installed, connected
from memory_cluster import Cluster
from natsmith.adapters.closing import closed
from releases import NAMESPACE, Values, rendered
from waiting import eventually

LOADED = "Reloaded server configuration"
"""What a server writes when it has another configuration."""

RUNS = count()


def upgraded(cluster: Cluster, values: Values) -> Rendered:
    """Return the release after an upgrade to *values*, which finds in *cluster* what the one before left."""
    flags = ("--dry-run=server", *cluster.flags)
    after = rendered(values, more=flags, again=next(RUNS))
    cluster.put(NAMESPACE, "dev", *after.all("Secret"), *after.all("ConfigMap"), *after.all("StatefulSet"))
    return after


async def reloaded(running: Installed, now: Rendered, others: Sequence[Manifest] = ()) -> None:
    """Give the running servers the files of *now*, and return when each has loaded them."""
    running.mounted(now, *others)
    for server in running.servers:
        before = server.log.count(LOADED)
        server.signal(signal.SIGHUP)

        async def loaded(server: Any = server, before: int = before) -> bool:
            return bool(server.log.count(LOADED) > before)

        await eventually(loaded, within=10)


@dataclass
class Clients:
    """Connections of one user to every server of a release, none of which comes back once it is cut."""

    running: Installed
    open: list[tuple[str, nats.aio.client.Client]] = field(default_factory=list)

    async def connect(self, name: str, **login: Any) -> None:
        """Connect to each server, with the name that :meth:`there` gives."""
        for server in self.running.servers:
            self.open.append((name, await connected(servers=[server.url], **login)))

    async def there(self) -> list[str]:
        """Return whose connections are all alive: each answers now."""
        alive: dict[str, bool] = {}
        for name, client in self.open:
            alive[name] = alive.get(name, True) and await _answers(client)
        return sorted(name for name, whole in alive.items() if whole)

    async def gone(self) -> list[str]:
        """Return whose connections are all cut."""
        answers = [(name, await _answers(client)) for name, client in self.open]
        return sorted({name for name, _ in answers} - {name for name, alive in answers if alive})

    async def close(self) -> None:
        """Close what is still open."""
        for _, client in self.open:
            await closed(client)


async def _answers(client: nats.aio.client.Client) -> bool:
    if client.is_closed:
        return False
    try:
        await client.flush(timeout=5)
    except (nats.errors.Error, ConnectionError, TimeoutError):
        return False
    return not client.is_closed


async def refused(running: Installed, **login: Any) -> bool:
    """Tell whether every server refuses a login; it is an error if only some do."""
    answers = set()
    for server in running.servers:
        try:
            await (await connected(servers=[server.url], **login)).close()
            answers.add(False)
        except (nats.errors.Error, OSError):
            answers.add(True)
    [answer] = answers
    return answer
