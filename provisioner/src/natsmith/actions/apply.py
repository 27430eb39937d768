"""Carrying a plan out: under the lock, from a fresh reading, in safe order, and with each answer compared."""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from functools import partial

import natsmith
from natsmith.actions import lease, state
from natsmith.actions.lease import Lease
from natsmith.actions.observe import IN_FLIGHT, observe
from natsmith.adapters import wire
from natsmith.adapters.server import Config, ConsumerInfo, Refused, Server, StreamInfo
from natsmith.errors import DecisionNeeded, NatsmithError, NotReady, StoppedHalfway, WrongValues
from natsmith.log import Log
from natsmith.model.change import Change, Plan
from natsmith.model.desired import Desired, Resource
from natsmith.model.observed import Observed
from natsmith.model.outcome import Holder, Outcome, Past
from natsmith.model.resources import CONSUMER
from natsmith.planning.check import check_against
from natsmith.planning.compare import compare
from natsmith.planning.plan import plan

LOCAL = "local"
"""Who provisions when nobody says."""

Progress = Callable[[int, int], None]
"""Told how many changes are done, and of how many."""


async def prepare(server: Server, desired: Desired, *, account: str, owner: str) -> tuple[Plan, Observed]:
    """Return the plan for one account; nothing is changed.

    Without an *owner* it is the plan of whoever owns what the values name, so that anybody can look.
    """
    observed = await observe(server, desired, account=account)
    owner = owner or _only_owner(desired, observed, account)
    problems = check_against(desired, observed, account=account, owner=owner)
    if problems:
        raise WrongValues(*problems)
    return plan(desired, observed, account=account, owner=owner), observed


def _only_owner(desired: Desired, observed: Observed, account: str) -> str:
    named = (observed.objects.get(each.id) for each in desired.of(account))
    owners = {found.applied.owner for found in named if found and found.applied}
    return owners.pop() if len(owners) == 1 else LOCAL


def refuse_blocked(made: Plan) -> None:
    """Raise DecisionNeeded with everything that keeps a plan from being carried out."""
    if made.blocked:
        raise DecisionNeeded(*(f"{change.title}: {change.blocked}" for change in made.blocked))


async def apply(
    server: Server,
    desired: Desired,
    *,
    account: str,
    owner: str,
    log: Log,
    timeout: float,
    expect: str = "",
    progress: Progress = lambda done, of: None,
    lease_seconds: int = lease.SECONDS,
) -> Outcome:
    """Make the account be what *desired* says, or refuse and change nothing."""
    made, _ = await prepare(server, desired, account=account, owner=owner)
    _may_begin(made, expect)
    if not made.changes:
        return Outcome(plan=made)
    began = lease.clock()
    replicas = max((each.get("replicas") for each in desired.of(account)), default=1) or 1
    await state.ensure(server, replicas)
    mine = Holder(owner=owner, who=who(), since=_now())
    async with lease.held(server, mine, log=log, timeout=timeout, seconds=lease_seconds) as lock:
        # Whoever held the lock before may have changed anything.
        made, observed = await prepare(server, desired, account=account, owner=owner)
        _may_begin(made, expect)
        if not made.changes:
            return Outcome(plan=made)
        run = _Run(server, lock, made, log, progress)
        await run.all()
        if run.first_error and not run.done:
            raise run.first_error  # nothing was changed: it is no stop halfway
        outcome = Outcome(
            plan=made,
            done=tuple(run.done),
            failed=tuple(run.failed),
            left=run.left,
            seconds=round(lease.clock() - began, 3),
        )
        if not isinstance(run.first_error, NotReady):  # a server that is gone takes no notes either
            await _record(server, lock, desired, observed, outcome, run.created)
        return outcome


def _may_begin(made: Plan, expect: str) -> None:
    refuse_blocked(made)
    if expect and made.digest != expect:
        raise DecisionNeeded(
            f"the plan for account {made.account} is {made.digest} now, but --expect says {expect}: "
            "look at the new plan, then apply what it says"
        )


