"""The verb that changes something: every account is planned before the first is changed, and what came of it is told."""

from __future__ import annotations

import argparse

from natsmith.actions.apply import LOCAL, PlanRefused, apply, prepare, refuse_blocked
from natsmith.adapters.server import Refused
from natsmith.cli import bringing, reloading, screen, sessions
from natsmith.cli.report import Report
from natsmith.errors import DecisionNeeded, Exit, NatsmithError, WrongValues
from natsmith.log import Log
from natsmith.model.desired import Desired
from natsmith.model.outcome import Outcome
from natsmith.views import as_json, text


async def run(args: argparse.Namespace, desired: Desired, log: Log, report: Report) -> int:
    """Make the accounts be what *desired* says, and tell what was done."""
    report.owner = owner = args.owner or desired.owner or LOCAL
    accounts = sessions.accounts(args, desired.accounts)
    # The former server is there when all servers are new ones: one that is about to end is asked for nothing.
    await bringing.before(args, desired, accounts, log)
    await reloading.before(args, log)
    if len(accounts) > 1:
        if args.expect:
            raise WrongValues("--expect names one account's plan, but there are several: add --account")
        # A refused plan changes nothing, in no account.
        for account in accounts:
            async with sessions.server(args, account, log) as server:
                made, _ = await prepare(server, desired, account=account, owner=owner)
                refuse_blocked(made)
    outcomes = report.outcomes
    error: NatsmithError | None = None
    for account in accounts:
        try:
            outcomes.append(await _one(args, desired, account, log, report))
        except Refused as refusal:
            if not any(outcome.done for outcome in outcomes):
                raise
            error = DecisionNeeded(f"account {account}: the server refused {refusal.request}: {refusal}")
        except NatsmithError as failure:
            if isinstance(failure, PlanRefused) and args.output == "text":
                plan = failure.plan
                planned = [*(text.change_rows(plan, each) for each in plan.changes), text.told_rows(plan)]
                screen.table(text.at_most(screen.room(), planned, "natsmith plan tells"))
            if not any(outcome.done for outcome in outcomes):
                raise
            error = failure
        if error or not outcomes[-1].complete:
            break
    report.problems += error.problems if error else ()
    return _told(args, outcomes, error, log)


async def _one(args: argparse.Namespace, desired: Desired, account: str, log: Log, report: Report) -> Outcome:
    async with sessions.server(args, account, log) as server:
        with screen.progress(f"account {account}", report) as progress:
            outcome = await apply(
                server,
                desired,
                account=account,
                owner=report.owner,
                log=log,
                timeout=args.timeout,
                expect=args.expect,
                progress=progress,
                within=args.within,
            )
    report.under_way = 0
    return outcome


def _told(args: argparse.Namespace, outcomes: list[Outcome], error: NatsmithError | None, log: Log) -> int:
    complete = error is None and all(each.complete for each in outcomes)
    code = Exit.DONE if complete else Exit.STOPPED_HALFWAY
    if args.output == "json":
        screen.document(as_json.outcomes(outcomes, code, error.problems if error else ()))
        return code
    several = len(outcomes) > 1
    changed = [text.change_rows(one.plan, each, several=several) for one in outcomes for each in one.done]
    screen.table(text.at_most(screen.room(), changed, "natsmith history, or --output json, tells"))
    for one in outcomes:
        screen.table(text.told_rows(one.plan, several=several))
    if complete:
        screen.line(text.done(outcomes))
        return code
    for sentence in (*text.failures(outcomes), *(error.problems if error else ())):
        log.fail(sentence)
    done = sum(len(each.done) for each in outcomes)
    left = sum(len(each.left) + len(each.failed) for each in outcomes)
    log.fail(
        f"stopped halfway: {text.plural(done, 'change')} done, {left} not. "
        "Mend what is named above and run the same command again: it goes on from here"
    )
    return code
