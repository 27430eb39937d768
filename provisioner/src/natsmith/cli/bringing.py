"""Streams of another server are brought: by the verb, and before the chart's Job applies."""

from __future__ import annotations

import argparse
import asyncio
import os
from dataclasses import replace
from pathlib import Path

from natsmith.actions import state
from natsmith.actions.bringing import Bringing, bring
from natsmith.actions.carry_out import Progress
from natsmith.adapters import connections
from natsmith.adapters.connections import Connection
from natsmith.adapters.connections_file import from_file
from natsmith.adapters.jetstream import JetStream, connect
from natsmith.adapters.sources import FromServer
from natsmith.cli import halfway, screen, sessions
from natsmith.cli.chosen import slip
from natsmith.cli.report import Report
from natsmith.clock import clock
from natsmith.errors import DecisionNeeded, Exit, WrongValues
from natsmith.log import Log
from natsmith.model.bringing import Brought
from natsmith.model.desired import Desired
from natsmith.model.resources import CONSUMER
from natsmith.views import as_json, brought

WAYS = {"--from": "from_url", "--from-context": "from_context", "--from-connections": "from_connections"}


async def run(args: argparse.Namespace, log: Log) -> int:
    """Bring what another server has, and tell what came."""
    accounts = sessions.accounts(args, ())
    await _leaves(args, accounts, log)
    rows: halfway.Rows = []
    try:
        for account in accounts:
            async with await _former(args, account, log) as source, sessions.server(args, account, log) as target:
                name = await target.user_account() or account
                with screen.progress(f"account {account}", Report(), "bringing") as progress:
                    what = _bringing(args, source, target, log, {}, progress)
                    rows.append((name, what.rows))
                    await bring(what)
    except halfway.FAILURES as failure:
        return halfway.told(args, rows, "brought", failure, log)
    if args.output == "json":
        screen.document(as_json.brought("bring", rows, Exit.DONE))
        return Exit.DONE
    screen.table(brought.table(rows))
    screen.line(brought.summary([each for _, some in rows for each in some]))
    return Exit.DONE


async def _leaves(args: argparse.Namespace, accounts: tuple[str, ...], log: Log) -> None:
    """Raise WrongValues where a stream is to be left that is in none of the accounts."""
    if not args.leave:
        return
    have: set[str] = set()
    for account in accounts:
        async with await _former(args, account, log) as source:
            where = source.link.where
            have |= {each.config["name"] for each in await source.streams()}
    if strange := slip("--leave", args.leave, have, where):
        raise WrongValues(strange)


async def before(args: argparse.Namespace, desired: Desired, accounts: tuple[str, ...], log: Log) -> None:
    """Bring what the file of ``--bring`` names, before anything is planned: an object that is missing would be made empty."""
    if not args.bring:
        return
    named = from_file(Path(args.bring))
    began = clock()
    have: set[str] = set()
    for account in accounts:
        if account not in named:
            continue
        wanted = {
            each.stream: int(each.get("replicas") or 1) for each in desired.of(account) if each.kind is not CONSUMER
        }
        wanted[state.STREAM] = max(wanted.values(), default=1)
        # The other one first: where Kubernetes replaces one server by several, all of these are new ones when it is there.
        async with (
            await connect(named[account], timeout=args.timeout, log=log) as source,
            sessions.server(args, account, log) as target,
        ):
            left = None if args.within is None else max(args.within - (clock() - began), 1.0)
            some = await _in_time(args, source, target, account, log, wanted, left)
        have |= {each.stream for each in some}
        summary = brought.summary(some)
        if args.output == "json":  # standard output is the document of what apply does
            log.info("brought", account=account, streams=summary)
        else:
            screen.line(f"Account {account}: {summary}")
    # No more than a warning: what was in memory is gone with the server that was restarted, and all else has come.
    if strange := slip("--leave, or nats.grow.leave in the chart,", args.leave, have, "the former server"):
        log.warn(strange)
    if args.within is not None:
        args.within = max(args.within - (clock() - began), 1.0)


class Pace(Progress):
    """Knows how far the stream is that comes, and since when."""

    stream, sent, of, began = "", 0, 0, 0.0

    def copied(self, stream: str, done: int, of: int) -> None:
        """Keep it."""
        if stream != self.stream:
            self.stream, self.began = stream, clock()
        self.sent, self.of = done, of

    def told(self, seconds: float, file: str) -> str:
        """Return a sentence of what could not come in so many seconds, and the cures."""
        where = f"stream {self.stream} was the one that did not: {self.sent} of at most {self.of} bytes came in {clock() - self.began:.0f} s"
        return (
            f"not all streams came within {seconds:.0f} s, which is what the run had left{f'; {where}' if self.stream else ''}. "
            "A stream comes whole, or next time anew; those before it are there, and stay. "
            "Raise provisioner.deadlineSeconds, and helm's --timeout above it; or bring it where nothing ends it, in the toolbox: "
            f"natsmith bring --from-connections {file}. Then upgrade again"
        )


async def _in_time(
    args: argparse.Namespace,
    source: JetStream,
    target: JetStream,
    account: str,
    log: Log,
    wanted: dict[str, int],
    seconds: float | None,
) -> list[Brought]:
    """Bring an account's streams; raise DecisionNeeded where *seconds* are not enough: another attempt would have no more."""
    pace = Pace()
    try:
        async with asyncio.timeout(seconds) as limit:
            return await bring(_bringing(args, source, target, log, wanted, pace))
    except TimeoutError:
        if not limit.expired():
            raise
        raise DecisionNeeded(f"account {account}: {pace.told(seconds or 0, args.bring)}") from None


def _bringing(
    args: argparse.Namespace,
    source: JetStream,
    target: JetStream,
    log: Log,
    wanted: dict[str, int],
    progress: Progress,
) -> Bringing:
    if source.link.greeting.get("server_id") == target.link.greeting.get("server_id"):
        raise WrongValues(f"{source.link.where} and {target.link.where} are the same server: --from names another one")
    return Bringing(
        source=FromServer(source),
        target=target,
        log=log,
        progress=progress,
        leave=args.leave,
        replicas=wanted,
        timeout=args.timeout,
    )


async def _former(args: argparse.Namespace, account: str, log: Log) -> JetStream:
    """Connect to the account on the server that streams are brought from."""
    return await connect(_connection(args, account), timeout=args.timeout, log=log)


def _connection(args: argparse.Namespace, account: str) -> Connection:
    given = [flag for flag, name in WAYS.items() if getattr(args, name)]
    if len(given) != 1:
        said = f"{' and '.join(given)} both say" if given else "nothing says"
        raise WrongValues(
            f"natsmith bring brings from one server, but {said} which: "
            "write one of --from URL, --from-context NAME and --from-connections FILE"
        )
    if args.from_connections:
        named = from_file(Path(args.from_connections))
        if account not in named:
            raise WrongValues(f"--from-connections names {', '.join(named)}, but no connection for {account}: add it")
        return named[account]
    if args.from_context:
        others = {name: value for name, value in os.environ.items() if not name.startswith("NATS_")}
        only = argparse.Namespace(context=args.from_context)
        return connections.from_environment(others, only, home=connections.home_directory())
    # As whoever connects to the other one, unless the address itself says who.
    here = sessions.connection(args, account)
    there = connections.from_environment({}, argparse.Namespace(server=args.from_url), home=None)
    if there.user or there.token:
        return there
    return replace(here, server=there.server)
