"""Backups are made and restored."""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from natsmith.actions.apply import now
from natsmith.actions.backing_up import BackingUp, back_up
from natsmith.actions.bringing import Bringing, bring, look
from natsmith.adapters.backup import FromBackup, read
from natsmith.adapters.backup_tar import STANDARD, streamed, unpacked
from natsmith.adapters.backup_writer import writing
from natsmith.adapters.jetstream import JetStream
from natsmith.adapters.sources import FromServer
from natsmith.cli import halfway, screen, sessions
from natsmith.cli.chosen import slip
from natsmith.cli.halfway import Rows
from natsmith.cli.report import Report
from natsmith.errors import DecisionNeeded, Exit, WrongValues
from natsmith.log import Log
from natsmith.views import as_json, brought


async def backup(args: argparse.Namespace, log: Log) -> int:
    """Write every stream of the accounts into a directory, and tell what is in it."""
    accounts = sessions.accounts(args, ())
    rows: Rows = []
    tarred = args.directory == STANDARD
    if tarred and args.output == "json":
        raise WrongValues("natsmith backup - writes the backup itself to standard output: leave --output json out")
    async with AsyncExitStack() as stack:
        if tarred:
            writer = await stack.enter_async_context(streamed(now()))
        else:
            writer = stack.enter_context(writing(Path(args.directory), now()))
        for account in accounts:
            async with sessions.server(args, account, log) as server:
                name = account if account != sessions.UNNAMED else await server.user_account() or account
                source = FromServer(server)
                with screen.progress(f"account {name}", Report(), "backing up") as bars:
                    some = await back_up(
                        BackingUp(
                            source=source,
                            writer=writer,
                            account=name,
                            log=log,
                            leave=args.leave,
                            progress=bars,
                            timeout=args.timeout,
                        )
                    )
                rows.append((name, some))
        # No more than a warning: what is left may go, as streams in memory do, and backups are to be made all the same.
        if strange := slip("--leave", args.leave, {one.stream for _, some in rows for one in some}, "the server"):
            log.warn(strange)
        if tarred:  # whose reader may stall
            await asyncio.to_thread(writer.finish)
        else:
            writer.finish()
    return _told(args, rows, "backed up", quiet=tarred)


async def restore(args: argparse.Namespace, log: Log) -> int:
    """Bring what a backup holds; nothing is sent before all of it was looked at, in every account."""
    if args.directory == STANDARD:
        async with unpacked() as place:
            return await _restore(args, place, log)
    return await _restore(args, Path(args.directory), log)


async def _restore(args: argparse.Namespace, place: Path, log: Log) -> int:
    pairs = _only(args, _pairs(args, await asyncio.to_thread(read, place, args.only)))
    problems: list[str] = []
    for account, source in pairs.items():
        async with sessions.server(args, account, log) as target:
            try:
                await look(_bringing(args, source, target, log))
            except DecisionNeeded as error:
                problems += error.problems
    if problems:
        raise DecisionNeeded(*problems)
    rows: Rows = []
    try:
        for account, source in pairs.items():
            async with sessions.server(args, account, log) as target:
                what = _bringing(args, source, target, log)
                rows.append((await target.user_account() or account, what.rows))
                await bring(what)
    except halfway.FAILURES as failure:
        return halfway.told(args, rows, "restored", failure, log)
    return _told(args, rows, "restored")


def _bringing(args: argparse.Namespace, source: FromBackup, target: JetStream, log: Log) -> Bringing:
    return Bringing(
        source=source,
        target=target,
        log=log,
        leave=args.leave,
        notes=False,
        fewer=True,
        timeout=args.timeout,
    )


def _pairs(args: argparse.Namespace, found: dict[str, FromBackup]) -> dict[str, FromBackup]:
    """Return what is restored into which account of the run's connections."""
    accounts = sessions.accounts(args, ())
    if len(found) == 1 and len(accounts) == 1:  # into an account of another name, too
        return dict(zip(accounts, found.values(), strict=True))
    if args.account and args.account in found:
        return {args.account: found[args.account]}
    named = ", ".join(found)
    if not args.account and all(each in accounts for each in found):
        return found
    raise WrongValues(
        f"the backup has the accounts {named}, but the connection is of {', '.join(accounts)}: pick one with --account, "
        "or name each one's connection in a file with --connections; "
        f"to restore one into an account of another name, name its own directory in {args.directory}"
    )


def _only(args: argparse.Namespace, pairs: dict[str, FromBackup]) -> dict[str, FromBackup]:
    """Return the accounts that have what is asked for; raise WrongValues where none has what is named."""
    have = {name for each in pairs.values() for name in each.names}
    slips = [slip(flag, named, have, "the backup") for flag, named in (("--only", args.only), ("--leave", args.leave))]
    if any(slips):
        raise WrongValues(*(each for each in slips if each))
    return {account: each for account, each in pairs.items() if each.kept or not args.only}


def _told(args: argparse.Namespace, rows: Rows, done: str, *, quiet: bool = False) -> int:
    missed = any(one.fate == "left out" and not one.meant for _, some in rows for one in some)
    code = Exit.DECISION_NEEDED if missed else Exit.DONE
    if args.output == "json":
        screen.document(as_json.brought(args.verb, rows, code))
        return code
    table = brought.table(rows, done)
    last = brought.summary([each for _, some in rows for each in some], done)
    if quiet:  # standard output is the backup
        print("\n".join(screen.visible(text) for text in (*(row.sentence for row in table), last)), file=sys.stderr)
        return code
    screen.table(table)
    screen.line(last)
    return code
