"""Running the monitor: an account each, and the page in front of them."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass

from natsmith.adapters.jetstream import JetStream
from natsmith.errors import DecisionNeeded, NatsmithError
from natsmith.log import Log
from natsmith.model.desired import Desired
from natsmith.monitor.door import BACKLOG, Server, door
from natsmith.monitor.picture import Picture
from natsmith.monitor.services import Services
from natsmith.monitor.watching import Watching
from natsmith.monitor.web import app, is_local

Connecting = Callable[[str, Log], AbstractAsyncContextManager[JetStream]]

AGAIN_SECONDS = 1.0
"""Connecting itself waits for the server; what it was refused for is tried again as often."""


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
    picture = Picture(served.accounts)
    server = door(app(picture, local=is_local(served.host)))
    listening = _listening(served)
    log.info("monitor.listens", at=_address(listening))
    with _logging(log):
        await _run(served, picture, server, listening, connecting, log)


async def _run(
    served: Served, picture: Picture, server: Server, listening: socket.socket, connecting: Connecting, log: Log
) -> None:
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


@contextmanager
def _logging(log: Log) -> Iterator[None]:
    """Say what the libraries log as we say things, for a block."""
    handler = _Telling(log)
    loggers = [logging.getLogger(name) for name in ("natsmith.registry", "uvicorn.error")]
    for each in loggers:
        each.addHandler(handler)
    try:
        yield
    finally:
        for each in loggers:
            each.removeHandler(handler)


class _Telling(logging.Handler):
    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.warn(self.format(record))


def _listening(served: Served) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in served.host else socket.AF_INET
        return socket.create_server((served.host, served.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise DecisionNeeded(
            f"--listen {served.host}:{served.port} cannot be listened on: {error.strerror}. Choose another"
        ) from error


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


async def _account(served: Served, account: str, picture: Picture, connecting: Connecting, log: Log) -> None:
    """Show one account for as long as the program runs; a server that is not there is waited for."""
    waiting = _Waiting(log, lambda why: picture.lost(account, why))
    while True:
        try:
            async with connecting(account, waiting) as server, asyncio.TaskGroup() as group:
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
                )
                picture.services[account] = services
                services.listen(watching.back, watching.lost)
                group.create_task(watching.run())
                group.create_task(services.run())
        except* NatsmithError as errors:
            why = "; ".join(str(each) for each in _leaves(errors))
            if picture.sights[account].trouble != why:  # it is tried again every second, and said once
                log.warn(f"account {account} cannot be reached: {why}")
            picture.lost(account, why)
            await asyncio.sleep(AGAIN_SECONDS)


class _Waiting(Log):
    """Tells what a connection waits for to who looks at the page as well, long before it is given up."""

    def __init__(self, log: Log, tell: Callable[[str], None]) -> None:
        super().__init__(format=log.format)
        self._log, self._tell = log, tell

    def info(self, event: str, **fields: object) -> None:
        """Tell that *event* happened."""
        self._log.info(event, **fields)
        if event == "server.waiting":
            self._tell(f"{fields['server']} is waited for: {fields['reason']}")


def _leaves(errors: BaseExceptionGroup[NatsmithError]) -> Iterator[NatsmithError]:
    for each in errors.exceptions:
        if isinstance(each, BaseExceptionGroup):
            yield from _leaves(each)
        else:
            yield each
