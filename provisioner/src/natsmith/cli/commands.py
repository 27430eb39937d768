"""The verbs that speak to a server, from arguments to an exit code."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Awaitable, Callable, Mapping

from natsmith.actions import lease, state, verify
from natsmith.actions.apply import LOCAL, prepare
from natsmith.actions.as_application import prove_use, usable
from natsmith.actions.observe import observe
from natsmith.adapters import values
from natsmith.cli import applying, backing_up, bringing, registry, reloading, screen, sessions
from natsmith.cli.report import Report
from natsmith.errors import Exit, WrongValues
from natsmith.log import Log
from natsmith.model.change import Plan
from natsmith.model.desired import Desired
from natsmith.model.outcome import Proof
from natsmith.model.reading import read
from natsmith.planning.check import check
from natsmith.views import as_json, as_values, standing, text


async def run(args: argparse.Namespace, report: Report) -> int:
    """Run one verb."""
    log = Log(format=args.log)
    if args.verb == "apply":
        report.owner = args.owner  # the values, which may say another one, may be wrong
        return await applying.run(args, _desired(args), log, report)
    if args.verb == "monitor":
        from natsmith.cli import monitoring  # noqa: PLC0415  (what serves a page takes 0.2 s and is an extra)

        return await monitoring.run(args, _desired(args) if args.values else None, log)
    return await VERBS[args.verb](args, log)


async def _plan(args: argparse.Namespace, log: Log) -> int:
    desired = _desired(args)
    plans = []
    for account in sessions.accounts(args, desired.accounts):
        async with sessions.server(args, account, log) as server:
            made, _ = await prepare(server, desired, account=account, owner=args.owner or desired.owner)
            plans.append(made)
    code = Exit.DONE
    if any(plan.blocked for plan in plans):
        code = Exit.DECISION_NEEDED
    elif args.check and any(plan.changes for plan in plans):
        code = Exit.DIFFERS
    if args.output == "json":
        screen.document(as_json.plans(plans, code))
        return code
    for warning in (warning for plan in plans for warning in plan.warnings):
        log.warn(warning)
    _show(plans)
    screen.line(text.summary(plans, _command(args, plans)))
    return code


async def _verify(args: argparse.Namespace, log: Log) -> int:
    desired = _desired(args)
    applications = sessions.applications(args, desired.accounts)
    results: list[tuple[Plan, list[Proof]]] = []
    for account in sessions.accounts(args, desired.accounts):
        async with sessions.server(args, account, log) as server:
            plan, observed = await prepare(server, desired, account=account, owner=args.owner or desired.owner)
            wanted = desired.of(account)
            expiring = verify.expiring(wanted, observed)
            proofs = [verify.passive(each) for each in expiring]
            if args.prove:
                keyed = [each for each in verify.keyed(wanted, observed) if each not in expiring]
                proofs += await verify.prove(server, expiring + keyed, log=log)
            if args.in_place:
                proofs += await verify.prove_in_place(server, expiring, log=log)
            if account in applications:
                async with sessions.application(args, applications[account], account, log) as application:
                    proofs += await prove_use(server, application, usable(wanted, observed))
            results.append((plan, proofs))
    return _verified(args, results)


def _verified(args: argparse.Namespace, results: list[tuple[Plan, list[Proof]]]) -> int:
    proofs = [proof for _, each in results for proof in each]
    differ = sum(len(plan.changes) for plan, _ in results)
    code = Exit.DIFFERS if differ or any(proof.result == "fails" for proof in proofs) else Exit.DONE
    if args.output == "json":
        screen.document(as_json.verified(results, code))
        return code
    _show([plan for plan, _ in results])
    screen.table(text.proof_row(proof) for proof in proofs)
    latched = sum(len(plan.told) for plan, _ in results)
    screen.line(text.verdict(differ, proofs, told=latched, active=args.prove or args.in_place))
    return code


async def _status(args: argparse.Namespace, log: Log) -> int:
    found = []
    for account in sessions.accounts(args, ()):
        async with sessions.server(args, account, log) as server:
            observed = await observe(server, Desired(), account=account)
            has_state = await server.stream(state.STREAM) is not None
            holder = await lease.holder(server) if has_state else None
            found.append((await server.user_account() or account, observed, holder, await state.outcomes(server)))
    if args.output == "json":
        screen.document(as_json.status(found))
        return Exit.DONE
    for account, observed, holder, pasts in found:
        screen.table(standing.status_rows(observed.objects.values()))
        screen.table(standing.full_rows(account, observed))
        if holder:
            screen.line(standing.holder(holder))
        screen.line(standing.account_line(account, observed, pasts))
    return Exit.DONE


async def _export(args: argparse.Namespace, log: Log) -> int:
    accounts = sessions.accounts(args, ())
    if len(accounts) > 1:
        raise WrongValues("export prints one account, but the connections file names several: add --account")
    async with sessions.server(args, accounts[0], log) as server:
        observed = await observe(server, Desired(), account=accounts[0], everything=True)
    document = as_values.values(observed)
    if args.output == "json":
        screen.document(document)
    else:
        print(as_values.as_yaml(document), end="")
    return Exit.DONE


async def _history(args: argparse.Namespace, log: Log) -> int:
    found = []
    for account in sessions.accounts(args, ()):
        async with sessions.server(args, account, log) as server:
            found.append((await server.user_account() or account, await state.outcomes(server)))
    if args.output == "json":
        screen.document(as_json.history(found))
        return Exit.DONE
    for account, pasts in found:
        screen.table(text.past_row(past) for past in pasts)
        screen.line(f"Account {account}: {text.plural(len(pasts), 'run')} remembered.")
    return Exit.DONE


VERBS: Mapping[str, Callable[[argparse.Namespace, Log], Awaitable[int]]] = {
    "plan": _plan,
    "verify": _verify,
    "status": _status,
    "export": _export,
    "history": _history,
    "reload": reloading.run,
    "bring": bringing.run,
    "backup": backing_up.backup,
    "restore": backing_up.restore,
    **registry.VERBS,
}


def _desired(args: argparse.Namespace) -> Desired:
    desired, problems = read(values.load(args.values, args.sets, stdin=sys.stdin.buffer))
    problems += check(desired)
    if problems:
        raise WrongValues(*problems)
    return desired


def _show(plans: list[Plan]) -> None:
    for plan in plans:
        screen.table(text.rows(plan, several=len(plans) > 1))
    for sentence in text.blocked(plans):
        screen.line(sentence)


def _command(args: argparse.Namespace, plans: list[Plan]) -> str:
    """Return the apply that goes with a plan; connections come from the environment again."""
    words = ["natsmith", "apply", *sessions.connection_words(args)]
    for file in args.values:
        words += ["-f", file]
    for each in args.sets:
        words += ["--set", each]
    owners = {plan.owner for plan in plans}
    if owners != {LOCAL} and len(owners) == 1:
        words += ["--owner", owners.pop()]
    if args.account:
        words += ["--account", args.account]
    return shlex.join(words)
