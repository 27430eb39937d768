"""The JSON API, as programs read about it; a test holds the real answers against it."""

from __future__ import annotations

from collections.abc import Mapping

from natsmith import __version__
from natsmith.model.units import Json
from natsmith.registry.entry import Status

TEXT: Json = {"type": "string"}
COUNT: Json = {"type": "integer", "minimum": 0}
NUMBER: Json = {"type": "number"}
TRUTH: Json = {"type": "boolean"}
NAMED: Json = {"type": ["boolean", "null"], "description": "whether the values name it; null where there is no plan"}
MAYBE_NUMBER: Json = {"type": ["number", "null"]}


def document() -> Json:
    """Return the whole document."""
    answers = {
        "accounts": ("Accounts: whether they can be read, their limits, the last run", _account()),
        "buckets": ("Buckets, streams and object stores: time to live, entries, age, size, what differs", _objects()),
        "consumers": ("Durable consumers and dead letters", _consumers()),
        "services": ("Registered instances, leaders, and who went", _services()),
        "plan": ("What apply would do now", _plan()),
    }
    paths = {f"/api/{part}": _get(said, _versioned(schema)) for part, (said, schema) in answers.items()}
    ready = _map(ready=TRUTH, trouble=_list(TEXT))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "natsmith monitor",
            "version": __version__,
            "description": "Read-only. Times are seconds since 1970 by the server's clock, sizes are bytes.",
        },
        "paths": {
            **paths,
            "/healthz": _get("Whether the monitor runs", _map(healthy=TRUTH)),
            "/readyz": _get("Whether every account can be read; 503 where not", ready, status=("200", "503")),
            "/metrics": _get("What Prometheus reads", TEXT, kind="text/plain"),
            "/api/events": _get(
                "What the page hears, as server-sent events; they may change with any version",
                TEXT,
                kind="text/event-stream",
            ),
        },
    }


def _get(said: str, schema: Json, *, kind: str = "application/json", status: tuple[str, ...] = ("200",)) -> Json:
    content = {"description": said, "content": {kind: {"schema": schema}}}
    return {"get": {"summary": said, "responses": dict.fromkeys(status, content)}}


def _map(**properties: Json) -> Json:
    """Return the schema of a map that has exactly these keys; those that end in an underscore may be missing."""
    named: Mapping[str, Json] = {key.rstrip("_"): value for key, value in properties.items()}
    needed = [key for key in properties if not key.endswith("_")]
    return {"type": "object", "properties": named, "required": needed, "additionalProperties": False}


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


def _maybe(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def _versioned(account: Json) -> Json:
    return _map(version={"const": 1}, accounts=_list(account))


def _account() -> Json:
    pair = {
        "type": "array",
        "items": NUMBER,
        "minItems": 2,
        "maxItems": 2,
        "description": "used, and the most; -1: none",
    }
    run = _map(
        time=TEXT, owner=TEXT, version=TEXT, who=TEXT, seconds=NUMBER, result=TEXT, changes=_list(TEXT), count=COUNT
    )
    return _map(
        account=TEXT,
        trouble={"type": "string", "description": "why it cannot be read; what is told is then from before"},
        lacking=_list({"type": "string", "description": "what the monitor's user may not ask, so that it is missing"}),
        server=TEXT,
        last=_maybe(run),
        lockedBy=TEXT,
        limits={
            "type": "object",
            "properties": dict.fromkeys(("storage", "memory", "streams", "consumers"), pair),
            "additionalProperties": False,
        },
    )


def _objects() -> Json:
    last = _map(time=TEXT, who=TEXT, owner=TEXT, what=TEXT)
    row = _map(
        key={"type": "string", "description": "its stream on the server"},
        kind={"enum": ["bucket", "stream", "object store"]},
        name=TEXT,
        ttl=MAYBE_NUMBER,
        desiredTtl=MAYBE_NUMBER,
        entries=COUNT,
        bytes=COUNT,
        limit=MAYBE_NUMBER,
        oldest=MAYBE_NUMBER,
        age=MAYBE_NUMBER,
        history={"type": ["integer", "null"]},
        replicas={"type": ["integer", "null"]},
        storage={"enum": ["file", "memory", None]},
        owner=TEXT,
        named=NAMED,
        differs=_list(TEXT),
        moving=TEXT,
        last=_maybe(last),
    )
    return _map(account=TEXT, objects=_list(row))


def _consumers() -> Json:
    row = _map(
        key=TEXT,
        stream=TEXT,
        name=TEXT,
        pending=COUNT,
        unacknowledged=COUNT,
        redelivered=COUNT,
        delivered=COUNT,
        owner=TEXT,
        named=NAMED,
        differs=_list(TEXT),
    )
    letter = _map(
        stream=TEXT,
        consumer=TEXT,
        sequence={"type": "integer"},
        time=TEXT,
        deliveries={"type": "integer"},
        reason=TEXT,
        value={"type": ["string", "null"], "description": "only with --show-values"},
    )
    dead = {**COUNT, "description": "how many there are, of which letters are the newest"}
    return _map(account=TEXT, consumers=_list(row), letters=_list(letter), deadLetters=dead)


def _services() -> Json:
    instance = _map(
        key=TEXT,
        service=TEXT,
        id=TEXT,
        status={"enum": [each.value for each in Status]},
        heartbeat=NUMBER,
        lives=NUMBER,
        late={"type": "boolean", "description": "it missed two heartbeats"},
        metadata_={"type": "object", "description": "only with --show-values"},
    )
    return _map(
        account=TEXT,
        bucket=TEXT,
        trouble={"type": "string", "description": "why the registry's bucket is not heard just now"},
        lacking={"type": "string", "description": "what may not be asked of the elections"},
        now={**MAYBE_NUMBER, "description": "the server's time, in seconds since 1970; null before it was told"},
        instances=_list(instance),
        unread=_list(_map(key=TEXT, why=TEXT)),
        gone=_list(_map(key=TEXT, service=TEXT, id=TEXT, why={"enum": ["left", "expired"]}, at=NUMBER)),
        leaders=_list(_map(group=TEXT, id=TEXT, token={"type": "integer"}, ttl=NUMBER, heard=NUMBER)),
    )


def _plan() -> Json:
    change = _map(action=TEXT, title=TEXT, fate=TEXT, harmless=TRUTH, blocked=TEXT, rows=_list(TEXT))
    told = {**COUNT, "description": "what is only told, such as an object that the values do not name any more"}
    plan = _map(
        digest=TEXT,
        unchanged=COUNT,
        count=COUNT,
        told=told,
        blocked=COUNT,
        changes=_list(change),
        warnings=_list(TEXT),
    )
    return _map(account=TEXT, plan=_maybe(plan))
