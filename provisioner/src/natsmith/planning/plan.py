"""The plan: from what is wanted and what was found to the changes between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from natsmith.model.change import Change, Plan
from natsmith.model.desired import Desired, Id, Resource
from natsmith.model.observed import Found, Observed
from natsmith.model.resources import CONSUMER
from natsmith.planning import consent
from natsmith.planning.check import warnings
from natsmith.planning.compare import compare
from natsmith.planning.decide import Decider
from natsmith.planning.order import in_stages


def plan(desired: Desired, observed: Observed, *, account: str, owner: str) -> Plan:
    """Return what must happen for *observed* to become *desired*.

    Nothing is contacted: the same values always give the same plan.
    """
    wanted = desired.of(account)
    decider = _decider(desired, observed, account, owner)
    changes: list[Change] = []
    told: list[Change] = []
    replaced: set[str] = set()
    renamed: dict[str, str] = {}
    for resource in wanted:
        found = observed.objects.get(resource.id)
        if resource.kind is CONSUMER and resource.stream in replaced:
            found = None  # it dies with its stream, which the values name before it
        if resource.kind is CONSUMER and resource.stream in renamed:
            old = observed.objects.get(Id(renamed[resource.stream], resource.name))
            found = replace(old, stream=resource.stream) if old else None  # it is carried with its stream
        change = decider.wanted(resource, found)
        if change:
            changes.append(change)
            if change.action == "move" and change.found and change.found.stream != change.id.stream:
                renamed[change.id.stream] = change.found.stream
            if change.action == "replace" and change.kind is not CONSUMER:
                replaced.add(change.id.stream)
        if found and resource.off:
            latched = compare(resource, found, level=observed.level).latched
            if latched:
                told.append(decider.latched(resource, found, latched))
    for found in _orphans(wanted, observed, owner):
        each = decider.unwanted(found)
        (changes if each.writes else told).append(each)
    return Plan(
        account=account,
        owner=owner,
        stages=in_stages(changes, work_queues={name for name in observed.streams if _work_queue(observed, name)}),
        told=tuple(told),
        warnings=tuple(warnings(change.desired for change in changes if change.desired)),
        unchanged=len(wanted) - sum(1 for change in changes if change.desired),
    )


def again(change: Change, fresh: Found, desired: Desired, observed: Observed, *, owner: str) -> Change | None:
    """Return the change that *fresh*, read right before writing, needs now instead of *change*."""
    decider = _decider(desired, observed, change.account, owner)
    return decider.wanted(change.desired, fresh) if change.desired else decider.unwanted(fresh)


def _decider(desired: Desired, observed: Observed, account: str, owner: str) -> Decider:
    named = frozenset(each.id for each in desired.of(account))
    return Decider(observed=observed, policy=desired.policy, account=account, owner=owner, named=named)


def questions(desired: Desired, observed: Observed, *, account: str) -> Iterator[tuple[Found, str, int]]:
    """Yield what the server has to be asked before the plan can tell a fate: an object, what about, the new limit."""
    for resource in desired.of(account):
        found = observed.objects.get(resource.id)
        if found is None and resource.renamed_from:
            old = observed.objects.get(Id(resource.renamed_stream))
            found = replace(old, name=resource.name) if old else None
        if found and found.messages:
            for difference in compare(resource, found, level=observed.level).differences:
                about = consent.asks(difference)
                if about:
                    yield found, about, difference.new


def _orphans(wanted: tuple[Resource, ...], observed: Observed, owner: str) -> Iterator[Found]:
    """Yield what this owner applied once and the values no longer name."""
    named = {resource.id for resource in wanted}
    old = {each.stream: each.renamed_stream for each in wanted if each.renamed_from}
    named |= {Id(each) for each in old.values()}
    named |= {Id(old[each.stream], each.name) for each in wanted if each.kind is CONSUMER and each.stream in old}
    for found in observed.objects.values():
        applied = found.applied
        if applied and applied.owner == owner and found.id not in named:
            # A consumer goes with its stream; alone it is an orphan only where the stream stays.
            stream = observed.objects.get(Id(found.stream))
            if found.kind is not CONSUMER or (
                stream is not None and (stream.id in named or not stream.applied or stream.applied.owner != owner)
            ):
                yield found


def _work_queue(observed: Observed, stream: str) -> bool:
    return bool(observed.objects[Id(stream)].get("retention") == "workqueue")
