"""The consumer that tells what happens in a bucket: what it is asked for as, and how what it delivers is numbered. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from natsmith.registry.answers import gone, kept
from natsmith.registry.bucket import NANO, Bucket

IDLE_SECONDS = 2
"""A server that has nothing to tell says so as often."""

INACTIVE_SECONDS = 10
"""After so long without a listener the server drops it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A value that was written to a key, or that it is gone."""

    key: str
    revision: int
    at: float
    payload: bytes
    gone: bool
    expired: bool
    """Whether the server's own marker says so."""

    kept: float = 0.0
    """The seconds that the server keeps it by a TTL of its own; 0: it has none, -1: it stays for ever."""


def request(bucket: Bucket, name: str, inbox: str, *, filter: str, after: int, paced: bool) -> bytes:
    """Return the request for a consumer of what comes *after* a revision; after 0, the newest value of each key.

    A *paced* one waits after each portion until it is acknowledged, which takes a right of its own.
    """
    start: dict[str, Any] = {"deliver_policy": "last_per_subject"}
    if after:
        start = {"deliver_policy": "by_start_sequence", "opt_start_seq": after + 1}
    config = {
        "name": name,
        "deliver_subject": inbox,
        "ack_policy": "none",
        "max_deliver": 1,
        "replay_policy": "instant",
        "filter_subject": filter,
        "flow_control": paced,
        "idle_heartbeat": IDLE_SECONDS * NANO,
        "inactive_threshold": INACTIVE_SECONDS * NANO,
        "mem_storage": True,
        "num_replicas": 1,
    }
    return json.dumps({"stream_name": bucket.stream, "config": config | start, "action": "create"}).encode()


def position(reply: str) -> tuple[int, int, int, int]:
    """Return a delivered message's sequences in stream and consumer, its time in nanoseconds, and how many follow."""
    words = reply.split(".")
    # $JS.ACK.STREAM.CONSUMER.DELIVERIES.… and, on newer servers, a domain and an account's hash before the stream.
    revision, number, time, pending = words[5:9] if len(words) == 9 else words[7:11]
    return int(revision), int(number), int(time), int(pending)


def event(subject: str, revision: int, time: int, payload: bytes, headers: Mapping[str, str]) -> Event:
    """Return what a delivered message tells."""
    return Event(
        key=subject.split(".", 2)[2],
        revision=revision,
        at=time / NANO,
        payload=payload,
        gone=gone(headers),
        expired="Nats-Marker-Reason" in headers,
        kept=kept(headers),
    )
