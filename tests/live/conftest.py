"""Real servers: each version starts once per worker, with accounts enough for every test to have a fresh one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import nats
import nats.aio.client
import pytest

import chart
import electing
import sampling
from bringing import Hand
from cli import Natsmith
from embedded import Embedded, nats_server
from installed import Installed, installed
from natsmith.adapters.closing import closed
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import JetStream, connect
from natsmith.log import Log
from natsmith.registry import Registry
from registering import connected
from versions import VERSIONS, Connecting, Hands, Servers, binary
from waiting import Eventually
from waiting import eventually as asking_again

pytest.register_assert_rewrite("contract", "contract_consumers", "contract_messages", "contract_streams")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run each test with half of the servers where that is asked for, but those of what is known of each version."""
    sampling.half(config, items, "release", but="test_facts")


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(stack)


@pytest.fixture
def newest() -> str:
    """Name the newest version, for what does not depend on it."""
    return VERSIONS[-1]


@pytest.fixture(params=VERSIONS)
def release(request: pytest.FixtureRequest) -> str:
    """Name the version of the server; a test that uses this runs on each."""
    return str(request.param)


@pytest.fixture
def connection(servers: Servers, release: str) -> Connection:
    """Give a user of an account of the test's own."""
    return servers.fresh(release)


@pytest.fixture
def url(connection: Connection) -> str:
    """Tell where the server of ``connection`` is."""
    return connection.server


@pytest.fixture
async def server(connection: Connection) -> AsyncIterator[JetStream]:
    """Connect to the account of ``connection``."""
    async with await connect(connection, timeout=10, log=Log()) as jetstream:
        yield jetstream


@pytest.fixture
async def level(server: JetStream) -> int:
    """Tell the server's API level: 1 is 2.11, 3 is 2.12, 4 is 2.14, 5 is 2.15."""
    return (await server.account()).level


@pytest.fixture
async def nats_connection(connection: Connection) -> AsyncIterator[nats.aio.client.Client]:
    """Connect an application to the account of ``connection``."""
    client = await nats.connect(connection.server, user=connection.user, password=connection.password)
    yield client
    await closed(client)


@pytest.fixture
async def client(connection: Connection) -> AsyncIterator[nats.aio.client.Client]:
    """Connect as a service does."""
    found = await connected(connection)
    yield found
    await closed(found)


@pytest.fixture
async def other(connection: Connection) -> AsyncIterator[Registry]:
    """Read as another process does."""
    found = await connected(connection)
    async with Registry(found) as registry:
        yield registry
    await closed(found)


@pytest.fixture
async def connecting() -> AsyncIterator[Connecting]:
    """Connect applications, until the test ends."""
    async with AsyncExitStack() as stack:

        async def one(connection: Connection) -> nats.aio.client.Client:
            client = await electing.connected(connection)
            stack.push_async_callback(closed, client)
            return client

        yield one


@pytest.fixture
def hands(connecting: Connecting) -> Hands:
    """Connect applications that make and fill streams, until the test ends."""

    async def one(connection: Connection) -> Hand:
        return Hand(await connecting(connection))

    return one


@pytest.fixture
async def newest_client(servers: Servers, newest: str, connecting: Connecting) -> nats.aio.client.Client:
    """Connect to an account of the newest server, where there is nothing yet."""
    return await connecting(servers.fresh(newest))


@pytest.fixture
async def elections(newest_client: nats.aio.client.Client) -> nats.aio.client.Client:
    """Connect to the newest server, where there is a bucket for elections."""
    await electing.provision(newest_client)
    return newest_client


@pytest.fixture
def eventually() -> Eventually:
    return asking_again


@pytest.fixture
def private_server(release: str) -> Iterator[Callable[..., Embedded]]:
    """Start a server that belongs to the test: it may be killed, started again and configured as the test likes."""
    with ExitStack() as stack:
        yield lambda **extra: stack.enter_context(nats_server(binary(release), extra))


@pytest.fixture
def natsmith(tmp_path: Path, connection: Connection) -> Natsmith:
    """Run the command line in a directory of its own, against ``connection``."""
    return Natsmith(tmp_path, connection)


@pytest.fixture
def install(tmp_path: Path, newest: str) -> Iterator[Callable[..., Installed]]:
    """Install a release of the chart that belongs to the test; *others* are Secrets that somebody else made."""
    with ExitStack() as stack:

        def one(
            *files: Path, others: Sequence[chart.Manifest] = (), version: str = newest, release: str = "dev"
        ) -> Installed:
            home = tmp_path / f"{release}-{version}"
            home.mkdir()
            rendered = chart.render(files, release=release)
            return stack.enter_context(installed(rendered, home, others=others, binary=binary(version)))

        yield one
