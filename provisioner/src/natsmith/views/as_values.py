"""A live account as the values that would plan to nothing on it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from natsmith.model.observed import Found, Observed
from natsmith.model.resources import CONSUMER, STREAM
from natsmith.model.units import LARGEST, Json, Size

NOT_VALUES = {"first_seq", "pause_until"}
"""Raw fields that tell how an object began or is for the moment, not what it should be."""


def values(observed: Observed) -> dict[str, Json]:
    """Return *observed* as a document of values; consumers stand under their streams."""
    result: dict[str, dict[str, Json]] = {"buckets": {}, "streams": {}, "objectStores": {}}
    for found in observed.objects.values():
        if found.kind is not CONSUMER:
            result[found.kind.section][found.name] = _body(found)
    for found in observed.objects.values():
        if found.kind is CONSUMER and found.stream in result["streams"]:
            stream = result["streams"][found.stream]
            stream.setdefault("consumers", {})[found.name] = _body(found)
    return {section: objects for section, objects in result.items() if objects}


def _body(found: Found) -> dict[str, Json]:
    body: dict[str, Json] = {}
    config = {key: value for key, value in found.config.items() if key not in NOT_VALUES and not _empty(value)}
    for name, value in found.settings.items():
        field = found.kind.by_name[name]
        if field.pinned or isinstance(value, float):
            # Not what the kind is made of, or not in whole seconds: only the raw field can say it.
            config[field.api] = field.type.encode(value)
        elif isinstance(field.type, Size) and value <= LARGEST:
            shown = field.type.show(value)
            body[name] = int(shown) if shown.isdigit() else shown
        else:
            body[name] = value
    if found.kind is STREAM and not found.get("subjects") and not found.get("mirror") and not found.get("sources"):
        config["subjects"] = []
    return {**body, **({"config": config} if config else {})}


def _empty(value: Json) -> bool:
    return value in (None, False, 0, "", [], {})


def as_yaml(document: Json) -> str:
    """Return a document of values as YAML that every reader takes the same way: texts are always quoted."""
    return "\n".join(_lines(document, 0)) + "\n"


def _lines(value: Mapping[str, Json], depth: int) -> list[str]:
    lines = []
    for key, each in value.items():
        lead = "  " * depth + _key(key) + ":"
        if isinstance(each, Mapping) and each:
            lines += [lead, *_lines(each, depth + 1)]
        else:
            lines.append(f"{lead} {json.dumps(each)}")  # JSON is YAML
    return lines or ["{}"]


def _key(key: str) -> str:
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", key)
    words = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
    return key if plain and key.lower() not in words else json.dumps(key)
