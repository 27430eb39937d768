"""Servers load what changed in their files: by the verb, and before the chart's Job applies."""

from __future__ import annotations

import argparse
from pathlib import Path

from natsmith.actions.reloading import load, refused, reload_all
from natsmith.adapters import connections
from natsmith.adapters.connections_file import from_file
from natsmith.adapters.system import connect_system
from natsmith.cli import screen, sessions
from natsmith.clock import clock
from natsmith.errors import DecisionNeeded, Exit, WrongValues
from natsmith.log import Log
from natsmith.model.loading import TAG
from natsmith.views import as_json, text


async def run(args: argparse.Namespace, log: Log) -> int:
    """Have the servers reload, and tell what each answered."""
    _check(args.expect, "--expect")
    account = _one(sessions.accounts(args, ()), "the connections file")
    async with await connect_system(sessions.connection(args, account), timeout=args.timeout, log=log) as system:
        if args.expect:
            now = await load(system, args.expect, count=args.servers, within=args.timeout, log=log)
            answers = [*now.current, *now.leaving]
        else:
            answers = await reload_all(system, count=args.servers)
    code = Exit.DECISION_NEEDED if any(each.refusal for each in answers) else Exit.DONE
    if args.output == "json":
        screen.document(as_json.reloaded(answers, code))
        return code
    screen.table(text.server_row(each, args.expect) for each in answers)
    if code:
        raise DecisionNeeded(*refused({each.name: each.refusal for each in answers if each.refusal}))
    screen.line(text.loaded(answers, args.expect))
    return code


async def before(args: argparse.Namespace, log: Log) -> None:
    """Have the servers load what the values say of them, before anything logs in that they may not know yet."""
    if not args.reload:
        return
    _check(args.reload_expect, "--reload-expect", needed=True)
    began = clock()
    above = connections.overrides(args, home=connections.home_directory())
    named = from_file(Path(args.reload), above)
    _one(tuple(named), args.reload)
    async with await connect_system(*named.values(), timeout=args.timeout, log=log) as system:
        within = min(args.reload_within, args.within or args.reload_within)
        await load(system, args.reload_expect, count=args.reload_servers, within=within, log=log)
    if args.within is not None:
        args.within = max(args.within - (clock() - began), 1.0)


def _one(named: tuple[str, ...], file: str) -> str:
    """Return the only account that *file* names."""
    if len(named) > 1:
        raise WrongValues(
            f"{file} names connections for {', '.join(named)}, but servers are asked by one user, of the system account: "
            "in a pod of the chart's toolbox that is --connections /etc/natsmith/reloader.yaml"
        )
    return named[0]


def _check(expected: str, flag: str, *, needed: bool = False) -> None:
    if (expected or needed) and not TAG.fullmatch(expected):
        raise WrongValues(
            f"{flag} is {expected!r}, but must be a tag that the chart gave, such as natsmith:0123456789ab-…"
        )
