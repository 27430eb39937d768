"""Values of one object, and what is wrong with them."""

from __future__ import annotations

from natsmith.model.reading import read
from natsmith.model.units import Json

TWO_ACCOUNTS: Json = {"accounts": {"A": {}, "B": {}}}


def problems(document: Json) -> list[str]:
    return read(document)[1]


def bucket(**settings: Json) -> Json:
    return {"buckets": {"b": settings}}


def stream(**settings: Json) -> Json:
    return {"streams": {"S": settings}}


def consumer(**settings: Json) -> Json:
    return stream(consumers={"w": settings})
