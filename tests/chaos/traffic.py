"""Writers and direct readers, as applications are: nats-py, connections of their own, each answer kept."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.js.api import Header
from nats.js.client import JetStreamContext
from nats.js.errors import APIError, NoStreamResponseError

from chaos.ledger import Ledger, Write, payload
from chaos.raw import Place, api, closed, connect
from chaos.scenario import LAST, Scenario

TIMEOUT = 1.0
"""Seconds that a client waits for one answer before it tries again."""

WRITE_PAUSE, READ_PAUSE = 0.004, 0.004
RETRY_PAUSE, LONG_RETRY_PAUSE = 0.001, 0.02
"""Seconds between tries, at first and when there have been a hundred: a server is down then."""

HOT = 8
"""How many keys one writer has."""

WRONG_LAST = 10071
TROUBLE = (nats.errors.Error, TimeoutError, OSError)


@dataclass(slots=True)
class Name:
    """Which of the names a client uses: the other one, when nobody listens to this one any more."""

    scenario: Scenario
    index: int = 0

    def subject(self, key: str) -> str:
        """Return the subject of a key."""
        return self.scenario.prefixes[self.index] + key

    def stream(self) -> str:
        """Return the stream's name."""
        return self.scenario.final if self.index else self.scenario.stream

    def nobody(self) -> None:
        """Note that nobody listened."""
        self.index = (self.index + 1) % len(self.scenario.prefixes)


@dataclass(slots=True)
class Traffic:
    """Everything that clients do in one run."""

    scenario: Scenario
    ledger: Ledger
    place: Place
    attempts: dict[str, int] = field(default_factory=dict)
    """The last attempt for each key, acknowledged or not."""

    writing: asyncio.Event = field(default_factory=asyncio.Event)
    reading: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        """Write and read as long as the block lasts."""
        scenario = self.scenario
        self.writing.set()
        self.reading.set()
        async with contextlib.AsyncExitStack() as stack:
            writers, readers = [], []
            for index in range(scenario.writers + bool(scenario.lanes)):
                client = await connect(self.place)
                stack.push_async_callback(closed, client)
                lanes = scenario.lanes if index == scenario.writers else 1
                pace = Pace()
                keys = [f"k{index * HOT + each}" for each in range(HOT)]
                # A lane never shares a key with another one, so it knows the order of its own writes.
                writers += [asyncio.create_task(self._write(client, pace, keys[lane::lanes])) for lane in range(lanes)]
            if not scenario.workqueue:
                client = await connect(self.place)
                stack.push_async_callback(closed, client)
                readers += [asyncio.create_task(self._read(client, seed)) for seed in range(2)]
            try:
                yield
                self.writing.clear()
                await asyncio.gather(*writers)
                self.reading.clear()
                await asyncio.gather(*readers)
            finally:
                for task in (*writers, *readers):
                    task.cancel()

    async def _write(self, client: Client, pace: Pace, keys: list[str]) -> None:
        """Write to *keys* in turn, every other time with the revision that is expected."""
        chance = random.Random(f"{self.scenario.seed} {keys}")  # noqa: S311  (it shall repeat, not be secret)
        one = Writer(self, client, client.jetstream(timeout=TIMEOUT), pace)
        pace.last = time.monotonic()
        while self.writing.is_set():
            for key in keys:
                # What a worker had is gone from a work queue, so nobody can expect a revision there.
                await one.write(key, expecting=chance.random() < 0.5 and not self.scenario.workqueue)
                await asyncio.sleep(WRITE_PAUSE)

    async def last_write(self, client: Client) -> None:
        """Write once more when all is over: it must get a revision that nobody had."""
        await Writer(self, client, client.jetstream(timeout=TIMEOUT), Pace()).write(LAST, expecting=False)

    async def _read(self, client: Client, seed: int) -> None:
        """Ask for keys that were acknowledged, more often for those that change and those that will expire."""
        chance = random.Random(f"{self.scenario.seed} reads {seed}")  # noqa: S311  (it shall repeat, not be secret)
        name, ledger = Name(self.scenario), self.ledger
        keys: list[str] = []
        special: list[str] = []
        turns = 0
        while self.reading.is_set():
            if turns % 200 == 0:
                keys = list(ledger.newest)
                special = [key for key in keys if len(ledger.writes[key]) > 1 or ledger.newest[key].ttl]
            turns += 1
            if keys:
                pool = special if special and chance.random() < 0.7 else keys
                await self._read_one(client, name, chance.choice(pool))
            await asyncio.sleep(READ_PAUSE)

    async def _read_one(self, client: Client, name: Name, key: str) -> None:
        ledger = self.ledger
        before, asked = ledger.newest.get(key), time.time()
        ledger.counts["reads"] += 1
        stream, subject = name.stream(), name.subject(key)
        try:
            answer = await client.request(f"$JS.API.DIRECT.GET.{stream}.{subject}", b"", timeout=TIMEOUT)
        except nats.errors.NoRespondersError:
            ledger.counts["read errors"] += 1
            name.nobody()
            return
        except TROUBLE:
            ledger.counts["read errors"] += 1
            return
        headers = answer.headers or {}
        status = headers.get("Status", "")
        if status == "404" or "Nats-Marker-Reason" in headers:
            ledger.read(key, before, None, asked=asked, stream=stream)
        elif status:
            ledger.counts["read errors"] += 1
        else:
            found = int(headers["Nats-Sequence"]), answer.data
            ledger.read(key, before, found, asked=asked, stream=stream)


