"""A bucket that is there, a stream that is full, and what a plan says of the one thing that changes."""

from __future__ import annotations

from typing import Any

from natsmith.model.change import Plan

REGISTRY = {"buckets": {"b": {"ttlSeconds": 60, "history": 5}}}
FULL = {"messages": 100, "bytes": 1000}


def actions(plan: Plan) -> list[tuple[str, str]]:
    return [(change.action, change.title) for change in plan.changes]


def only(plan: Plan) -> Any:
    (change,) = plan.changes
    return change
