"""From the server's JSON answers to the values of ``server``. A page that was read is not kept."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from natsmith.adapters.server import Account, ConsumerInfo, Message, Refused, StreamInfo
from natsmith.errors import DecisionNeeded, NotReady
from natsmith.model.observed import Limits
from natsmith.model.units import NANOS, parse_time

NEVER = "0001-01-01T00:00:00Z"
"""How the server writes that there is no such time."""

SILENT_SECONDS = 10
"""After so long without a word from a replica its leader does not count on it."""

UNHEARD = 2**63 - 1
"""The lag of a replica that was not heard of lately: nobody knows it."""

Answer = Mapping[str, Any]


def refusal(request: str, answer: Answer) -> Refused | None:
    """Return what the server refused, where *answer* says so."""
    error = answer.get("error")
    if error is None:
        return None
    return Refused(
        request=request,
        code=error.get("err_code", error.get("code", 0)),
        text=error.get("description", "no reason given"),
    )


def account(answer: Answer, *, version: str, clustered: bool) -> Account:
    """Return the account that ``INFO`` tells about."""
    # With limits by replica count the server shows zeros here, which would read as "nothing is allowed".
    raw = {} if answer.get("tiers") else answer.get("limits", {})
    return Account(
        version=version,
        level=answer.get("api", {}).get("level", 0),
        clustered=clustered,
        limits=Limits(
            memory=raw.get("max_memory", -1),
            storage=raw.get("max_storage", -1),
            streams=raw.get("max_streams", -1),
            consumers=raw.get("max_consumers", -1),
            # For these a limit of nothing makes no sense: 0 is how some configurations write "no limit".
            memory_stream=raw.get("memory_max_stream_bytes") or -1,
            storage_stream=raw.get("storage_max_stream_bytes") or -1,
            ack_pending=raw.get("max_ack_pending") or -1,
            max_bytes_required=raw.get("max_bytes_required", False),
        ),
        streams=answer.get("streams", 0),
        consumers=answer.get("consumers", 0),
        memory=max(answer.get("memory", 0), answer.get("reserved_memory", 0)),
        storage=max(answer.get("storage", 0), answer.get("reserved_storage", 0)),
    )


def stream(answer: Answer) -> StreamInfo:
    """Return a stream from ``STREAM.INFO``, ``CREATE``, ``UPDATE`` or one entry of ``LIST``."""
    state = answer["state"]
    cluster = answer.get("cluster") or {}
    replicas = cluster.get("replicas") or []
    offline = tuple(each["name"] for each in replicas if _offline(each, cluster, answer.get("ts", "")))
    first = state.get("first_ts", NEVER)
    active = (answer.get("mirror") or {}).get("active", -1)
    return StreamInfo(
        config=answer["config"],
        created=answer.get("created", ""),
        messages=state.get("messages", 0),
        bytes=state.get("bytes", 0),
        first_sequence=state.get("first_seq", 0),
        last_sequence=state.get("last_seq", 0),
        first_time="" if first == NEVER else first,
        consumers=state.get("consumer_count", 0),
        deleted=state.get("num_deleted", 0),
        gaps=frozenset(state.get("deleted") or ()),
        lags={each["name"]: _lag(each) for each in replicas if each["name"] not in offline},
        offline=offline,
        alone=bool(replicas) and (not cluster.get("leader") or 2 * len(offline) >= 1 + len(replicas)),
        heard=active / NANOS if active >= 0 else None,
        lag=answer["mirror"].get("lag", 0) if answer.get("mirror") else None,
        now=answer.get("ts", ""),
    )


def _offline(replica: Answer, cluster: Answer, now: str) -> bool:
    """Return whether a replica's server is gone; the server itself says so only after minutes."""
    if replica.get("current"):
        return False
    if replica.get("offline"):
        return True
    silent = replica.get("active", 0) / NANOS
    if not silent and now and cluster.get("leader_since"):  # this leader never heard of it
        silent = (parse_time(now) - parse_time(cluster["leader_since"])).total_seconds()
    return bool(silent > SILENT_SECONDS)


def _lag(replica: Answer) -> int:
    """Return how far a replica is behind; who is not current and tells no lag was not heard of lately."""
    return 0 if replica.get("current") else replica.get("lag") or UNHEARD


def consumer(answer: Answer) -> ConsumerInfo:
    """Return a consumer from ``CONSUMER.CREATE`` or one entry of ``LIST``."""
    return ConsumerInfo(
        stream=answer["stream_name"],
        name=answer["name"],
        config=answer["config"],
        created=answer.get("created", ""),
        delivered=answer.get("delivered", {}).get("stream_seq", 0),
        ack_floor=answer.get("ack_floor", {}).get("stream_seq", 0),
        handed_out=answer.get("delivered", {}).get("consumer_seq", 0),
        pending=answer.get("num_pending", 0),
        ack_pending=answer.get("num_ack_pending", 0),
        redelivered=answer.get("num_redelivered", 0),
        now=answer.get("ts", ""),
    )


def message(answer: Answer) -> Message:
    """Return a message from ``STREAM.MSG.GET``."""
    raw = answer["message"]
    return Message(
        subject=raw["subject"],
        sequence=raw["seq"],
        time=raw["time"],
        payload=base64.b64decode(raw.get("data") or ""),
        headers=headers(base64.b64decode(raw.get("hdrs") or "")),
    )


def headers(block: bytes) -> dict[str, str]:
    """Return the headers in a block that begins with ``NATS/1.0``; of several with one name the last counts."""
    lines = block.decode("utf-8", "replace").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if line)
    return {name.strip(): value.strip() for name, _, value in pairs}


async def told_account(send: Callable[[str, bytes], Awaitable[bytes]]) -> str:
    """Return the name of the account that our user belongs to, or nothing where the server does not tell."""
    try:
        told = json.loads(await send("$SYS.REQ.USER.INFO", b""))
    except (DecisionNeeded, NotReady, ValueError):
        return ""
    data = told.get("data") if isinstance(told, dict) else None
    return str(data.get("account", "")) if isinstance(data, dict) else ""
