"""Values for tests, said in the words of a values file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from natsmith.model.change import Plan
from natsmith.model.desired import Desired, Id
from natsmith.model.observed import Applied, Found, Limits, Observed
from natsmith.model.reading import read
from natsmith.planning.plan import plan

NOW = "2026-01-01T12:00:00Z"


def desired(document: Mapping[str, Any]) -> Desired:
    """Return what *document* asks for; a mistake in it is a mistake in the test."""
    result, problems = read(document)
    assert [] == problems
    return result


def buckets(**settings: Any) -> Desired:
    """Return one bucket called b with *settings*."""
    return desired({"buckets": {"b": settings}})


def observed(
    document: Mapping[str, Any],
    *,
    owner: str = "local",
    applied: Mapping[str, Any] | None = None,
    counts: Mapping[str, int] | None = None,
    limits: Limits | None = None,
    level: int = 5,
    clustered: bool = False,
    **state: Mapping[str, Any],
) -> Observed:
    """Return a server on which everything is as *document* says.

    It belongs to *owner* ("" is nobody), who last applied *applied* (by default what is there now).
    *state* gives more of what is known by an object's name on the server: ``KV_b={"messages": 3}``.
    """
    before = {each.id: each for each in desired(applied).resources} if applied is not None else None
    objects = {}
    for each in desired(document).resources:
        memory = each if before is None else before.get(each.id)
        stamp = Applied(owner=owner, settings=memory.settings, config=memory.config) if memory else Applied(owner=owner)
        objects[each.id] = Found(
            kind=each.kind,
            name=each.name,
            stream=each.stream,
            settings=each.settings,
            config=each.config,
            created=NOW,
            now=NOW,
            **{"applied": stamp if owner else None, **state.get(str(each.id).replace("/", "__"), {})},
        )
    numbers = {(_id(key.partition(":")[0]), key.partition(":")[2]): number for key, number in (counts or {}).items()}
    return Observed(
        objects=objects, counts=numbers, limits=limits or Limits(), level=level, version="2.15.1", clustered=clustered
    )


def planned(wanted: Desired, found: Observed, *, owner: str = "local", account: str = "app") -> Plan:
    """Return the plan from one to the other."""
    return plan(wanted, found, account=account, owner=owner)


def _id(text: str) -> Id:
    stream, _, consumer = text.partition("/")
    return Id(stream, consumer)
