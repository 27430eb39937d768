"""A release whose credentials are renewed under its clients: its steps as upgrades would render them, its servers asked to reload."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import nats.aio.client
import nats.errors
import pytest

from chart import Manifest, Rendered
from installed import Installed, connected, installed
from memory_cluster import Cluster, serving
from natsmith.adapters.closing import closed
from releases import NAMESPACE, Values, rendered
from versions import binary
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


START: Values = {
    "nats": {
        "jetstream": {
            "memory": "64Mi",
            "storage": {"persistent": False, "size": "256Mi"},
        }
    },
    "accounts": {"A": {"users": {"u": {}}}},
    "buckets": {"b": {"ttlSeconds": 60}},
}
Step = tuple[Rendered, list[Manifest]]
Run = Callable[..., Installed]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Serve a cluster of the test's own, in which upgrades find what was before."""
    with serving(tmp_path) as running:
        yield running


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Run the servers of a release, of a version."""
    with ExitStack() as stack:
        yield lambda step, version: stack.enter_context(
            installed(step[0], tmp_path, others=step[1], binary=binary(version))
        )


@pytest.fixture
async def clients() -> AsyncIterator[Callable[[Installed], Clients]]:
    """Give connections that are closed when the test ends."""
    made: list[Clients] = []

    def one(running: Installed) -> Clients:
        made.append(Clients(running))
        return made[-1]

    yield one
    for each in made:
        await each.close()
