"""The consumer that tells what happens in a bucket: what it is asked for as, and how what it delivers is numbered. Pure."""

from __future__ import annotations

import json
from typing import Any

from natsmith.registry.bucket import NANO, Bucket

IDLE_SECONDS = 2
"""A server that has nothing to tell says so as often."""

INACTIVE_SECONDS = 10
"""After so long without a listener the server drops it."""


def request(bucket: Bucket, name: str, inbox: str, *, filter: str, after: int) -> bytes:
    """Return the request for a consumer of what comes *after* a revision; after 0, the newest value of each key."""
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
        "flow_control": True,
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
