"""The plan: from what is wanted and what was found to the changes between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from natsmith.model.change import KEEPS, Change, Difference, Fate, Plan, worst
from natsmith.model.desired import Desired, Id, Policy, Resource
from natsmith.model.observed import Applied, Found, Observed
from natsmith.model.resources import CONSUMER, STREAM
from natsmith.planning import consent
from natsmith.planning.check import warnings
from natsmith.planning.compare import Comparison, compare
from natsmith.planning.order import in_stages

NO_MOVE = "this version of natsmith plans such a move but does not carry it out"


def plan(desired: Desired, observed: Observed, *, account: str, owner: str) -> Plan:
    """Return what must happen for *observed* to become *desired*.

    Nothing is contacted: the same values always give the same plan.
    """
    wanted = desired.of(account)
    changes: list[Change] = []
    told: list[Change] = []
    replaced: set[str] = set()
    for resource in wanted:
        found = observed.objects.get(resource.id)
        if resource.kind is CONSUMER and resource.stream in replaced:
            found = None  # it dies with its stream, which the values name before it
        comparison = compare(resource, found, level=observed.level) if found else Comparison()
        change = _change(resource, found, comparison, observed, desired.policy, owner)
        if change:
            changes.append(change)
            if change.action == "replace" and change.kind is not CONSUMER:
                replaced.add(change.id.stream)
        if comparison.latched and found:
            told.append(
                replace(
                    _of(resource, found),
                    action="latched",
                    differences=comparison.latched,
                    note=_why_latched(comparison),
                )
            )
    for found in _orphans(wanted, observed, owner):
        each = _removed(found, account, desired.policy)
        (changes if each.writes else told).append(each)
    return Plan(
        account=account,
        owner=owner,
        stages=in_stages([_consented(change, desired.policy, owner) for change in changes]),
        told=tuple(told),
        warnings=tuple(warnings(change.desired for change in changes if change.desired)),
        unchanged=len(wanted) - sum(1 for change in changes if change.desired),
    )


def questions(desired: Desired, observed: Observed, *, account: str) -> Iterator[tuple[Found, str, int]]:
    """Yield what the server has to be asked before the plan can tell a fate: an object, what about, the new limit."""
    for resource in desired.of(account):
        found = observed.objects.get(resource.id)
        if found and found.messages:
            for difference in compare(resource, found, level=observed.level).differences:
                about = consent.asks(difference)
                if about:
                    yield found, about, difference.new


def _of(resource: Resource, found: Found | None) -> Change:
    return Change(
        action="create",
        account=resource.account,
        id=resource.id,
        kind=resource.kind,
        label=resource.label,
        desired=resource,
        found=found,
    )


def _change(
    resource: Resource, found: Found | None, comparison: Comparison, observed: Observed, policy: Policy, owner: str
) -> Change | None:
    if found is None:
        return _created(resource, observed, owner)
    change = _of(resource, found)
    applied = found.applied
    if applied and applied.newer:
        return replace(change, action="update", blocked=_newer(applied))
    if applied and applied.owner != owner and not resource.adopt:
        return replace(
            change, action="adopt", differences=comparison.differences, blocked=_foreign(change, applied, owner)
        )
    differences = tuple(_with_fate(each, resource, found, observed) for each in comparison.differences)
    if not differences:
        return _only_stamp(change, found, owner)
    if any(each.fixed for each in differences):
        return _not_in_place(replace(change, differences=differences), found, policy)
    note = "" if applied else "had no owner; adopted"
    return replace(
        change, action="update", differences=differences, fate=worst(each.fate for each in differences), note=note
    )


def _with_fate(difference: Difference, desired: Resource, found: Found, observed: Observed) -> Difference:
    if found.kind is STREAM and found.get("sealed"):
        return replace(difference, fixed="a sealed stream cannot be changed again")
    return replace(difference, fate=consent.fate(difference, desired, found, observed))


def _only_stamp(change: Change, found: Found, owner: str) -> Change | None:
    """Return what renews natsmith's memory on an object that is otherwise as wanted."""
    applied, desired = found.applied, change.desired
    if applied is None:
        return replace(change, action="adopt", note="had no owner; only its metadata changes")
    if applied.owner != owner:
        return replace(change, action="adopt", note=f"taken over from {applied.owner}; only its metadata changes")
    if not found.stamped:
        return replace(change, action="stamp", note="drift: natsmith's metadata was wiped and is put back")
    if desired and (applied.settings != desired.settings or applied.config != desired.config):
        return replace(change, action="stamp", note="already as the values say; only its metadata changes")
    return None


