"""A live account as the values that would plan to nothing on it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping

from natsmith.model.fields import Field
from natsmith.model.observed import Found, Observed
from natsmith.model.resources import CONSUMER, STREAM
from natsmith.model.units import LARGEST, Json, Limit, Size

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
    kind = found.kind
    said = {name: value for name, value in found.settings.items() if _says(kind.by_name[name], value)}
    raw = {name: value for name, value in found.settings.items() if name not in said}
    for field in kind.fields if raw else ():
        # A default may follow from what only the raw field says now.
        value = found.get(field.name)
        if field.derived and field.name not in found.settings and value != field.default_for(found.name, said):
            (said if _says(field, value) else raw)[field.name] = value
    config = {key: value for key, value in found.config.items() if key not in NOT_VALUES and not _empty(value)}
    config |= {kind.by_name[name].api: kind.by_name[name].type.encode(value) for name, value in raw.items()}
    if kind is STREAM and not found.get("subjects") and not found.get("mirror") and not found.get("sources"):
        config["subjects"] = []
    # What is as good as no limit is left out: no reader of YAML keeps that number.
    limited = {
        name: value
        for name, value in said.items()
        if value != LARGEST
        or not isinstance(kind.by_name[name].type, Limit)
        or isinstance(kind.by_name[name].type, Size)
    }
    body = {name: _shown(kind.by_name[name], value) for name, value in limited.items()}
    return {**body, **({"config": _rounded(config)} if config else {})}


def _says(field: Field, value: Json) -> bool:
    """Return whether a setting can say *value*; else only the raw field can, as with parts of a second."""
    if field.pinned:
        return False  # what the kind is made of
    try:
        return bool(field.type.read(value) == value)
    except ValueError:
        return False


def _shown(field: Field, value: Json) -> Json:
    if isinstance(field.type, Size):
        shown = field.type.show(value)
        return int(shown) if shown.isdigit() and _rounded(value) == value else shown
    return _rounded(value)


def _rounded(value: Json) -> Json:
    """Return *value* with each number that Helm, which keeps floats, cannot hold as the next below that it can."""
    if isinstance(value, Mapping):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    if type(value) is int and int(float(value)) > value:
        return int(math.nextafter(float(value), -math.inf))
    return int(float(value)) if type(value) is int else value


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
            lines.append(f"{lead} {_quoted(each)}")
    return lines or ["{}"]


def _key(key: str) -> str:
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", key)
    words = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
    return key if plain and key.lower() not in words else _quoted(key)


_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What JSON lets stand in a text and YAML forbids, or takes for the end of a line or of a file's beginning."""


def _quoted(value: Json) -> str:
    """Return *value* as JSON, which is YAML but for a few characters, and but for halves of a surrogate pair."""
    text = json.dumps(value, ensure_ascii=False)
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
