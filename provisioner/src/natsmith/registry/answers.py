"""What a server answers, and the headers of what it stored, as values. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from natsmith.errors import DecisionNeeded, NatsmithError, NotReady

STREAM_NOT_FOUND = 10059
NO_MESSAGE = 10037
WRONG_LAST_REVISION = (10071, 10164)
"""The second where a cluster has not yet stored what somebody else wrote to the key."""

UNAVAILABLE = 503
JETSTREAM_OFF = (10039, 10076)
NEVER = 0
"""What is expected of a key that was never written, or is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The newest value of a key."""

    revision: int
    at: float
    """When it was stored: seconds since 1970 by the server's clock."""

    payload: bytes
    deleted: bool
    """Whether it is a marker: the key is gone, and its revision has to be expected all the same."""


def refused(what: str, refusal: Mapping[str, Any]) -> NatsmithError:
    """Return the error for what the server answered: some of its refusals pass by themselves."""
    text = f"the server refused {what}: {refusal.get('description')} ({refusal.get('err_code', refusal.get('code'))})"
    passes = refusal.get("code") == UNAVAILABLE and refusal.get("err_code") not in JETSTREAM_OFF
    return NotReady(text) if passes else DecisionNeeded(text)


def seconds(time: str) -> float:
    """Return a time of the server as seconds since 1970."""
    whole, _, parts = time.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + (float(f"0.{parts}") if parts else 0.0)


def gone(headers: Mapping[str, str]) -> bool:
    """Return whether a value's headers say that the key is deleted, or expired."""
    return "Nats-Marker-Reason" in headers or headers.get("KV-Operation") in ("DEL", "PURGE")


def kept(headers: Mapping[str, str]) -> float:
    """Return the seconds that the server keeps a value by a TTL of its own; 0: it has none, -1: it stays for ever."""
    said = headers.get("Nats-TTL", "")
    if said == "never":
        return -1.0
    if said.isdecimal():
        return float(said)
    parts = re.findall(r"(\d+(?:\.\d+)?)(h|ms|m|s)", said)
    return sum(float(number) * {"h": 3600, "m": 60, "s": 1, "ms": 0.001}[unit] for number, unit in parts)


def stored_in(message: Mapping[str, Any]) -> Stored:
    """Return the value in an answer to STREAM.MSG.GET."""
    lines = base64.b64decode(message.get("hdrs", "")).decode(errors="replace").split("\r\n")[1:]
    headers = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Stored(
        revision=int(message["seq"]),
        at=seconds(message["time"]),
        payload=base64.b64decode(message.get("data", "")),
        deleted=gone(headers),
    )
