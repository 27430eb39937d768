"""What must be true when a run is over, read from the server raw."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from nats.aio.client import Client

from chaos import raw
from chaos.ledger import Ledger, Write, number
from chaos.raw import Stored
from chaos.scenario import Scenario

PARK = "_natsmith.park."
TEMPORARY = "natsmith_move_"
STATE = "KV_natsmith_state"


def messages(
    scenario: Scenario,
    ledger: Ledger,
    *,
    before: Mapping[int, Stored],
    after: Mapping[int, Stored],
    delivered: Collection[int],
) -> None:
    """Judge what is stored: against all that was acknowledged, and against what was there before the move."""
    now = time.time()
    by_key: dict[str, list[Stored]] = defaultdict(list)
    for message in after.values():
        key = message.subject.removeprefix(scenario.prefixes[-1])
        if key == message.subject:
            ledger.broken("left over", f"a message under {message.subject} (revision {message.seq})")
        else:
            by_key[key].append(message)
    # A work queue forgets what a worker had.
    done = set(delivered) if scenario.workqueue else set()
    for seq in sorted(done & after.keys()):
        message = after[seq]
        ledger.broken("left over", f"revision {seq} ({message.subject}) is in the work queue, and a worker had it")
    for key, writes in ledger.writes.items():
        _kept(scenario, ledger, [each for each in writes if each.seq not in done], by_key.get(key, []), now)
    for key, found in by_key.items():
        _genuine(ledger, key, found, now)
        if not scenario.workqueue:
            _newest(ledger, key, found)
    for seq, old in before.items():
        new = after.get(seq)
        if new and not new.marker:
            _same(scenario, ledger, old, new)


def _kept(scenario: Scenario, ledger: Ledger, writes: list[Write], found: list[Stored], now: float) -> None:
    """Judge what is missing: nothing that was acknowledged, but for what newer ones pushed out and what expired."""
    there = {each.seq for each in found}
    pushed_out = min(there) if scenario.kept and len(there) >= scenario.kept else 0
    for write in writes:
        if write.seq not in there and write.seq >= pushed_out and write.alive(now):
            ledger.broken("lost", f"{write.key} attempt {write.number}, acknowledged as revision {write.seq}, is gone")
    if scenario.kept and len(there) > scenario.kept:
        ledger.broken("config", f"{len(there)} values of {found[0].subject} are kept, not {scenario.kept}")


def _genuine(ledger: Ledger, key: str, found: list[Stored], now: float) -> None:
    """Judge what of a key is there: it is what was acknowledged, and what was to expire is gone."""
    for message in found:
        write = ledger.by_seq.get(message.seq)
        if message.marker:
            continue
        if write is None:
            # An attempt whose acknowledgement did not arrive.
            ledger.counts["stored unacknowledged"] += 1
        elif (write.key, write.number) != (key, number(message.data)):
            ledger.broken(
                "reused",
                f"revision {message.seq} holds {message.data[:20]!r}, and {write.key} attempt {write.number} was given it",
            )
        elif write.over(now):
            ledger.broken("ttl", f"{key} is there {now - write.acked:.1f} s after it was put to live {write.ttl} s")


def _newest(ledger: Ledger, key: str, found: list[Stored]) -> None:
    """Judge a key's newest message: it is no older than the newest that was acknowledged."""
    last = max(found, key=lambda each: each.seq)
    known = ledger.newest.get(key)
    if known and not last.marker and known.ttl is None and number(last.data) < known.number:
        ledger.broken("stale", f"{key} holds attempt {number(last.data)} after {known.number} was acknowledged")


def _same(scenario: Scenario, ledger: Ledger, old: Stored, new: Stored) -> None:
    """Judge a message that was there before the move: it is the same after it."""
    if new.time != old.time:
        ledger.broken("time", f"revision {old.seq} of {old.subject} was stored at {old.time} and now says {new.time}")
    if new.ttl != old.ttl:
        ledger.broken(
            "ttl", f"revision {old.seq} of {old.subject} was to live {old.ttl!r} and is now to live {new.ttl!r}"
        )
    if (new.data, scenario.key(new.subject)) != (old.data, scenario.key(old.subject)):
        ledger.broken(
            "reused", f"revision {old.seq} was {old.data[:20]!r} under {old.subject}, now under {new.subject}"
        )


async def objects(client: Client, scenario: Scenario, ledger: Ledger) -> None:
    """Judge what is there beside the messages: the streams, their configurations, the consumers."""
    found = await raw.streams(client)
    for name in sorted(set(found) - {scenario.final, STATE}):
        ledger.broken("left over", f"the stream {name}")
    if scenario.final not in found:
        ledger.broken("lost", f"the stream {scenario.final} is not there")
        return
    config, state = found[scenario.final]["config"], found[scenario.final]["state"]
    if state["last_seq"] < ledger.top:
        ledger.broken(
            "went back", f"the stream's last sequence is {state['last_seq']}, and {ledger.top} was handed out"
        )
    _config(scenario, ledger, config)
    listed = await raw.api(client, f"CONSUMER.LIST.{scenario.final}")
    names = {each["name"]: each for each in listed["consumers"] or []}
    for name, consumer in names.items():
        if consumer.get("paused"):
            ledger.broken("left over", f"the consumer {name} is paused")
    if not scenario.bucket and "workers" not in names:
        ledger.broken("lost", "the durable consumer is not there")


def _config(scenario: Scenario, ledger: Ledger, config: Mapping[str, Any]) -> None:
    for subject in config.get("subjects", []):
        if subject.startswith(PARK):
            ledger.broken("left over", f"the stream takes {subject}")
    for key in config.get("metadata") or {}:
        if key.startswith("natsmith.move"):
            ledger.broken("left over", f"the metadata {key}")
    for key in ("mirror", "sources"):
        if config.get(key):
            ledger.broken("left over", f"the stream has {key}: {config[key]}")
    values = scenario.values(moved=True)
    (wanted,) = (values.get("buckets") or values["streams"]).values()
    for field, value in (
        ("storage", wanted["storage"]),
        ("retention", wanted.get("retention", "limits")),
        ("num_replicas", scenario.replicas),
        ("allow_direct", True),
    ):
        if config.get(field, False) != value:
            ledger.broken("config", f"{field} is {config.get(field)}, not {value}")


async def leader_agrees(client: Client, scenario: Scenario, ledger: Ledger, after: Mapping[int, Stored]) -> None:
    """Judge direct gets: they tell what the stream's leader tells."""
    last = {message.subject: message for message in sorted(after.values(), key=lambda each: each.seq)}
    some = list(last)[-20:]
    told = await raw.newest(client, scenario.final, some)
    for subject in some:
        if told.get(subject) != (last[subject].seq, last[subject].time) and not _expiring(ledger, last[subject]):
            ledger.broken("stale", f"{subject}: a direct get says {last[subject].seq}, the leader {told.get(subject)}")


def _expiring(ledger: Ledger, message: Stored) -> bool:
    """Whether it may go between two looks."""
    write = ledger.by_seq.get(message.seq)
    return message.marker or (write is not None and not write.alive(time.time()))
