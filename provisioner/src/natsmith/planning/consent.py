"""Who may lose data: fates of changes, and the consent that a loss needs."""

from __future__ import annotations

import hashlib
import json

from natsmith.model.change import KEEPS, Change, Difference, Fate
from natsmith.model.desired import Policy, Resource
from natsmith.model.observed import Found, Observed
from natsmith.model.resources import BUCKET, CONSUMER, OBJECT_STORE
from natsmith.model.units import Json


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


def _over_limits(desired: Resource, found: Found, what: str) -> Fate:
    """Return what goes because it is over the wanted limits; where new messages give way, nothing does."""
    if _effective(desired, "discard") == "new":
        return KEEPS
    most, most_bytes = _effective(desired, "maxMessages"), _effective(desired, "maxBytes")
    by_count = max(0, found.messages - most) if most else 0
    over = max(0, found.bytes - most_bytes) if most_bytes else 0
    by_size = -(-found.messages * over // found.bytes) if over else 0
    gone = max(by_count, by_size)
    return Fate("drops", gone, what, about=by_size > by_count) if gone else KEEPS


def _effective(desired: Resource, name: str) -> Json:
    """Return a setting, or what ``config`` says instead."""
    field = desired.kind.by_name[name]
    return field.type.decode(desired.config[field.api]) if field.api in desired.config else desired.get(name)


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
        found and [found.created, found.settings, dict(found.config)],
        desired and [desired.settings, dict(desired.config)],
        sorted({change.fate.word, *(each.fate.word for each in change.differences)}),
    ]
    return "c-" + hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:10]


def needs_consent(change: Change, policy: Policy) -> bool:
    """Return whether *policy* lets the change lose data only with the owner's word."""
    fates = [change.fate, *(each.fate for each in change.differences)]
    losses = {each.word for each in fates if not each.harmless}
    if policy.loss == "allow":
        return False
    return bool(losses - {"expires"} if policy.loss == "expire" else losses)
