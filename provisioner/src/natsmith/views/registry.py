"""A registry as lines of text: its entries, what happens to them, what is cleaned away, and what a doctor found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from natsmith.registry.bucket import Bucket
from natsmith.registry.entry import Instance
from natsmith.registry.findings import Finding, Result
from natsmith.registry.found import Found, State
from natsmith.views.text import Row, plural


@dataclass(frozen=True, slots=True, kw_only=True)
class Led:
    """Who leads a group."""

    group: str
    id: str
    token: int
    ttl: int
    """Seconds of its lease; 0 where what stands there is not understood."""

    age: float
    """Seconds since it was heard."""


LONG_SECONDS = 120
FATES = {"removed": "removed", "would go": "would go", "stays": "refreshed meanwhile, stays"}


def entry_row(found: Found, bucket: Bucket, now: float) -> Row:
    """Return one entry as a row."""
    state = found.state(bucket, now)
    expiry = str(found.expiry(bucket))
    heard = f"{ago(found.age(now))} ago"
    if found.instance is None:
        return Row((*_lead(found), "not understood", f"written {heard}", expiry, found.unread), "bad", 2)
    if state is State.STALE:
        since = f"stale since {ago(found.late(bucket, now))}"
        return Row((*_lead(found), found.instance.status, f"heard {heard}", expiry, since), "careful", 2)
    tone = "good" if found.instance.status == "healthy" else ""
    return Row((*_lead(found), found.instance.status, f"heard {heard}", expiry, "fresh"), tone, 2)


def leader_row(led: Led) -> Row:
    """Return who leads a group as a row."""
    lease = f"a lease of {led.ttl} s" if led.ttl else "not understood"
    heard = f"heard {ago(led.age)} ago"
    return Row(("leader of", led.group, led.id, heard, lease, f"token {led.token}"), "" if led.ttl else "bad", 2)


def listed(found: Sequence[Found], leaders: int, bucket: Bucket, now: float) -> str:
    """Return the last line of a list."""
    led = f"{plural(leaders, 'leader')} of as many groups. " if leaders > 1 else "1 leader. " if leaders else ""
    if not found:
        return f"Bucket {bucket.name} has no entry. {led}".rstrip()
    states = Counter(each.state(bucket, now) for each in found)
    services = len({each.names[0] for each in found if each.instance})
    parts = [f"{states[state]} {state}" for state in State if states[state]]
    counted = f"{plural(len(found), 'entry', 'entries')} of {plural(services, 'service')}: {', '.join(parts)}. {led}"
    if len(parts) == 1 and states[State.FRESH]:
        return counted.rstrip()
    return f"{counted}Readers take only what is fresh; `natsmith registry clean --dry-run` says which would go."


def change_row(kind: str, instance: Instance, now: float) -> Row:
    """Return something that happened as a row."""
    tone = {"joined": "good", "left": "quiet", "expired": "bad"}.get(kind, "")
    when = datetime.fromtimestamp(now, UTC).strftime("%H:%M:%SZ")
    status = () if kind in ("left", "expired") else (instance.status.value,)
    return Row((when, f"{kind:7}", instance.service, instance.id, *status), tone, 4)


def watched(counts: Counter[str], seconds: float) -> str:
    """Return the last line of a watch."""
    told = ", ".join(f"{number} {kind}" for kind, number in counts.items())
    return f"Watched for {ago(seconds)}: {told or 'nothing happened'}."


def cleaned_row(found: Found, *, why: str, fate: str) -> Row:
    """Return an entry that is to go as a row."""
    tone = {"removed": "good", "would go": "careful"}.get(fate, "quiet")
    return Row((*_lead(found), why, FATES[fate]), tone, 2)


def left_row(found: Found) -> Row:
    """Return an entry that is left alone since nobody knows what it is."""
    return Row((*_lead(found), f"not understood: {found.unread}", "left alone"), "quiet", 2)


def cleaned(fates: Iterable[str], *, left: int, unread: bool, of: int, command: str) -> str:
    """Return the last line of a clean."""
    count = Counter(fates)
    why = "not stale" if unread else f"--unread removes {'it' if left == 1 else 'them'} when stale"
    alone = f" {left} not understood, left alone: {why}." if left else ""
    if count["would go"]:
        return f"{count['would go']} of {plural(of, 'entry', 'entries')} would go.{alone} Nothing was removed: run `{command}`."
    if not count:
        return f"Nothing to clean: {plural(of, 'entry', 'entries')}.{alone}"
    stays = f", {count['stays']} refreshed meanwhile" if count["stays"] else ""
    return f"{count['removed']} of {plural(of, 'entry', 'entries')} removed{stays}.{alone}"


def finding_row(finding: Finding) -> Row:
    """Return one answer of the doctor as a row."""
    return Row((finding.result, finding.about, finding.text, finding.cure), finding.result, 2)


def diagnosis(findings: Sequence[Finding]) -> str:
    """Return the last line of the doctor."""
    count: Counter[Result] = Counter(each.result for each in findings)
    careful = f" {count['careful']} to be careful about, named above." if count["careful"] else ""
    if count["bad"]:
        return f"Not as it should be: {plural(count['bad'], 'finding')} named bad above, with the cure.{careful}"
    return f"All is well in {plural(count['good'], 'answer')}.{careful}"


def ago(seconds: float) -> str:
    """Return ``3.2 s``, ``45 s``, ``12 min``, ``5 h``, ``3 d``."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    for limit, unit, size in ((LONG_SECONDS, "s", 1), (7200, "min", 60), (172800, "h", 3600)):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"


def _lead(found: Found) -> tuple[str, str]:
    """Return service and id; where there is no id, that."""
    service, name = found.names
    return (service, name) if name else ("key", service)