@dataclass(slots=True)
class Pace:
    """When a connection's last write was acknowledged, and whether natsmith was at work then."""

    last: float = 0.0
    moving: bool = False

    def acknowledged(self, ledger: Ledger) -> None:
        """Note an acknowledgement and the gap before it."""
        now = time.monotonic()
        if self.last and (self.moving or ledger.moving):
            ledger.pause = max(ledger.pause, now - self.last)
        elif self.last:
            ledger.calm = max(ledger.calm, now - self.last)
        self.last, self.moving = now, ledger.moving


@dataclass(slots=True)
class Writer:
    """Writes one message at a time and tries until it is acknowledged."""

    traffic: Traffic
    client: Client
    jetstream: JetStreamContext
    pace: Pace
    name: Name = field(init=False)
    unsure: set[str] = field(default_factory=set)
    """Keys whose last attempt may be stored, although nobody said so."""

    def __post_init__(self) -> None:
        """Begin with the name before the move."""
        self.name = Name(self.traffic.scenario)

    async def write(self, key: str, *, expecting: bool) -> None:
        """Write a value of *key*, with its revision if it is *expecting* one, until that is acknowledged."""
        ledger, scenario = self.traffic.ledger, self.traffic.scenario
        patience = time.monotonic() + 30
        for tries in itertools.count():
            if time.monotonic() > patience:
                break
            attempt = self.traffic.attempts[key] = self.traffic.attempts.get(key, 0) + 1
            expected = ledger.newest[key].seq if key in ledger.newest else 0
            headers = None
            if expecting and key not in self.unsure:
                headers = {Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value: str(expected)}
            floor, sent = ledger.top, time.time()
            try:
                answer = await self.jetstream.publish(
                    self.name.subject(key), payload(key, attempt, scenario.size), headers=headers
                )
            except APIError as refusal:
                await self._refused(refusal, key, expected)
            except NoStreamResponseError:
                ledger.counts["retries"] += 1
                self.name.nobody()
            except TROUBLE:
                ledger.counts["retries"] += 1
                ledger.counts["time-outs"] += 1
                self.unsure.add(key)
            else:
                ttl = scenario.max_age or None
                write = Write(key=key, number=attempt, seq=answer.seq, sent=sent, acked=time.time(), ttl=ttl)
                ledger.acknowledged(write, floor=floor)
                self.unsure.discard(key)
                self.pace.acknowledged(ledger)
                return
            await asyncio.sleep(RETRY_PAUSE if tries < 100 else LONG_RETRY_PAUSE)
        ledger.broken("hang", f"nobody acknowledged a write of {key} for 30 s")

    async def _refused(self, refusal: APIError, key: str, expected: int) -> None:
        ledger = self.traffic.ledger
        ledger.counts["retries"] += 1
        if refusal.err_code == WRONG_LAST and key not in self.unsure:
            there = await self._there({"last_by_subj": self.name.subject(key)}), await self._there({"seq": expected})
            ledger.broken(
                "refused",
                f"a write of {key} that expected revision {expected}: {refusal.description}; then the stream "
                f"has for the key {there[0]}, under that revision {there[1]}",
            )
        elif refusal.err_code != WRONG_LAST:
            ledger.counts[f"refused with {refusal.err_code}"] += 1
        self.unsure.add(key)

    async def _there(self, asked: dict[str, Any]) -> str:
        """Return what the stream's leader has, for who looks for the cause."""
        try:
            answer = await api(self.client, f"STREAM.MSG.GET.{self.name.stream()}", asked, timeout=1)
        except TROUBLE as error:
            return repr(error)
        if "message" in answer:
            return f"{answer['message']['subject']} {answer['message']['seq']}"
        return str(answer.get("error", {}).get("description"))
