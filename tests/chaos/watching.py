"""Those who are told without asking: a watcher of nats-py, and a worker that pulls from a durable consumer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TypeVar

import nats.errors
from nats.aio.client import Client
from nats.js.errors import Error as JetStreamError
from nats.js.kv import KeyValue

from chaos.ledger import Ledger, number
from chaos.scenario import LAST, Scenario

Seen = TypeVar("Seen")
TROUBLE = (nats.errors.Error, JetStreamError, TimeoutError, OSError)


@dataclass(slots=True)
class Watching:
    """A watcher of the whole bucket and what it saw."""

    scenario: Scenario
    ledger: Ledger
    watcher: KeyValue.KeyWatcher
    began: int
    """The highest sequence when it began: what comes after that is shown revision by revision."""

    seen: set[tuple[int, int]] = field(default_factory=set)
    """Revisions, and which attempt each of them showed."""

    last: int = 0

    @classmethod
    async def begin(cls, client: Client, scenario: Scenario, ledger: Ledger) -> Watching:
        """Watch from now on."""
        began = ledger.top
        store = await client.jetstream().key_value("b")
        return cls(scenario, ledger, await store.watchall(), began)

    async def run(self) -> None:
        """Note what the watcher tells, until cancelled."""
        while True:
            try:
                entry = await self.watcher.updates(timeout=5)  # type: ignore[no-untyped-call]  # nats-py's
            except TROUBLE:
                continue
            if entry:
                self._note(entry)

    def _note(self, entry: KeyValue.Entry) -> None:
        seq = entry.revision or 0
        self.ledger.counts["watched"] += 1
        if seq <= self.last:
            self.ledger.broken("watch", f"a watcher was told revision {seq} after {self.last}")
        if entry.key not in self.ledger.newest and entry.key[:1] != "k" and entry.key != LAST:
            self.ledger.broken("foreign", f"a watcher was told of the key {entry.key!r} (revision {seq})")
        known = self.ledger.by_seq.get(seq)
        if known and known.key != entry.key:
            self.ledger.broken("reused", f"a watcher got revision {seq} for {entry.key}, and {known.key} was given it")
        self.last = max(self.last, seq)
        self.seen.add((seq, number(entry.value or b"")))

    async def stop(self) -> None:
        """Stop watching."""
        await self.watcher.stop()  # type: ignore[no-untyped-call]  # nats-py's


@dataclass(slots=True)
class Worker:
    """A worker that acknowledges what it pulls from the durable, and binds anew when it must."""

    client: Client
    ledger: Ledger
    delivered: dict[int, int] = field(default_factory=dict)
    """How often each sequence came."""

    acked: set[int] = field(default_factory=set)

    async def run(self) -> None:
        """Pull and acknowledge, until cancelled."""
        jetstream = self.client.jetstream(timeout=1)
        while True:
            subscription = await jetstream.pull_subscribe_bind(consumer="workers", stream="S")
            try:
                while True:
                    for message in await subscription.fetch(batch=20, timeout=0.5):
                        seq = message.metadata.sequence.stream
                        if not message.subject.startswith("s."):
                            self.ledger.broken("foreign", f"the worker was given a message of {message.subject}")
                        self.delivered[seq] = self.delivered.get(seq, 0) + 1
                        await message.ack()
                        self.acked.add(seq)
                    await asyncio.sleep(0.005)
            except TROUBLE:
                await asyncio.sleep(0.05)
            finally:
                # A subscription that nobody can end any more ends with its connection.
                try:
                    await subscription.unsubscribe()
                except TROUBLE:
                    self.ledger.counts["subscriptions left"] += 1

    @property
    def duplicates(self) -> int:
        """How many deliveries were not the first one of their message."""
        return sum(self.delivered.values()) - len(self.delivered)

    async def caught_up(self, wanted: set[int], *, within: float) -> set[int]:
        """Return what of *wanted* was not delivered when nothing more came for *within* seconds."""
        return await missing(wanted, self.delivered, within=within)


async def missing(wanted: set[Seen], seen: Collection[Seen], *, within: float) -> set[Seen]:
    """Return what of *wanted* is still not in *seen* when nothing more of it came for *within* seconds."""
    left, deadline = wanted, time.monotonic() + within
    while True:
        before, left = left, wanted.difference(seen)
        if len(left) < len(before):  # who still gets something is only slow
            deadline = time.monotonic() + within
        if not left or time.monotonic() > deadline:
            return left
        # Clients hear of it when their server tells them; what is wanted is bounded, and so is the wait for each.
        await asyncio.sleep(0.1)
