"""Between the model and the server's JSON. Pure: the same object always makes the same request."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from natsmith.adapters.server import Config, ConsumerInfo, StreamInfo
from natsmith.model.change import Change
from natsmith.model.desired import Resource
from natsmith.model.kind import Kind
from natsmith.model.observed import Applied, Found
from natsmith.model.resources import CONSUMER, KINDS, kind_of_stream
from natsmith.model.units import NANOS, Json

OWNER = "natsmith.owner"
APPLIED = "natsmith.applied"
RENAMED = "natsmith.renamedFrom"
"""The stream that this one was moved from under another name, so that nobody begins empty under the old one."""

CARRIED = "natsmith.carried"
"""How a consumer began that was made anew at its position; its own start says only where it went on."""

FORMAT = 1
"""The format of what ``APPLIED`` holds; a reader refuses a higher one."""

STARTS = ("deliver_policy", "opt_start_seq", "opt_start_time")
"""How a consumer begins, which cannot be changed in place."""

_OURS = "natsmith."
_SERVERS = "_nats."


def encode(
    desired: Resource, owner: str, over: Config | None = None, dropped: Collection[str] = (), *, consents: int = 0
) -> Config:
    """Return the whole configuration that makes an object what *desired* says.

    *over* is the server's present configuration: what the model does not know is kept from it, except the raw
    fields in *dropped*, and latches that *desired* does not mention stay as they are.
    """
    kind = desired.kind
    latches = [field.name for field in kind.fields if field.latch and over and over.get(field.api) is True]
    effective = desired.with_latches(latches)
    plain, unsaid, following = _DEFAULTS[kind.word]
    result: Config = {key: value for key, value in (over or {}).items() if key not in dropped and key not in unsaid}
    result |= plain
    for name in {**following, **effective.settings}:
        field = kind.by_name[name]
        value = effective.get(name)
        raw = field.type.encode(value)
        if raw is not None and not (field.level and value == field.default):
            result[field.api] = raw
    metadata = own_metadata(over or {})
    known = applied_of(metadata)
    for key in known.settings.get("metadata", {}) if known else ():
        metadata.pop(key, None)
    result.update(desired.config)
    result["metadata"] = metadata | result.get("metadata", {}) | stamp(desired, owner, consents)
    if kind is CONSUMER:
        result.pop("filter_subject", None)  # filter_subjects says the same and more
        result |= {"durable_name": desired.name, "name": desired.name}
        if over and CARRIED in metadata:
            result = {key: value for key, value in result.items() if key not in STARTS}
            result |= {key: over[key] for key in STARTS if key in over}
    else:
        result["name"] = desired.stream
        if result.get("mirror"):
            result.pop("subjects", None)  # the server refuses a mirror with subjects
    return result


def encode_change(change: Change, owner: str, over: Config) -> Config:
    """Return the whole configuration that a change makes of the present one, *over*; a consent that it uses is counted."""
    if change.desired is None:
        raise ValueError(f"{change.action} of {change.title} has nothing that is wanted")
    applied = change.found.applied if change.found else None
    dropped = set(applied.config if applied else ()) - set(change.desired.config)
    consents = (applied.consents if applied else 0) + bool(change.consent)
    return encode(change.desired, owner, over, dropped, consents=consents)


def counting(name: str, time: str, seconds: int) -> Config:
    """Return a consumer that only counts what is not older than *time*, and goes by itself after so many seconds."""
    return {
        "name": name,
        "deliver_policy": "by_start_time",
        "opt_start_time": time,
        "ack_policy": "none",
        "headers_only": True,
        "mem_storage": True,
        "num_replicas": 1,
        "inactive_threshold": seconds * NANOS,
    }


def filters(config: Mapping[str, Any]) -> list[str]:
    """Return the filters of a consumer's configuration, which the server writes in two ways; none is everything."""
    one = config.get("filter_subject")
    return list(config.get("filter_subjects") or ([one] if one else []))


def own_metadata(config: Config) -> dict[str, str]:
    """Return a configuration's metadata without what the server adds."""
    return {key: value for key, value in (config.get("metadata") or {}).items() if not key.startswith(_SERVERS)}


def kept(sent: Config, echo: Config) -> bool:
    """Return whether a server's echo says word for word what it was sent; it may say more, and leave out what is empty."""
    pairs = ((value, echo.get(key)) for key, value in sent.items() if key != "metadata")
    return all(value == said or not (value or said) for value, said in pairs)


def stamp(desired: Resource, owner: str, consents: int = 0) -> dict[str, str]:
    """Return the metadata that says whose the object is and what was applied."""
    return {OWNER: owner, APPLIED: json.dumps(remembered(desired, consents), sort_keys=True, separators=(",", ":"))}


def remembered(desired: Resource, consents: int = 0) -> dict[str, Json]:
    """Return what is remembered of an applied object, to tell drift from changed values later."""
    memory: dict[str, Json] = {"v": FORMAT}
    if desired.settings:
        memory["settings"] = desired.settings
    if desired.config:
        memory["config"] = desired.config
    if consents:
        memory["consents"] = consents
    return memory


def applied_of(metadata: Mapping[str, str]) -> Applied | None:
    """Return what an object's metadata says that natsmith last made of it."""
    if OWNER not in metadata:
        return None
    return applied(metadata[OWNER], metadata.get(APPLIED, ""))


