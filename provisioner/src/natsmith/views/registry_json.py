"""A registry as documents for machines. docs/json.md describes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from natsmith.errors import Exit
from natsmith.model.units import Json
from natsmith.registry.bucket import Bucket, Expiry
from natsmith.registry.entry import Instance
from natsmith.registry.findings import Facts, Finding
from natsmith.registry.found import Found
from natsmith.views.as_json import document
from natsmith.views.registry import Led


def listing(
    account: str, bucket: Bucket, found: Iterable[Found], now: float, leaders: Iterable[Led] | None
) -> dict[str, Json]:
    """Return every entry, and who leads; None where there is no bucket of elections."""
    return document(
        "registry list",
        Exit.DONE,
        account=account,
        bucket=_bucket(bucket),
        entries=[_found(each, bucket, now) for each in found],
        leaders=None if leaders is None else [_leader(each) for each in leaders],
    )


def change(kind: str, instance: Instance, now: float) -> dict[str, Json]:
    """Return something that happened."""
    return document("registry change", Exit.DONE, change=kind, at=round(now, 3), instance=_instance(instance))


def cleaned(
    account: str,
    bucket: Bucket,
    rows: Iterable[tuple[Found, str, str]],
    left: Iterable[Found],
    now: float,
    *,
    dry_run: bool,
) -> dict[str, Json]:
    """Return what went, or would go, and what is left alone because nobody knows what it is."""
    return document(
        "registry clean",
        Exit.DONE,
        account=account,
        bucket=_bucket(bucket),
        dryRun=dry_run,
        entries=[{**_found(each, bucket, now), "reason": why, "result": fate} for each, why, fate in rows],
        leftAlone=[_found(each, bucket, now) for each in left],
    )


def diagnosis(account: str, facts: Facts, findings: Sequence[Finding], code: int) -> dict[str, Json]:
    """Return what the doctor found."""
    measured = facts.measured
    return document(
        "registry doctor",
        code,
        account=account,
        bucket=_bucket(facts.bucket) if facts.bucket else None,
        clockAheadSeconds=round(facts.skew, 3),
        promisedSeconds=measured.promised if measured and not measured.why_not else None,
        measuredSeconds=round(measured.took, 3) if measured and measured.took is not None else None,
        findings=[
            {"result": each.result, "about": each.about, "text": each.text, "cure": each.cure} for each in findings
        ],
    )


def _leader(led: Led) -> dict[str, Json]:
    return {
        "group": led.group,
        "id": led.id,
        "token": led.token,
        "ttlSeconds": led.ttl,
        "ageSeconds": round(led.age, 3),
    }


def _bucket(bucket: Bucket) -> dict[str, Json]:
    return {
        "name": bucket.name,
        "ttlSeconds": bucket.ttl,
        "history": bucket.history,
        "perKeyTTL": bucket.per_key,
        "markerSeconds": bucket.marker,
        "storage": "memory" if bucket.memory else "file",
    }


def _found(found: Found, bucket: Bucket, now: float) -> dict[str, Json]:
    return {
        "key": found.key,
        "revision": found.revision,
        "state": found.state(bucket, now).value,
        "why": found.unread,
        "ageSeconds": round(found.age(now), 3),
        "staleSeconds": round(max(0.0, found.late(bucket, now)), 3),
        "expiry": _expiry(found.expiry(bucket)),
        "instance": _instance(found.instance) if found.instance else None,
    }


def _expiry(expiry: Expiry) -> dict[str, Json]:
    return {"seconds": expiry.seconds, "by": expiry.by}


def _instance(instance: Instance) -> dict[str, Json]:
    return {
        "service": instance.service,
        "id": instance.id,
        "status": instance.status.value,
        "metadata": dict(instance.metadata),
        "ttlSeconds": instance.ttl,
        "format": instance.format,
        "key": instance.key,
        "revision": instance.revision,
        "heartbeat": round(instance.heartbeat, 3),
    }
