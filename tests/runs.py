"""Runs against the server in memory."""

from __future__ import annotations

from typing import Any

from builders import desired
from memory import MemoryServer
from natsmith.actions.apply import apply
from natsmith.log import Log
from natsmith.model.outcome import Outcome

VALUES = {
    "buckets": {"b": {"ttlSeconds": 30}},
    "streams": {"S": {"subjects": ["s.>"], "consumers": {"w": {"maxDeliver": 3, "deadLetter": {}}}}},
}


async def applied(server: MemoryServer, document: Any, *, owner: str = "local", expect: str = "") -> Outcome:
    """Apply a document of values."""
    return await apply(server, desired(document), account="app", owner=owner, log=Log(), timeout=0.2, expect=expect)
