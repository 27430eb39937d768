"""Running the monitor: an account each, and the page in front of them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass

import uvicorn

from natsmith.adapters.jetstream import JetStream
from natsmith.errors import DecisionNeeded, NatsmithError
from natsmith.log import Log
from natsmith.model.desired import Desired
from natsmith.monitor.picture import Picture
from natsmith.monitor.services import Services
from natsmith.monitor.sight import Sight
from natsmith.monitor.watching import Watching
from natsmith.monitor.web import app

MOST_CONNECTIONS = 600
"""More than the pages that may be open, so that metrics and probes are answered beside them."""

Connecting = Callable[[str], AbstractAsyncContextManager[JetStream]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What is asked of a monitor."""

    accounts: Iterable[str]
    desired: Desired | None
    host: str
    port: int
    bucket: str
    elections: str
    values: bool
    """Whether what entries and messages hold is shown."""


async def serve(served: Served, connecting: Connecting, log: Log) -> None:
    """Serve until the program is told to stop."""
    picture = Picture()
    config = uvicorn.Config(
        app(picture),
        host=served.host,
        port=served.port,
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=1,
        lifespan="off",
    )
    server = Server(config)
    try:
        listening = socket.create_server((served.host, served.port))
    except OSError as error:
        raise DecisionNeeded(
            f"--listen {served.host}:{served.port} cannot be listened on: {error.strerror}. Choose another"
        ) from error
    log.info("monitor.listens", at="http://{}:{}/".format(*listening.getsockname()[:2]))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_account(served, account, picture, connecting, log)) for account in served.accounts]
        serving = asyncio.create_task(server.serve([listening]))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:  # told to stop: what is asked for just now is still answered
            picture.hub.close()
            server.should_exit = True
            await serving
        for task in tasks:
            task.cancel()


class Server(uvicorn.Server):
    """uvicorn, which leaves signals to the command line."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def _account(served: Served, account: str, picture: Picture, connecting: Connecting, log: Log) -> None:
    """Show one account for as long as the program runs; a server that is not there is waited for."""
    picture.saw(Sight(account=account, trouble="its server was not reached yet"))
    while True:
        try:
            async with connecting(account) as server, asyncio.TaskGroup() as group:
                watching = Watching(
                    server, served.desired, account=account, changed=picture.saw, log=log, values=served.values
                )
                services = Services(
                    server.link.client,
                    picture.hub,
                    account=account,
                    bucket=served.bucket,
                    elections=served.elections,
                    values=served.values,
                    log=log,
                )
                picture.services[account] = services
                group.create_task(watching.run())
                group.create_task(services.run())
        except NatsmithError as error:
            log.warn(f"account {account} cannot be reached: {error}")
            picture.saw(Sight(account=account, trouble=str(error)))
            await asyncio.sleep(1)  # connecting itself waits for the server, and tells why in vain