class _Run:
    """One carrying-out: what is done, what failed, what is left."""

    def __init__(self, server: Server, lock: Lease, made: Plan, log: Log, progress: Progress) -> None:
        self.server, self.lock, self.plan, self.log, self.progress = server, lock, made, log, progress
        self.done: list[Change] = []
        self.failed: list[tuple[Change, str]] = []
        self.first_error: NatsmithError | None = None
        self.count = len(made.changes)
        self.created: dict[str, str] = {}
        """When each written object was created, by its name on the server."""

    @property
    def left(self) -> tuple[Change, ...]:
        begun = {id(change) for change in self.done} | {id(change) for change, _ in self.failed}
        return tuple(change for change in self.plan.changes if id(change) not in begun)

    async def all(self) -> None:
        """Carry the stages out; after a failure no new change is begun, and those under way are awaited."""
        for stage in self.plan.stages:
            waiting = iter(stage)
            await asyncio.gather(*(self._some(waiting) for _ in range(min(IN_FLIGHT, len(stage)))))
            if self.failed:
                return

    async def _some(self, waiting: Iterator[Change]) -> None:
        for change in waiting:
            if self.failed:
                return
            await self._one(change)

    async def _one(self, change: Change) -> None:
        try:
            self.lock.check()
            await self._carry_out(change)
        except Refused as refusal:
            self.failed.append((change, f"the server refused {refusal.request}: {refusal}"))
        except NatsmithError as error:
            error = self._cause(error)
            self.first_error = self.first_error or error
            self.failed.append((change, str(error)))
        else:
            self.done.append(change)
            self.progress(len(self.done), self.count)

    def _cause(self, error: NatsmithError) -> NatsmithError:
        """Return why a change failed: a run that was paused past its lease finds its requests timed out as well."""
        try:
            self.lock.check()
        except StoppedHalfway as lost:
            return lost
        return error

    async def _carry_out(self, change: Change) -> None:
        steps: dict[str, Callable[[Change], Awaitable[None]]] = {
            "create": self._create,
            "update": self._update,
            "adopt": self._update,
            "stamp": self._update,
            "replace": self._replace,
            "delete": self._delete,
        }
        await steps[change.action](change)

    async def _create(self, change: Change, first_sequence: int = 0) -> None:
        wanted = _wanted(change)
        config = wire.encode(wanted, self.plan.owner)
        if wanted.kind is CONSUMER:
            self._keep(await self.server.put_consumer(wanted.stream, config, verb="create"), config, wanted)
        else:
            if first_sequence:
                config["first_seq"] = first_sequence
            self._keep(await self.server.create_stream(config), config, wanted)

    async def _update(self, change: Change) -> None:
        wanted = _wanted(change)
        dropped = set(change.found.applied.config if change.found and change.found.applied else ()) - set(wanted.config)
        if wanted.kind is CONSUMER:
            await self._update_consumer(wanted, dropped)
            return
        # Read again right before: the newest configuration is what unknown fields are kept from.
        info = await self.server.stream(wanted.stream)
        if info is None:
            raise StoppedHalfway(f"{change.title} was deleted by somebody else meanwhile: run the same command again")
        config = wire.encode(wanted, self.plan.owner, info.config, dropped)
        self.lock.check()  # the reading took time, and the lease may have run out in it
        self._keep(await self.server.update_stream(config), config, wanted)

    async def _update_consumer(self, wanted: Resource, dropped: set[str]) -> None:
        info = await self.server.consumer(wanted.stream, wanted.name)
        if info is None:
            raise StoppedHalfway(f"{wanted.title} was deleted by somebody else meanwhile: run the same command again")
        config = wire.encode(wanted, self.plan.owner, info.config, dropped)
        self.lock.check()
        self._keep(await self.server.put_consumer(wanted.stream, config, verb="update"), config, wanted)

    async def _replace(self, change: Change) -> None:
        """Delete and create; a stream goes on counting where the old one stopped, or watchers would skip what is new."""
        last = 0
        if change.kind is not CONSUMER:
            info = await self.server.stream(change.id.stream)
            last = info.last_sequence if info else 0
            self.lock.check()
        await self._delete(change)
        self.lock.check()
        await self._create(change, last + 1 if last else 0)

    async def _delete(self, change: Change) -> None:
        if change.kind is CONSUMER:
            await self.server.delete_consumer(change.id.stream, change.id.consumer)
        else:
            await self.server.delete_stream(change.id.stream)

    def _keep(self, echo: StreamInfo | ConsumerInfo, sent: Config, wanted: Resource) -> None:
        """Compare what the server says it has now with what it was asked for: old servers drop what they do not know."""
        self.created[str(wanted.id)] = echo.created
        if wire.kept(sent, echo.config):
            return
        dropped = [each.path for each in compare(wanted, wire.decode(echo, wanted)).differences]
        if dropped:
            raise StoppedHalfway(
                f"{wanted.title}: the server took the request but did not keep {', '.join(dropped)}: "
                "it does not know them; upgrade it, or leave them out"
            )


def _wanted(change: Change) -> Resource:
    if change.desired is None:
        raise ValueError(f"{change.action} of {change.title} has nothing that is wanted")
    return change.desired


async def _record(
    server: Server, lock: Lease, desired: Desired, observed: Observed, outcome: Outcome, created: dict[str, str]
) -> None:
    """Keep what was applied and the outcome; when even that fails the outcome is told all the same."""
    made = outcome.plan
    undone = {change.id for change, _ in outcome.failed} | {change.id for change in outcome.left}
    times = {str(key): found.created for key, found in observed.objects.items()} | created
    objects = [
        (each, times[str(each.id)])
        for each in desired.of(made.account)
        if each.id not in undone and str(each.id) in times
    ]
    rows = tuple(f"{change.action} {change.title}" for change in outcome.done)
    past = Past(
        time=_now(),
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
        except (NatsmithError, Refused):
            if outcome.complete:
                raise


def who() -> str:
    """Return who runs this: a person at a machine, or a Job in its pod."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's numeric user has no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
