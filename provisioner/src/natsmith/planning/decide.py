"""What has to happen to one object, what that does to its data, and whether it may."""

from __future__ import annotations

from dataclasses import dataclass, replace

from natsmith.model.change import Change, Difference, Fate, worst
from natsmith.model.desired import Id, Policy, Resource
from natsmith.model.moving import Stage
from natsmith.model.observed import Applied, Found, Observed
from natsmith.model.resources import BUCKET, CONSUMER, STREAM
from natsmith.planning import consent, moves
from natsmith.planning.compare import compare


@dataclass(frozen=True, slots=True, kw_only=True)
class Decider:
    """Decides for one account, by what was observed there and what the policy allows."""

    observed: Observed
    policy: Policy
    account: str
    owner: str
    named: frozenset[Id] = frozenset()
    """What the values name."""

    def wanted(self, resource: Resource, found: Found | None) -> Change | None:
        """Return what makes *found* what *resource* says, or None where nothing does."""
        if found is None:
            change: Change | None = self._created(resource)
        elif found.moving:
            change = self._gone_on_with(_of(resource, found), found)
        else:
            change = self._changed(resource, found)
        return self._consented(change) if change else None

    def unwanted(self, found: Found) -> Change:
        """Return what happens to an object that this owner applied once and the values no longer name."""
        change = Change(
            action="orphan", account=self.account, id=found.id, kind=found.kind, label=found.label, found=found
        )
        if found.moving:
            return self._gone_on_with(change, found)
        if not self.policy.prune:
            return replace(change, note="not in the values any more; provisioner.prune: true removes it")
        change = replace(
            change, action="delete", fate=consent.gone(found, self.observed), note="not in the values any more"
        )
        if found.applied and found.applied.newer:
            return replace(change, blocked=_newer(found.applied))
        return self._consented(self._with_strangers(change, found))

    def latched(self, resource: Resource, found: Found, differences: tuple[Difference, ...]) -> Change:
        """Return the word that latches cannot be turned off."""
        why = "; ".join(dict.fromkeys(each.field.latch for each in differences if each.field)) + ": it stays on"
        told = tuple(replace(each, reason="") for each in differences)
        return replace(_of(resource, found), action="latched", differences=told, note=why)

    def _changed(self, resource: Resource, found: Found) -> Change | None:
        change, applied = _of(resource, found), found.applied
        differences = compare(resource, found, level=self.observed.level).differences
        if applied and applied.newer:
            return replace(change, action="update", blocked=_newer(applied))
        if applied and applied.owner != self.owner and not resource.adopt:
            return replace(change, action="adopt", differences=differences, blocked=self._foreign(resource, applied))
        if not differences:
            return self._only_stamp(change, resource, found)
        differences = tuple(self._with_fate(each, resource, found) for each in differences)
        change = replace(change, differences=differences)
        if any(each.fixed for each in differences):
            return self._not_in_place(change, resource, found)
        note = "" if applied else "it has no owner and is adopted"
        return replace(change, action="update", fate=worst(each.fate for each in differences), note=note)

    def _with_fate(self, difference: Difference, resource: Resource, found: Found) -> Difference:
        if found.kind is STREAM and found.get("sealed"):
            return replace(difference, fixed="a sealed stream cannot be changed again")
        return replace(difference, fate=consent.fate(difference, resource, found, self.observed))

    def _only_stamp(self, change: Change, resource: Resource, found: Found) -> Change | None:
        """Return what renews natsmith's memory on an object that is otherwise as wanted."""
        applied = found.applied
        if applied is None:
            return replace(change, action="adopt", note="it has no owner; only its metadata changes")
        if applied.owner != self.owner:
            return replace(change, action="adopt", note=f"taken over from {applied.owner}; only its metadata changes")
        if not found.stamped:
            return replace(change, action="stamp", note="drift: natsmith's metadata was wiped and is put back")
        if applied.settings != resource.settings or applied.config != resource.config:
            return replace(change, action="stamp", note="already as the values say; only its metadata changes")
        return None

    def _created(self, resource: Resource) -> Change:
        change = _of(resource, None)
        source = self.observed.objects.get(Id(resource.renamed_stream))
        if source is None:
            return self._not_forgotten(change, resource)
        change = replace(change, action="move", found=source, note=f"renamed from {source.label}")
        if source.applied and source.applied.owner != self.owner and not resource.adopt:
            return replace(change, blocked=self._foreign(resource, source.applied))
        differences = compare(resource, replace(source, name=resource.name), level=self.observed.level).differences
        change = replace(
            change,
            differences=tuple(self._with_fate(each, resource, source) for each in differences),
            fate=Fate("moves", source.messages, consent.noun(source)),
        )
        return self._moved(change, resource, source, "take renamedFrom away to begin empty")

    def _not_forgotten(self, change: Change, resource: Resource) -> Change:
        """Return *change*, which begins empty, blocked if what it once held went on under another name."""
        for other in self.observed.objects.values():
            ours = other.applied and other.applied.owner == self.owner
            if ours and other.renamed_from == resource.stream and other.id not in self.named:
                blocked = (
                    f"{other.title} was renamed from it and holds its {consent.noun(other)}: to carry them back, set "
                    f"{resource.where}.renamedFrom: {other.name}; to begin empty, keep {other.label} in the values too"
                )
                return replace(change, blocked=blocked)
        return change

    def _gone_on_with(self, change: Change, found: Found) -> Change:
        """Return how a move goes on that was begun and has not ended."""
        resource, moving = change.desired, found.moving
        if moving is None:
            raise ValueError(f"{found.title} is not being moved")
        change = replace(change, action="move", fate=Fate("moves", found.messages, consent.noun(found)))
        if resource:
            renamed = replace(found, name=resource.name) if resource.stream == moving.record.home else found
            differences = compare(resource, renamed, level=self.observed.level).differences
            change = replace(change, differences=tuple(self._with_fate(each, resource, found) for each in differences))
        if found.applied and found.applied.owner != self.owner and resource and not resource.adopt:
            return replace(change, blocked=self._foreign(resource, found.applied))
        if moving.stage is Stage.BROKEN:
            blocked = (
                f"its move was begun, and somebody deleted or made a part of it meanwhile: the entries are in "
                f"{moving.at} as far as they were copied. Look at it, and delete {moving.record.carrier} to begin anew"
            )
            return replace(change, blocked=blocked)
        if resource and resource.renamed_from == "" and moving.record.renames and moving.record.home == resource.stream:
            return replace(change, note="the rename that was begun is ended")
        unmovable = moves.no_place(resource, found) if resource else ""
        if unmovable:
            return replace(
                change, blocked=f"its move was begun and cannot go on: {unmovable}; take that away until it is over"
            )
        what = "goes on" if moves.still_wanted(change) else "is undone" if moving.stage.undoable else "is ended"
        return replace(change, note=f"a move was interrupted and {what}: {moving.stage.value}")

    def _moved(self, change: Change, resource: Resource, found: Found, otherwise: str) -> Change:
        """Return *change*, which is a move, with what is seen of it, or blocked where it is not possible."""
        impossible = moves.impossible(resource, found, self.observed, self.named)
        if impossible:
            return replace(change, blocked=f"its {consent.noun(found)} cannot be moved: {impossible}; or {otherwise}")
        misread = "" if resource.stream != found.stream else moves.misread(found)
        return replace(change, misread=misread, seen=tuple(moves.seen(resource, found, self.observed)))

    def _not_in_place(self, change: Change, resource: Resource, found: Found) -> Change:
        fixed = [each for each in change.differences if each.fixed]
        reasons = "; ".join(dict.fromkeys(each.fixed for each in fixed))
        lost = consent.noun(found)
        keep = f"leave {' and '.join(each.path for each in fixed)} as the server has it"
        lose = f"set {resource.where}.onImmutable: replace to lose {lost}"
        how = resource.on_immutable or self.policy.on_immutable
        if how == "replace" and resource.kind is STREAM and (resource.get("sealed") or resource.config.get("sealed")):
            blocked = f"a new stream cannot begin sealed: leave {resource.where}.sealed out until it is replaced"
            return replace(change, action="replace", note=reasons, blocked=blocked)
        if how == "replace":
            fate = consent.gone(found, self.observed)
            return self._with_strangers(replace(change, action="replace", fate=fate, note=reasons), found)
        change = replace(change, action="move", fate=Fate("moves", found.messages, lost), note=reasons)
        if how == "refuse":
            move = f"set {resource.where}.onImmutable: move to keep {lost}"
            return replace(change, blocked=f"{reasons}: {keep}, or {move}, or {lose}")
        if resource.kind is CONSUMER:
            return replace(change, seen=tuple(moves.consumer_seen(found)))
        if moves.becomes_queue(resource, found):
            gone = moves.acknowledged(found, self.observed)
            change = replace(change, fate=Fate("drops", gone, lost, about=True) if gone else change.fate)
        return self._moved(change, resource, found, f"{keep}, or {lose}")

    def _with_strangers(self, change: Change, found: Found) -> Change:
        """Return *change*, which ends a stream, with what it does to consumers that are not this owner's."""
        if found.kind is CONSUMER:
            return change
        consumers = self.observed.consumers_of(found.stream)
        others = {each.applied.owner for each in consumers if each.applied and each.applied.owner != self.owner}
        if others:
            return replace(
                change, blocked=f"consumers of {', '.join(sorted(others))} would go with it: remove them first"
            )
        strangers = found.consumers - sum(1 for each in consumers if each.applied)
        if strangers > 0 and change.fate.harmless:
            return replace(change, fate=Fate("drops", strangers, "consumers that nobody provisioned"))
        return change

    def _consented(self, change: Change) -> Change:
        """Return *change*, blocked if it loses data that nobody agreed to lose."""
        if change.blocked or not consent.needs_consent(change, self.policy):
            return change
        word = consent.digest(change)
        if word in self.policy.consent:
            return replace(change, consent=word)
        why = "it loses data; to agree to exactly this loss"
        if change.misread:
            fixed = " and ".join(each.path for each in change.differences if each.fixed)
            first = (
                f"apply once with {fixed} as the server has it, which turns direct get on, let the clients connect "
                "anew, and move it then; or, "
                if change.kind is BUCKET
                else ""
            )
            why = f"{change.misread}; {first}to agree that they may be misled"
        return replace(change, consent=word, blocked=why + self._how(change, word))

    def _how(self, change: Change, word: str) -> str:
        """Return how *word* is said: to natsmith, or to the Helm that asked."""
        key = consent.setting(change)
        namespace, slash, release = self.owner.partition("/")
        if not slash:
            return f": --set {key}={word}"
        # A chart inside another one owns in the name of release.alias, and its values are below the alias.
        release, dot, alias = release.partition(".")
        said = f"--set {alias}{dot}{key}={word}"
        # --reuse-values means the values that were deployed last: after a refused upgrade those of before it. A refused
        # rollback is pending, and Helm lets only another rollback in: tests/e2e/test_refusals.py.
        return (
            f" repeat the upgrade with {said}; after a rollback repeat that with --no-hooks, "
            f"then: helm upgrade {release} CHART --namespace {namespace} --reuse-values {said}"
        )

    def _foreign(self, resource: Resource, applied: Applied) -> str:
        return (
            f"it belongs to {applied.owner}, and this run is {self.owner}: use another name, "
            f"run with --owner {applied.owner}, or take it over with {resource.where}.adopt: true"
        )


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


def _newer(applied: Applied) -> str:
    return (
        f"a later natsmith applied it (format {applied.newer}; this one reads up to 1): "
        "use that version, so that nothing it knows is lost"
    )
