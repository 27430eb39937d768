"""Who may lose data: fates of changes, and the consent that a loss needs."""

from __future__ import annotations

import hashlib
import json
import re

from natsmith.model.change import KEEPS, Change, Difference, Fate
from natsmith.model.desired import Id, Policy, Resource
from natsmith.model.observed import Found, Observed
from natsmith.model.resources import BUCKET, CONSUMER, OBJECT_STORE
from natsmith.planning.subjects import within


def noun(found: Found) -> str:
    """Return what the object holds, as people call it."""
    if found.kind is CONSUMER:
        return "its position"
    return {BUCKET.word: "entries", OBJECT_STORE.word: "chunks"}.get(found.kind.word, "messages")


def asks(difference: Difference) -> str:
    """Return the question that only the server can answer about a difference's fate: ``age``, ``per_subject`` or none."""
    loses = difference.field.loses if difference.field else ""
    return loses if loses in {"age", "per_subject"} and _shrinks(difference) else ""


def fate(difference: Difference, desired: Resource, found: Found, observed: Observed) -> Fate:
    """Return what changing one setting in place does to the messages that are there."""
    loses = difference.field.loses if difference.field else ""
    if found.kind is CONSUMER:
        return _unwaited(found, observed) if loses == "waiting" and _waits_for_less(difference) else KEEPS
    if not loses or found.messages == 0:
        return KEEPS
    what = noun(found)
    if loses == "interest":
        gone = difference.new == "interest"
        return Fate("drops", found.messages, what, about=found.consumers > 0) if gone else KEEPS
    if loses == "limits":
        return _over_limits(desired, found, what)
    if not _shrinks(difference):
        return KEEPS
    count = observed.counts.get((found.id, loses))
    return Fate(
        "expires" if loses == "age" else "drops",
        found.messages if count is None else count,
        what,
        about=count is None,
    )


def gone(found: Found, observed: Observed) -> Fate:
    """Return what deleting an object loses."""
    if found.kind is not CONSUMER:
        return Fate("drops", found.messages, noun(found)) if found.messages else KEEPS
    waiting = _unwaited(found, observed)
    if waiting is not KEEPS:
        return waiting
    return Fate("drops", 1, noun(found)) if found.delivered else KEEPS


def _unwaited(consumer: Found, observed: Observed) -> Fate:
    """Return what a stream drops that keeps messages only for its consumers, when one of them waits for less."""
    stream = observed.objects.get(Id(consumer.stream))
    waiting = consumer.pending + consumer.ack_pending
    if stream is None or stream.get("retention") != "interest" or not waiting:
        return KEEPS
    return Fate("drops", waiting, "messages", about=True)


def _waits_for_less(difference: Difference) -> bool:
    old, new = difference.old, difference.new
    if isinstance(new, list):
        return bool(new) and not all(any(within(each, wider) for wider in new) for each in old or [">"])
    return _shrinks(difference)


def _over_limits(desired: Resource, found: Found, what: str) -> Fate:
    """Return what goes because it is over the wanted limits; where new messages give way, nothing does."""
    if desired.effective("discard") == "new":
        return KEEPS
    most, most_bytes = desired.effective("maxMessages"), desired.effective("maxBytes")
    by_count = max(0, found.messages - most) if most else 0
    over = max(0, found.bytes - most_bytes) if most_bytes else 0
    by_size = -(-found.messages * over // found.bytes) if over else 0
    gone = max(by_count, by_size)
    return Fate("drops", gone, what, about=by_size > by_count) if gone else KEEPS


def _shrinks(difference: Difference) -> bool:
    old, new = difference.old, difference.new
    return bool(new > 0 and (old <= 0 or new < old))


def digest(change: Change) -> str:
    """Return the consent for one loss: it holds as long as object, wish and kind of loss stay the same."""
    found, desired = change.found, change.desired
    parts = [
        change.account,
        change.action,
        str(change.id),
        found.stamped if found else True,
        found and [found.created, found.settings, dict(found.config), found.applied.consents if found.applied else 0],
        desired and [desired.settings, dict(desired.config)],
        sorted({change.fate.word, *(each.fate.word for each in change.differences)}),
        *([change.misread] if change.misread else []),
    ]
    return "c-" + hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:10]


def setting(change: Change) -> str:
    """Return the key of the values under which people keep the consent; only its digest counts."""
    return "provisioner.consent." + re.sub(r"[^A-Za-z0-9_-]", "-", str(change.id))


def needs_consent(change: Change, policy: Policy) -> bool:
    """Return whether *policy* lets the change lose data only with the owner's word."""
    fates = [change.fate, *(each.fate for each in change.differences)]
    losses = {each.word for each in fates if not each.harmless}
    if policy.loss == "allow":
        return False
    return bool(change.misread) or bool(losses - {"expires"} if policy.loss == "expire" else losses)
