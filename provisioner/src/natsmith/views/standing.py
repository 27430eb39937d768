"""What an account holds and how it stands, as lines of text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from natsmith.model.moving import Moving
from natsmith.model.observed import Found, Observed
from natsmith.model.outcome import Holder, Past
from natsmith.model.resources import CONSUMER
from natsmith.model.units import Size
from natsmith.views.text import Row, past_row, plural

NEARLY_FULL = 0.7
"""From this share on a store is told: the alerts of the chart begin there, too."""

FULL = 0.99


def account_line(account: str, observed: Observed, pasts: Sequence[Past]) -> str:
    """Return the last line of a status."""
    mine = sum(1 for each in observed.objects.values() if each.applied)
    others = len(observed.objects) - mine
    known = f"{mine} provisioned{f', {others} not by natsmith' if others else ''}"
    last = f"Last run: {past_row(pasts[0]).sentence}." if pasts else "No run is remembered."
    return f"Account {account} on nats-server {observed.version}: {known}. {last}"


def status_rows(objects: Iterable[Found]) -> Iterator[Row]:
    """Yield one row per object that somebody provisioned, with its time to live and what it holds."""
    for each in objects:
        if each.moving:
            yield _moving_row(each, each.moving)
        if each.applied is None:
            continue
        if each.kind is CONSUMER:
            holds: tuple[str, ...] = (f"{each.pending} pending", f"{each.ack_pending} unacknowledged")
        else:
            name = "ttlSeconds" if "ttlSeconds" in each.kind.by_name else "maxAgeSeconds"
            ttl = f"{each.get(name)} s" if each.get(name) else "none"
            held = f"{plural(each.messages, 'message')} in {plural(each.bytes, 'byte')}"
            inside = (held, f"oldest {each.first_time[:19]}Z") if each.messages else ("empty",)
            holds = (f"time to live {ttl}", *inside)
        if each.offline:
            there = each.get("replicas") - len(each.offline)
            holds += (f"on {there} of {each.get('replicas')} servers: {', '.join(each.offline)} not there",)
        tone = "careful" if each.offline else ""
        yield Row((each.kind.word, each.label, f"owner {each.applied.owner}", *holds), tone, lead=2)


def _moving_row(found: Found, moving: Moving) -> Row:
    """Return how far a move is that has not ended, and how it goes on."""
    flow = "writes flow" if moving.stage.writes_flow else "nothing can be written"
    where = f"its {plural(moving.messages, 'message')} are in {moving.at}"
    again = f"natsmith apply of {moving.record.owner} goes on with it"
    return Row(
        (found.kind.word, found.label, f"is being moved: {moving.stage.value}", flow, where, again), "careful", 2
    )


def full_rows(account: str, observed: Observed) -> Iterator[Row]:
    """Yield one row per store that is full or soon will be: the account's, as far as it has limits, and its objects'."""
    for store, used, most in (
        ("file storage", observed.storage, observed.limits.storage),
        ("memory", observed.memory, observed.limits.memory),
    ):
        if 0 < most * NEARLY_FULL <= used:
            yield _full_row(("account", store), used, most, f"raise accounts.{account}.jetstream")
    for each in observed.objects.values():
        most = each.get("maxBytes") if each.applied and each.kind is not CONSUMER else 0
        # A stream that discards the old ones is meant to be full.
        if 0 < most * NEARLY_FULL <= each.bytes and each.get("discard") != "old":
            yield _full_row((each.kind.word, each.label), each.bytes, most, "raise its maxBytes")


def _full_row(what: tuple[str, str], used: int, most: int, cure: str) -> Row:
    full = used >= most * FULL
    state = "full, what does not fit is refused" if full else "nearly full"
    share = f"{used * 100 // most} % of {Size().show(most)}"
    return Row((*what, share, state, f"{cure}, or let messages go"), "bad" if full else "careful", 2)


def holder(each: Holder) -> str:
    """Return who holds the lock, in a sentence."""
    return f"The account is locked by {each.owner} ({each.who}) since {each.since}."
