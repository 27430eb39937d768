"""Making an account be what values say: planned, refused or carried out under the lock, and remembered."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial

import natsmith
from natsmith.actions import lease, state
from natsmith.actions.carry_out import Progress, Run
from natsmith.actions.lease import Lease
from natsmith.actions.observe import observe
from natsmith.adapters.server import Refused, Server
from natsmith.clock import clock
from natsmith.errors import DecisionNeeded, NatsmithError, NotReady, WrongValues
from natsmith.log import Log
from natsmith.model.change import Change, Plan
from natsmith.model.desired import Desired
from natsmith.model.observed import Observed
from natsmith.model.outcome import Holder, Outcome, Past
from natsmith.model.resources import CONSUMER
from natsmith.model.units import write_time
from natsmith.planning import moves
from natsmith.planning.check import check_against
from natsmith.planning.plan import plan

HOOK_MARGIN = 60
"""Seconds that a Job needs beside what it does: to start, to connect, to wait for a lock."""

LOCAL = "local"
"""Who provisions when nobody says."""


async def prepare(server: Server, desired: Desired, *, account: str, owner: str) -> tuple[Plan, Observed]:
    """Return the plan for one account; nothing is changed.

    Without an *owner* it is the plan of whoever owns what the values name, so that anybody can look.
    """
    observed = await observe(server, desired, account=account)
    return planned(desired, observed, account, owner), observed


def planned(desired: Desired, observed: Observed, account: str, owner: str) -> Plan:
    """Return the plan from what was observed, or raise WrongValues where the values cannot be true there."""
    owner = owner or _only_owner(desired, observed, account)
    problems = check_against(desired, observed, account=account, owner=owner)
    if problems:
        raise WrongValues(*problems)
    return plan(desired, observed, account=account, owner=owner)


def _only_owner(desired: Desired, observed: Observed, account: str) -> str:
    named = (observed.objects.get(each.id) for each in desired.of(account))
    owners = {found.applied.owner for found in named if found and found.applied}
    return owners.pop() if len(owners) == 1 else LOCAL


class PlanRefused(DecisionNeeded):
    """A plan that waits for decisions; it changes nothing."""

    def __init__(self, made: Plan) -> None:
        super().__init__(*(f"{change.title}: {change.blocked}" for change in made.blocked))
        self.plan = made


def refuse_blocked(made: Plan) -> None:
    """Raise PlanRefused with everything that keeps a plan from being carried out."""
    if made.blocked:
        raise PlanRefused(made)


async def apply(
    server: Server,
    desired: Desired,
    *,
    account: str,
    owner: str,
    log: Log,
    timeout: float,
    expect: str = "",
    progress: Progress | None = None,
    within: float | None = None,
    lease_seconds: int = lease.SECONDS,
) -> Outcome:
    """Make the account be what *desired* says, or refuse and change nothing.

    *within* so many seconds it has to be over: a move that may take longer is not begun.
    """
    until = clock() + (within or FOR_EVER)
    made, before = await prepare(server, desired, account=account, owner=owner)
    _may_begin(made, expect, until)
    if not made.changes:
        return Outcome(plan=made)
    began = clock()
    replicas = max((each.get("replicas") for each in desired.of(account)), default=1) or 1
    await state.ensure(server, replicas)
    mine = Holder(owner=owner, who=who(), since=now())
    async with lease.held(server, mine, log=log, timeout=timeout, seconds=lease_seconds) as lock:
        # Whoever held the lock before may have changed anything; where nobody did, the plan stands.
        observed = await observe(server, desired, account=account)
        if observed != before:
            made = planned(desired, observed, account, owner)
            _may_begin(made, expect, until)
            if not made.changes:
                return Outcome(plan=made)
        run = Run(server, lock, made, desired, observed, log=log, progress=progress or Progress(), until=until)
        await run.all()
        if run.failed and not run.done and not run.wrote:
            # Nothing was changed: it is no stop halfway.
            family = type(run.first_error) if run.first_error else WrongValues
            raise family(*run.reasons)
        outcome = Outcome(
            plan=made,
            done=run.in_order,
            failed=tuple(run.failed),
            left=run.left,
            seconds=round(clock() - began, 3),
        )
        if not isinstance(run.first_error, NotReady):  # a server that is gone takes no notes either
            await _record(server, lock, desired, observed, outcome, run.created, log)
        return outcome


FOR_EVER = 10 * 365 * 86400.0


def _may_begin(made: Plan, expect: str, until: float) -> None:
    refuse_blocked(made)
    beginning = [
        each
        for each in made.changes
        if each.action == "move" and each.kind is not CONSUMER and each.found and not each.found.moving
    ]
    need = sum(moves.needs(each.found, each.desired).seconds for each in beginning if each.found)
    left = until - clock()
    if need > left:
        names = ", ".join(each.title for each in beginning)
        raise DecisionNeeded(
            f"moving {names} may take {need:.0f} s, but this run has to be over in {left:.0f} s. Nothing was changed. "
            f"In a Helm hook, allow more with provisioner.deadlineSeconds: {need + HOOK_MARGIN:.0f} and helm's --timeout, "
            f"on a clock with drift.deadlineSeconds: {need + HOOK_MARGIN:.0f}; "
            "or run `natsmith apply` with the same values where no time is set, and then the upgrade"
        )
    if expect and made.digest != expect:
        raise DecisionNeeded(
            f"the plan for account {made.account} is {made.digest} now, but --expect says {expect}: "
            "look at the new plan, then apply what it says"
        )


async def _record(
    server: Server,
    lock: Lease,
    desired: Desired,
    observed: Observed,
    outcome: Outcome,
    created: dict[str, str],
    log: Log,
) -> None:
    """Keep what was applied and the outcome; when even that fails the outcome is told all the same."""
    made = outcome.plan
    undone = {change.id for change, _ in outcome.failed} | {change.id for change in outcome.left}
    times = {str(key): found.created for key, found in observed.objects.items()} | created
    consents = {change.id: bool(change.consent) for change in outcome.done}
    objects = []
    for each in desired.of(made.account):
        if each.id not in undone and str(each.id) in times:
            found = observed.objects.get(each.id)
            used = found.applied.consents if found and found.applied else 0
            objects.append((each, times[str(each.id)], used + consents.get(each.id, False)))
    rows = tuple(_told(change) for change in outcome.done)
    past = Past(
        time=now(),
        owner=made.owner,
        version=natsmith.__version__,
        who=who(),
        seconds=outcome.seconds,
        result="done" if outcome.complete else "stopped halfway",
        rows=rows[: state.ROWS_KEPT],
        count=len(rows),
    )
    steps: tuple[Callable[[], Awaitable[None]], ...] = (
        partial(state.remember, server, made.owner, objects),
        partial(state.add_outcome, server, past),
    )
    for step in steps:
        try:
            lock.check()
            await step()
        except (NatsmithError, Refused) as error:
            # Objects carry what was applied themselves; what was done is done.
            log.warn(f"the state bucket natsmith_state could not be written: {error}")


def _told(change: Change) -> str:
    """Return a change as the history keeps it, with the values to go back to."""
    moved = [f"{each.path} {each.old} -> {each.new}" for each in change.differences]
    return f"{change.action} {change.title}" + (f" ({', '.join(moved)})" if moved else "")


def who() -> str:
    """Return who runs this: a person at a machine, or a Job in its pod."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's numeric user has no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def now() -> str:
    """Return the time, as the lock and the outcomes have it."""
    return write_time(datetime.now(UTC).replace(microsecond=0))