def applied(owner: str, memory: str) -> Applied:
    """Return the memory of an applied object from its JSON; what cannot be read counts as nothing remembered."""
    return applied_from(owner, remembered_map(memory))


def applied_from(owner: str, memory: Mapping[str, Json]) -> Applied:
    """Return the memory of an applied object; each value is of its setting's shape, so that nobody else has to look."""
    version = memory.get("v")
    if not isinstance(version, int):
        return Applied(owner=owner)
    if version > FORMAT:
        return Applied(owner=owner, newer=version)
    settings, config, consents = (memory.get(key) for key in ("settings", "config", "consents"))
    return Applied(
        owner=owner,
        settings={name: value for name, value in settings.items() if _of_shape(name, value)}
        if isinstance(settings, dict)
        else {},
        config=config if isinstance(config, dict) else {},
        consents=consents if type(consents) is int and consents > 0 else 0,
    )


_SHAPES = {field.name: type(field.default) for kind in KINDS for field in kind.fields}


def _of_shape(name: str, value: Json) -> bool:
    if name == "metadata":
        return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())
    return type(value) is _SHAPES.get(name)


def decode(info: StreamInfo | ConsumerInfo, desired: Resource | None = None) -> Found:
    """Return a stream or a consumer as the model sees it."""
    return decode_consumer(info, desired) if isinstance(info, ConsumerInfo) else decode_stream(info, desired)


def decode_stream(info: StreamInfo, desired: Resource | None = None) -> Found:
    """Return a stream as the model sees it: as *desired*'s kind, or as what its name and subjects say."""
    name = info.config["name"]
    kind, label = (desired.kind, desired.name) if desired else kind_of_stream(name, info.config.get("subjects", []))
    settings, config, metadata = _decode(kind, label, info.config, desired)
    return Found(
        kind=kind,
        name=label,
        stream=name,
        settings=settings,
        config=config,
        applied=applied_of(metadata),
        created=info.created,
        messages=info.messages,
        bytes=info.bytes,
        last_sequence=info.last_sequence,
        first_time=info.first_time,
        now=info.now,
        consumers=info.consumers,
        offline=info.offline,
        renamed_from=metadata.get(RENAMED, ""),
    )


def decode_consumer(info: ConsumerInfo, desired: Resource | None = None) -> Found:
    """Return a consumer as the model sees it."""
    raw = dict(info.config)
    began = own_metadata(raw).get(CARRIED)
    if began:
        raw = {key: value for key, value in raw.items() if key not in STARTS} | remembered_map(began)
    if raw.get("filter_subject"):
        raw["filter_subjects"] = [raw["filter_subject"]]
    settings, config, metadata = _decode(CONSUMER, info.name, raw, desired)
    return Found(
        kind=CONSUMER,
        name=info.name,
        stream=info.stream,
        settings=settings,
        config=config,
        applied=applied_of(metadata),
        created=info.created,
        delivered=info.delivered,
        pending=info.pending,
        ack_pending=info.ack_pending,
        redelivered=info.redelivered,
        now=info.now,
    )


def _defaults(kind: Kind) -> tuple[Config, set[str], dict[str, None]]:
    """Return what is sent where nobody says anything: always, never, and by what else is said."""
    plain: Config = {}
    unsaid: set[str] = set()
    following: dict[str, None] = {}
    for field in kind.fields:
        raw = field.type.encode(field.default)
        if field.derived or field.named:
            following[field.name] = None
        if raw is None or field.level:
            unsaid.add(field.api)  # an older server need not know a field that says nothing
        elif field.name not in following:
            plain[field.api] = raw
    return plain, unsaid, following


_DEFAULTS = {kind.word: _defaults(kind) for kind in KINDS}

_SKIPPED = {"name", "durable_name", "filter_subject", "metadata"}
_FIELDS = {id(kind): tuple((field, field.api) for field in kind.fields if field.api != "metadata") for kind in KINDS}


def _decode(
    kind: Kind, name: str, raw: Config, desired: Resource | None
) -> tuple[dict[str, Json], dict[str, Json], Mapping[str, str]]:
    passed = desired.config if desired else {}
    overridden = desired.overridden if desired else frozenset()
    settings: dict[str, Json] = {}
    for field, api in _FIELDS[id(kind)]:
        value = raw.get(api)
        if value is None or field.name in overridden:
            continue
        decoded = field.type.decode(value)
        if field.derived or field.named or decoded != field.default:
            settings[field.name] = decoded
    metadata: Mapping[str, str] = raw.get("metadata") or {}
    theirs = {key: value for key, value in metadata.items() if not key.startswith((_OURS, _SERVERS))}
    if theirs:
        settings["metadata"] = theirs
    known = kind.by_api
    config = {
        key: value
        for key, value in raw.items()
        if key not in _SKIPPED and (key in passed or (value and value != -1 and key not in known))
    }
    return kind.normal(name, settings), config, metadata


def remembered_map(text: str | bytes) -> dict[str, Json]:
    """Return the map that is stored as JSON; what cannot be read, and what cannot be written again, says nothing."""
    try:
        read = json.loads(text)
        # No number that is none, no half of a surrogate pair, nothing that is too deep to go through.
        json.dumps(read, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}
