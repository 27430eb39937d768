"""What a doctor concludes from the facts about a registry. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from natsmith.registry.bucket import Bucket
from natsmith.registry.entry import DEFAULT_TTL, FORMAT
from natsmith.registry.found import Found, State

Result = Literal["good", "careful", "bad"]

NAMED = 3
"""How many keys a finding names."""

SLACK_SECONDS = 5
"""How late an expiry may be: the server looks for what is over in intervals of its own."""

EARLY_SECONDS = 1
SKEW_SECONDS = 2
LEASE_SECONDS = 10
"""The shortest lease that elections have unless they ask for another one."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why something is not known."""

    text: str
    cure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What came of a canary that was to expire."""

    promised: int = 0
    by: str = ""
    took: float | None = None
    """Seconds until it was gone; None: it was not, or there was none."""

    why_not: Trouble | None = None
    """Why nothing was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a doctor saw."""

    server: str
    name: str
    bucket: Bucket | None = None
    trouble: Trouble | None = None
    """Why there is no bucket."""

    now: float = 0.0
    """The server's time."""

    skew: float = 0.0
    """How many seconds this machine's clock is ahead of the server's."""

    found: Sequence[Found] = ()
    unreadable: Trouble | None = None
    """Why the entries could not be read."""

    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """The seconds between two heartbeats, and the time to live, of the keys that were heard twice."""

    measured: Measured | None = None
    elections: str = ""
    elections_bucket: Bucket | None = None
    elections_trouble: Trouble | None = None
    """Why nothing is known of the bucket of elections, though it may be there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One answer of the doctor."""

    result: Result
    about: str
    text: str
    cure: str = ""


def findings(facts: Facts) -> list[Finding]:
    """Return every answer, in the order of the questions."""
    bucket = facts.bucket
    if bucket is None:
        why = facts.trouble or Trouble(f"nothing is known of bucket {facts.name}", "ask again")
        return [_good("server", facts.server), _bad("bucket", why.text, why.cure)]
    return [
        _good("server", facts.server),
        _ttl(bucket),
        *_own_ttls(bucket, facts.found),
        *_markers(bucket, facts.found),
        _storage(bucket),
        *_entries(facts, bucket),
        _heartbeats(facts),
        _clock(facts),
        *_measured(facts),
        _elections(facts),
    ]


def _good(about: str, text: str) -> Finding:
    return Finding(result="good", about=about, text=text)


def _careful(about: str, text: str, cure: str = "") -> Finding:
    return Finding(result="careful", about=about, text=text, cure=cure)


def _bad(about: str, text: str, cure: str = "") -> Finding:
    return Finding(result="bad", about=about, text=text, cure=cure)


def _ttl(bucket: Bucket) -> Finding:
    if bucket.ttl:
        return _good("ttl", f"every entry of {bucket.name} goes {bucket.ttl:g} s after it was last written")
    why = bucket.unsafe_per_key(DEFAULT_TTL)
    if not why:
        return _good("ttl", f"{bucket.name} has no TTL, but entries may have one of their own, and natsmith's do")
    return _bad(
        "ttl",
        f"{bucket.name} has no TTL, so that the server keeps what a dead service wrote; and none of a single key: {why}",
        f"set buckets.{bucket.name}.ttlSeconds to {DEFAULT_TTL} and run natsmith apply: it changes in place",
    )


def _own_ttls(bucket: Bucket, found: Sequence[Found]) -> Iterator[Finding]:
    """Tell what comes of keys that have a time to live of their own."""
    if bucket.history == 1:
        return
    own = [each for each in found if each.kept > 0 and not 0 < bucket.ttl <= each.kept]
    if not own:
        yield _good("history", f"{bucket.history} values of a key, and no entry has a TTL of its own that uncovers one")
        return
    text = f"{_some(own, 'has', 'have')} a TTL of its own, and {bucket.history} values of a key are kept: "
    text += "when the newest expires, an older one that lives longer is back"
    cure = f"let them expire by the bucket's TTL, or set buckets.{bucket.name}.history to 1"
    yield (
        _careful("history", f"{text}, for {bucket.ttl:g} s at most", cure)
        if bucket.ttl
        else _bad("history", text, cure)
    )


def _markers(bucket: Bucket, found: Sequence[Found]) -> Iterator[Finding]:
    raised = [each for each in found if 0 < each.kept < bucket.marker]
    if raised:
        yield _bad(
            "markers",
            f"the server's markers stay {bucket.marker:g} s, and it raises every shorter TTL to that: "
            f"{_some(raised, 'is', 'are')} kept too long",
            f"set buckets.{bucket.name}.markerSeconds below the shortest TTL",
        )
    elif bucket.ttl and bucket.marker > bucket.ttl:
        yield _careful(
            "markers",
            f"the server's markers stay {bucket.marker:g} s, longer than the {bucket.ttl:g} s of an entry",
            f"set buckets.{bucket.name}.markerSeconds to {bucket.ttl:g} or less",
        )


def _storage(bucket: Bucket) -> Finding:
    if bucket.memory:
        text = "in memory: when the server restarts every entry is gone until its service is heard again"
        return _careful("storage", text, f"set buckets.{bucket.name}.storage to file")
    return _good("storage", "on disk: a restart of the server loses no entry")


