"""The verbs of the service registry: what is there, what happens, what is to be cleaned away, and what is wrong."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import re
import shlex
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from natsmith.actions.doctor import examine
from natsmith.actions.registry import clean
from natsmith.cli import screen, sessions
from natsmith.clock import clock
from natsmith.errors import DecisionNeeded, Exit, NotReady, WrongValues
from natsmith.log import Log
from natsmith.registry.changes import Change
from natsmith.registry.errors import NoBucket
from natsmith.registry.findings import findings
from natsmith.registry.line import Line
from natsmith.registry.snapshot import Entries, Leaders
from natsmith.registry.view import View
from natsmith.views import registry as text
from natsmith.views import registry_json as as_json

LIBRARY = logging.getLogger("natsmith.registry")


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A connection to one account, as the registry uses it."""

    account: str
    server: str
    line: Line


async def _list(args: argparse.Namespace, log: Log) -> int:
    """Show every entry, the stale ones too, and who leads."""
    async with _opened(args, log) as session:
        async with Entries(session.line, args.bucket, timeout=args.timeout) as entries:
            found, now, bucket = entries.all(), entries.now(), entries.bucket
        leaders = await _leaders(args, session.line, log)
    if args.output == "json":
        screen.document(as_json.listing(session.account, bucket, found, now, leaders))
        return Exit.DONE
    screen.table(
        [text.entry_row(each, bucket, now) for each in found] + [text.leader_row(each) for each in leaders or ()]
    )
    screen.line(text.listed(found, len(leaders or ()), bucket, now))
    return Exit.DONE


async def _leaders(args: argparse.Namespace, line: Line, log: Log) -> list[text.Led] | None:
    """Return who leads; None where there is no bucket of elections, or none that may be read."""
    try:
        async with Leaders(line, args.elections, timeout=args.timeout) as leaders:
            now = leaders.now()
            return [
                text.Led(group=each.group, id=each.id, token=each.token, ttl=each.ttl, age=max(0.0, now - each.heard))
                for each in leaders.all()
            ]
    except NoBucket:
        return None
    except DecisionNeeded as error:
        log.warn(f"who leads is not known: {error}")
        return None


async def _watch(args: argparse.Namespace, log: Log) -> int:
    """Tell what happens, until somebody ends it."""
    counts: Counter[str] = Counter()
    began = clock()
    async with _opened(args, log) as session:
        view = View(session.line, args.bucket)
        try:
            async with asyncio.timeout(args.timeout):
                await view.open()
        except TimeoutError:
            raise NotReady(f"bucket {args.bucket} was not read within {args.timeout:g} s: try again later") from None
        # Ctrl-C and SIGTERM are how a watch ends.
        with suppress(asyncio.CancelledError, TimeoutError):
            async with asyncio.timeout(args.seconds):
                async for change in view.watch(None):
                    counts[change.kind.value] += 1
                    _tell(args, change, session.line.now())
                    if getattr(sys.stdout, "lost", None):
                        break  # nobody reads it any more
        await view.close()
    if args.output == "text":
        screen.line(text.watched(counts, clock() - began))
    return Exit.DONE


def _tell(args: argparse.Namespace, change: Change, now: float) -> None:
    if args.output == "json":
        print(json.dumps(as_json.change(change.kind.value, change.instance, now)))
    else:
        screen.table([text.change_row(change.kind.value, change.instance, now)])
    sys.stdout.flush()


async def _clean(args: argparse.Namespace, log: Log) -> int:
    """Remove what is stale, shut down, or unhealthy and silent."""
    async with (
        _opened(args, log) as session,
        Entries(session.line, args.bucket, timeout=args.timeout) as entries,
    ):
        found, now, bucket = entries.all(), entries.now(), entries.bucket
        gone = await clean(session.line, bucket, found, now, unread=args.unread, dry_run=args.dry_run)
    keys = {each.found.key for each in gone}
    left = [each for each in found if each.instance is None and each.key not in keys]
    if args.output == "json":
        rows = [(each.found, each.why, each.fate) for each in gone]
        screen.document(as_json.cleaned(session.account, bucket, rows, left, now, dry_run=args.dry_run))
        return Exit.DONE
    screen.table(
        [*(text.cleaned_row(each.found, why=each.why, fate=each.fate) for each in gone), *map(text.left_row, left)]
    )
    fates = [each.fate for each in gone]
    screen.line(text.cleaned(fates, left=len(left), unread=args.unread, of=len(found), command=_command(args)))
    return Exit.DONE


def _command(args: argparse.Namespace) -> str:
    """Return the clean that goes with a dry run; connections come from the environment again."""
    words = ["natsmith", "registry", "clean", *sessions.connection_words(args)]
    for name, usual in (("bucket", "service_registry"), ("account", "")):
        if getattr(args, name) != usual:
            words += [f"--{name}", getattr(args, name)]
    return shlex.join([*words, *(["--unread"] if args.unread else [])])


async def _doctor(args: argparse.Namespace, log: Log) -> int:
    """Answer what one asks when entries stay, or go too soon."""
    async with _opened(args, log) as session:
        facts = await examine(
            session.line,
            server=session.server,
            bucket=args.bucket,
            elections=args.elections,
            longest=args.prove_seconds,
            timeout=args.timeout,
            log=log,
        )
    found = findings(facts)
    code = Exit.DIFFERS if any(each.result == "bad" for each in found) else Exit.DONE
    if facts.bucket is None:
        code = Exit.DECISION_NEEDED
    if args.output == "json":
        screen.document(as_json.diagnosis(session.account, facts, found, code))
        return code
    screen.table(text.finding_row(each) for each in found)
    screen.line(text.diagnosis(found))
    return code


VERBS: Mapping[str, Callable[[argparse.Namespace, Log], Awaitable[int]]] = {
    "registry list": _list,
    "registry watch": _watch,
    "registry clean": _clean,
    "registry doctor": _doctor,
}


@asynccontextmanager
async def _opened(args: argparse.Namespace, log: Log) -> AsyncIterator[Session]:
    """Connect to the one account that has the registry, for a block."""
    for option in ("bucket", "elections"):
        if not re.fullmatch(r"[-_A-Za-z0-9]+", getattr(args, option)):
            raise WrongValues(f"--{option} is no name of a bucket: use letters, digits, - and _")
    if args.bucket == args.elections:
        raise WrongValues(
            f"--bucket and --elections are both {args.bucket}, but leaders have a bucket of their own: "
            "--bucket names the one where services register, --elections the one where they elect leaders"
        )
    accounts = sessions.accounts(args, ())
    if len(accounts) > 1:
        raise WrongValues(
            f"there are connections to several accounts ({', '.join(accounts)}), but a registry is in one: "
            "pick it with --account"
        )
    async with sessions.server(args, accounts[0], log) as server:
        heard = _Heard(log)
        LIBRARY.addHandler(heard)
        try:
            version = f"nats-server {server.link.greeting.get('version', 'of unknown version')} at {server.link.where}"
            account = await server.user_account() or accounts[0]
            yield Session(account=account, server=version, line=Line(server.link.client))
        finally:
            LIBRARY.removeHandler(heard)


class _Heard(logging.Handler):
    """Tells what the library has to tell, as this run tells everything."""

    def __init__(self, log: Log) -> None:
        super().__init__(level=logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Tell it."""
        self._log.warn(record.getMessage())