def _created(resource: Resource, observed: Observed, owner: str) -> Change:
    change = _of(resource, None)
    source = observed.objects.get(Id(resource.kind.prefix + resource.renamed_from)) if resource.renamed_from else None
    if source is None:
        return change
    change = replace(change, action="move", found=source, note=f"renamed from {source.label}")
    if source.applied and source.applied.owner != owner and not resource.adopt:
        return replace(change, blocked=_foreign(change, source.applied, owner))
    return replace(
        change,
        fate=Fate("moves", source.messages, consent.noun(source)),
        blocked=f"{NO_MOVE}: keep the name {source.label} for now, or take renamedFrom away to begin empty",
    )


def _not_in_place(change: Change, found: Found, policy: Policy) -> Change:
    resource = change.desired
    how = (resource.on_immutable if resource else None) or policy.on_immutable
    where = resource.where if resource else ""
    fixed = [each for each in change.differences if each.fixed]
    reasons = "; ".join(dict.fromkeys(each.fixed for each in fixed))
    settings = " and ".join(each.path for each in fixed)
    keep = f"leave {settings} as the server has it"
    lost = "its position" if found.kind is CONSUMER else consent.noun(found)
    if how == "replace":
        count = 1 if found.kind is CONSUMER and found.delivered else found.messages
        return replace(change, action="replace", fate=Fate("drops", count, lost), note=reasons)
    moved = replace(change, action="move", fate=Fate("moves", found.messages, lost), note=reasons)
    if how == "move":
        return replace(moved, blocked=f"{NO_MOVE}: {keep}, or set {where}.onImmutable: replace to lose {lost}")
    return replace(
        moved,
        blocked=f"{reasons}: {keep}, or set {where}.onImmutable: replace to lose {lost} (move, which keeps them, is planned but not carried out by this version)",
    )


def _orphans(wanted: tuple[Resource, ...], observed: Observed, owner: str) -> Iterator[Found]:
    """Yield what this owner applied once and the values no longer name."""
    named = {resource.id for resource in wanted}
    named |= {Id(each.kind.prefix + each.renamed_from) for each in wanted if each.renamed_from}
    for found in observed.objects.values():
        applied = found.applied
        if applied and applied.owner == owner and found.id not in named:
            stream = observed.objects.get(Id(found.stream))
            alone = found.kind is not CONSUMER or (stream is not None and stream.id in named)
            if alone:
                yield found


def _removed(found: Found, account: str, policy: Policy) -> Change:
    change = Change(action="orphan", account=account, id=found.id, kind=found.kind, label=found.label, found=found)
    if not policy.prune:
        return replace(
            change, note="natsmith made it and the values no longer name it; provisioner.prune: true removes it"
        )
    count = int(found.delivered > 0) if found.kind is CONSUMER else found.messages
    blocked = _newer(found.applied) if found.applied and found.applied.newer else ""
    return replace(
        change,
        action="delete",
        fate=Fate("drops", count, consent.noun(found)) if count else KEEPS,
        note="the values no longer name it",
        blocked=blocked,
    )


def _consented(change: Change, policy: Policy, owner: str) -> Change:
    """Return *change*, blocked if it loses data that nobody agreed to lose."""
    if change.blocked or not consent.needs_consent(change, policy):
        return change
    word = consent.digest(change)
    if word in policy.consent:
        return replace(change, consent=word)
    key = str(change.id).replace("/", "-")
    how = f"--set provisioner.consent.{key}={word}"
    namespace, slash, release = owner.partition("/")
    if slash:
        how = f"helm upgrade {release} CHART --namespace {namespace} --reuse-values {how}"
    return replace(change, consent=word, blocked=f"it loses data; to agree to exactly this loss: {how}")


def _foreign(change: Change, applied: Applied, owner: str) -> str:
    where = change.desired.where if change.desired else str(change.id)
    return (
        f"it belongs to {applied.owner}, and this run is {owner}: "
        f"use another name, run with --owner {applied.owner}, or take it over with {where}.adopt: true"
    )


def _newer(applied: Applied) -> str:
    return (
        f"a later natsmith applied it (format {applied.newer}; this one reads up to 1): "
        "use that version, so that nothing it knows is lost"
    )


def _why_latched(comparison: Comparison) -> str:
    return "; ".join(dict.fromkeys(each.field.latch for each in comparison.latched if each.field)) + ": it stays on"