def _entries(facts: Facts, bucket: Bucket) -> Iterator[Finding]:
    if facts.unreadable:
        yield _bad("entries", f"they cannot be read: {facts.unreadable.text}", facts.unreadable.cure)
        return
    states = [each.state(bucket, facts.now) for each in facts.found]
    stale = [each for each, state in zip(facts.found, states, strict=True) if state is State.STALE]
    # Where that holds for every entry, the answer about the TTL says so.
    some_expire = bucket.ttl or not bucket.unsafe_per_key(DEFAULT_TTL)
    kept = [each for each in facts.found if each.for_ever(bucket)] if some_expire else []
    unread = [each for each in facts.found if each.instance is None]
    newer = [each for each in facts.found if each.instance and each.instance.format > FORMAT]
    older = [each for each in facts.found if each.instance and each.instance.format == 0]
    clean = "natsmith registry clean --dry-run says which would go"
    if stale:
        yield _careful("entries", f"{_some(stale, 'is', 'are')} stale: readers hide what the server keeps", clean)
    if kept:
        text = f"{_some(kept, 'never expires', 'never expire')}: no TTL of the bucket, and none of its own"
        yield _bad("entries", text, f"set the TTL of the bucket, or update what writes them; {clean}")
    if unread:
        text = f"{_some(unread, 'is', 'are')} not understood: {unread[0].key}: {unread[0].unread}"
        yield _careful("entries", text, "mend what writes them; natsmith registry clean --unread removes stale ones")
    if newer:
        text = f"{_some(newer, 'has', 'have')} a newer format than {FORMAT}, and is read as far as it is known"
        yield _careful("entries", text, "update natsmith here")
    if older:
        text = f"{_some(older, 'has', 'have')} the shape of before natsmith"
        yield _careful("entries", text, "register with natsmith.registry when the service is next updated")
    if not (stale or kept or unread or newer or older):
        fresh = states.count(State.FRESH)
        yield _good("entries", f"{fresh} fresh, and nothing else" if fresh else "there is none")


def _heartbeats(facts: Facts) -> Finding:
    if not facts.intervals:
        return _good("heartbeats", "no entry was written twice while it was looked, so their interval is not known")
    longest = max(facts.intervals, key=lambda key: facts.intervals[key][0] / facts.intervals[key][1])
    seconds, ttl = facts.intervals[longest]
    heard = f"{len(facts.intervals)} {'entry was' if len(facts.intervals) == 1 else 'entries were'} written again"
    text = f"{heard}; at the longest after {seconds:.1f} s, with {ttl:g} s to live ({longest})"
    cure = f"write it every {ttl / 3:g} s, or raise the TTL"
    if seconds >= ttl:
        return _bad("heartbeats", f"{text}: it comes and goes", cure)
    if seconds > ttl / 2:
        return _careful("heartbeats", f"{text}: one that is lost makes it vanish", cure)
    return _good("heartbeats", text)


def _clock(facts: Facts) -> Finding:
    if abs(facts.skew) <= SKEW_SECONDS:
        return _good("clock", f"within {SKEW_SECONDS} s of the server's")
    way = "ahead of" if facts.skew > 0 else "behind"
    return _careful(
        "clock",
        f"this machine's is {abs(facts.skew):.0f} s {way} the server's: natsmith counts by the server's, "
        "but tools that compare their own with a time in an entry are wrong by as much",
        "set the clock, with NTP for instance",
    )


def _measured(facts: Facts) -> Iterator[Finding]:
    measured = facts.measured
    if measured is None:
        return
    if measured.why_not:
        yield _careful("expiry", f"not measured: {measured.why_not.text}", measured.why_not.cure)
        return
    promised = f"promised are {measured.promised} s by {measured.by}"
    if measured.took is None:
        late = measured.promised + SLACK_SECONDS
        yield _bad(
            "expiry", f"a canary was there still after {late} s; {promised}", "look at the server's log, and restart it"
        )
    elif measured.took < measured.promised - EARLY_SECONDS:
        text = f"a canary was gone after {measured.took:.1f} s; {promised}"
        yield _bad("expiry", text, "find out who deletes entries, or what limits the bucket")
    else:
        yield _good("expiry", f"a canary was gone after {measured.took:.1f} s; {promised}")


def _elections(facts: Facts) -> Finding:
    bucket = facts.elections_bucket
    if bucket is None and facts.elections_trouble:
        return _careful("elections", facts.elections_trouble.text, facts.elections_trouble.cure)
    if bucket is None:
        return _good("elections", f"there is no bucket {facts.elections}: nobody elects a leader here")
    why = bucket.no_elections(LEASE_SECONDS)
    if why:
        return _bad(
            "elections",
            f"bucket {bucket.name} cannot elect leaders: {why}",
            "give elections a bucket of their own, with profile election",
        )
    return _good("elections", f"bucket {bucket.name} can elect leaders: one value a key, each with a TTL of its own")


def _some(found: Sequence[Found], one: str, several: str) -> str:
    """Return who they are, or the first of them and how many more, with a verb."""
    names = ", ".join(each.key for each in found[:NAMED])
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f"{names}{more} {one if len(found) == 1 else several}"
