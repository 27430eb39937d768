"""What the page and its API show, as JSON: buckets, streams, consumers, the plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from natsmith.model.change import Change, Plan
from natsmith.model.desired import Id, Resource
from natsmith.model.observed import Found, Observed
from natsmith.model.outcome import Past
from natsmith.model.resources import BUCKET, CONSUMER, STREAM
from natsmith.model.units import Json, parse_time
from natsmith.views import text

LONGEST = 300
"""Characters of what a run said of an object."""


def objects(observed: Observed, plan: Plan | None, pasts: Sequence[Past]) -> list[dict[str, Json]]:
    """Return buckets, streams and object stores, by name."""
    changes, named = _changes(plan), _naming(plan)
    found = [each for each in observed.objects.values() if each.kind is not CONSUMER]
    missing = [each for each in changes.values() if each.action == "create" and each.kind is not CONSUMER]
    rows = [_object(each, named(each), changes.get(each.id), pasts) for each in found]
    return sorted([*rows, *(_missing(each) for each in missing)], key=lambda row: (row["kind"], row["name"]))


def consumers(observed: Observed, plan: Plan | None) -> list[dict[str, Json]]:
    """Return the durable consumers, by stream and name."""
    changes, named = _changes(plan), _naming(plan)
    rows = [
        {
            "key": str(each.id),
            "stream": each.stream,
            "name": each.name,
            "pending": each.pending,
            "unacknowledged": each.ack_pending,
            "redelivered": each.redelivered,
            "delivered": each.delivered,
            "owner": each.applied.owner if each.applied else "",
            "named": named(each),
            "differs": _differs(changes.get(each.id)),
        }
        for each in observed.objects.values()
        if each.kind is CONSUMER
    ]
    return sorted(rows, key=lambda row: (row["stream"], row["name"]))


def changes(plan: Plan, *, most: int | None = None) -> dict[str, Json]:
    """Return what the plan says, a sentence each; of its changes *most*, if that is given."""
    return {
        "digest": plan.digest,
        "unchanged": plan.unchanged,
        "count": len(plan.changes),
        "told": len(plan.told),
        "blocked": len(plan.blocked),
        "changes": [
            {
                "action": each.action,
                "title": each.title,
                "fate": text.fate(each.fate),
                "harmless": each.fate.harmless,
                "blocked": each.blocked,
                "rows": [
                    "; ".join(cell for cell in row.cells[row.lead :] if cell) for row in text.change_rows(plan, each)
                ],
            }
            for each in (*plan.changes, *plan.told)[:most]
        ],
        "warnings": list(plan.warnings),
    }


def now(observed: Observed | None) -> float:
    """Return the server's clock, in seconds since 1970, when the newest of this was told; 0 where nobody told."""
    told = [each.now for each in observed.objects.values() if each.now] if observed else []
    return parse_time(max(told)).timestamp() if told else 0.0


def _object(found: Found, named: bool | None, change: Change | None, pasts: Sequence[Past]) -> dict[str, Json]:
    ttl = _ttl(found)
    return {
        "key": str(found.id),
        "kind": found.kind.word,
        "name": found.name,
        "ttl": ttl,
        "desiredTtl": _desired_ttl(change, ttl),
        "entries": found.messages,
        "bytes": found.bytes,
        "limit": found.get("maxBytes") or None,
        "oldest": _oldest(found),
        "age": _age(found),
        "history": found.get("history") if found.kind is BUCKET else None,
        "replicas": found.get("replicas"),
        "storage": found.get("storage"),
        "owner": found.applied.owner if found.applied else "",
        "named": named,
        "differs": _differs(change),
        "moving": found.moving.stage.value if found.moving else "",
        "last": _last(found, pasts),
    }


def _missing(change: Change) -> dict[str, Json]:
    wanted = change.desired
    return {
        "key": str(change.id),
        "kind": change.kind.word,
        "name": change.label,
        "ttl": None,
        "desiredTtl": _ttl(wanted) if wanted else None,
        "entries": 0,
        "bytes": 0,
        "limit": None,
        "oldest": None,
        "age": None,
        "history": None,
        "replicas": None,
        "storage": None,
        "owner": "",
        "named": True,
        "differs": ["it is not there"],
        "moving": "",
        "last": None,
    }


def _ttl(each: Found | Resource) -> Json:
    return each.get("maxAgeSeconds" if each.kind is STREAM else "ttlSeconds")


def _changes(plan: Plan | None) -> Mapping[Id, Change]:
    return {each.id: each for each in plan.changes} if plan else {}


def _naming(plan: Plan | None) -> Callable[[Found], bool | None]:
    """Return what tells whether the values say what an object should be; None where no plan is there to know that by."""
    if plan is None:
        return lambda _: None
    changed = {each.id for each in plan.changes}
    orphans = {str(each.id) for each in plan.told if each.action == "orphan"}  # of a stream, its consumers are as well

    def named(found: Found) -> bool:
        ours = found.applied is not None and found.applied.owner == plan.owner
        return found.id in changed or (ours and not orphans & {str(found.id), found.stream})

    return named


def _differs(change: Change | None) -> list[str]:
    """Return what is not as it should be, a setting each."""
    if change is None:
        return []
    return [text.setting(each) for each in change.differences] or [change.note or change.action]


def _desired_ttl(change: Change | None, ttl: Json) -> Json:
    for each in change.differences if change else ():
        if each.path in ("ttlSeconds", "maxAgeSeconds"):
            return each.new
    return ttl


def _oldest(found: Found) -> float | None:
    """Return when the oldest entry was written, in seconds since 1970 by the server's clock."""
    return round(parse_time(found.first_time).timestamp(), 1) if found.messages and found.first_time else None


def _age(found: Found) -> float | None:
    """Return how old the oldest entry is, in seconds by the server's clock."""
    if not found.messages or not found.now or not found.first_time:
        return None
    return max(0.0, round((parse_time(found.now) - parse_time(found.first_time)).total_seconds(), 1))


def _last(found: Found, pasts: Sequence[Past]) -> dict[str, Json] | None:
    """Return the last run that changed it, among those that are remembered."""
    words = f" {found.title}"
    for past in pasts:
        for row in past.rows:
            if f"{words}:" in f" {row}" or f" {row}".endswith(words):
                said = {"time": past.time, "who": past.who, "owner": past.owner, "what": row}
                return {key: words[:LONGEST] for key, words in said.items()}  # others could write there
    return None
