"""What an entry of the registry says: its key, its JSON, and what older writers wrote instead. Pure."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from natsmith.errors import WrongValues

Json: TypeAlias = Any
"""What JSON can say; the values of metadata are the application's own."""

FORMAT = 1
LARGEST = 64 * 1024
"""More than this is no entry of a registry: readers keep every one in memory and get it with each heartbeat."""

DEFAULT_TTL = 30
"""Seconds, where neither bucket nor writer says how long an entry lives."""

LONGEST_TTL = 2**31 - 1
"""Seconds; readers do not take what says more for a time to live."""

CANARY = "natsmith-doctor"
"""The service of keys that only prove that entries expire: nobody takes them for instances."""

_SERVICE = re.compile(r"[-_=A-Za-z0-9]+")
_ID = re.compile(r"[-_=A-Za-z0-9]+(\.[-_=A-Za-z0-9]+)*")
_BUCKET = re.compile(r"[-_A-Za-z0-9]+")
_LONGEST_NAME = 128


class Status(StrEnum):
    """How an instance says it is."""

    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    DRAINING = "draining"
    SHUTDOWN = "shutdown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One running instance of a service, as its newest heartbeat tells it."""

    service: str
    id: str
    status: Status = Status.HEALTHY
    metadata: Mapping[str, Json] = field(default_factory=dict)
    ttl: int = 0
    """Seconds that it lives after a heartbeat; 0 where its writer did not say."""

    run: str = ""
    """Tells a process from the one that had the same id before."""

    format: int = FORMAT
    """The version of its JSON; 0 is what writers before natsmith wrote."""

    key: str = ""
    revision: int = 0
    heartbeat: float = 0.0
    """When its newest heartbeat was stored: seconds since 1970 by the server's clock."""


class Unread(Exception):
    """An entry that is not understood; its text says why."""


def key_of(service: str, id: str) -> str:
    """Return the key of an instance, or raise WrongValues for a name that cannot be part of one."""
    problems = []
    if service == CANARY:
        problems.append(f"the service {service} is what natsmith registry doctor calls its canaries: use another name")
    if not _is_name(service, _SERVICE):
        problems.append(
            f"the service {_shown(service)} cannot be in a key: use up to {_LONGEST_NAME} of A-Z a-z 0-9 - _ ="
        )
    if not _is_name(id, _ID):
        problems.append(
            f"the instance id {_shown(id)} cannot be in a key: use up to {_LONGEST_NAME} of A-Z a-z 0-9 - _ = "
            "with single dots between them"
        )
    if problems:
        raise WrongValues(*problems)
    return f"{service}.{id}"


def check_service(name: str) -> None:
    """Raise WrongValues for the name of a service that nobody can have, also no writer before natsmith."""
    if not _is_name(name, _ID):
        raise WrongValues(
            f"the service {_shown(name)} cannot be one: use up to {_LONGEST_NAME} of A-Z a-z 0-9 - _ = "
            "(and single dots between them, in names from before natsmith)"
        )


def is_canary(key: str) -> bool:
    """Return whether a key is none of a service's."""
    return key.startswith(f"{CANARY}.")


def group_key(group: str) -> str:
    """Return the key of a group that elects a leader, or raise WrongValues for a name that cannot be one."""
    if not _is_name(group, _ID):
        raise WrongValues(
            f"the group {_shown(group)} cannot be a key: use up to {_LONGEST_NAME} of A-Z a-z 0-9 - _ = "
            "with single dots between them"
        )
    return group


def leader_id(id: str) -> str:
    """Return the name of somebody who wants to lead, or raise WrongValues for one that nobody could read."""
    if not isinstance(id, str) or len(id) > _LONGEST_NAME or not id.isprintable():
        raise WrongValues(
            f"the id {_shown(id)} cannot tell who leads: use a text of up to {_LONGEST_NAME} characters, or leave it out"
        )
    return id


def bucket_name(name: str) -> str:
    """Return the name of a bucket, or raise WrongValues for one that no bucket can have."""
    if not _is_name(name, _BUCKET):
        raise WrongValues(f"the bucket {_shown(name)} cannot be one: use letters, digits, - and _")
    return name


def status_of(given: str) -> Status:
    """Return a status by its name, or raise WrongValues."""
    try:
        return Status(given)
    except ValueError:
        raise WrongValues(f"the status is {_shown(given)}, but must be one of {', '.join(Status)}") from None


def _is_name(given: object, pattern: re.Pattern[str]) -> bool:
    """Return whether *given* is a name; callers without types hand in anything."""
    return isinstance(given, str) and len(given) <= _LONGEST_NAME and pattern.fullmatch(given) is not None


def _shown(name: object) -> str:
    text = repr(name)
    return text if len(text) <= 62 else text[:58] + "...'"


def written(instance: Instance) -> bytes:
    """Return the JSON of an entry; the same for every heartbeat, so that readers need not read it again."""
    if not isinstance(instance.metadata, Mapping):
        raise WrongValues(
            f"the metadata of {instance.service}.{instance.id} is {_shown(instance.metadata)}, but must be a map: "
            'give it a name, such as {"port": 8080}'
        )
    try:
        text = json.dumps(
            {
                "v": FORMAT,
                "status": instance.status.value,
                "ttl": instance.ttl,
                "run": instance.run,
                "metadata": dict(instance.metadata),
            },
            allow_nan=False,
            separators=(",", ":"),
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise WrongValues(
            f"the metadata of {instance.service}.{instance.id} is not what JSON can say: {error}"
        ) from error
    payload = text.encode("utf-8", "surrogatepass")
    if len(payload) > LARGEST:
        raise WrongValues(
            f"the metadata of {instance.service}.{instance.id} takes {len(payload)} bytes, but an entry has room for "
            f"{LARGEST}: every reader keeps it in memory. Keep it elsewhere and register where it is"
        )
    return payload


def read(key: str, payload: bytes, *, revision: int, heartbeat: float) -> Instance:
    """Return the instance that an entry tells of, or raise Unread."""
    if len(payload) > LARGEST:
        raise Unread(f"{len(payload)} bytes, more than the {LARGEST} of an entry")
    try:
        said = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise Unread("it is not JSON") from error
    if not isinstance(said, dict):
        raise Unread(f"it is JSON, but {_kind(said)} and not an object")
    version = said.get("v", 0)
    if not isinstance(version, int) or isinstance(version, bool) or version < 0:
        raise Unread(f"its version v is {_short(version)}, but must be a whole number such as {FORMAT}")
    service, name = _names(key, said)
    return Instance(
        service=service,
        id=name,
        status=_status(said),
        metadata=_metadata(said, version),
        ttl=_ttl(said),
        run=str(said.get("run", "")),
        format=version,
        key=key,
        revision=revision,
        heartbeat=heartbeat,
    )


def run_in(key: str, payload: bytes) -> str | None:
    """Return which process wrote an entry, or None where it is not understood."""
    with contextlib.suppress(Unread):
        return read(key, payload, revision=0, heartbeat=0.0).run
    return None


# What the SDKs and scripts before natsmith called things: each of them put its own names into the JSON.
_OLDER_SERVICE = ("service", "service_name", "service_type", "serviceName", "name", "type")
_OLDER_ID = ("instance_id", "instanceId", "service_id", "id")
_OLDER_TTL = ("ttl", "ttl_seconds", "ttlSeconds")
_OLDER_OWN = {
    *(*_OLDER_SERVICE, *_OLDER_ID, *_OLDER_TTL, "status", "metadata", "v", "run"),
    *("last_heartbeat", "lastHeartbeat", "heartbeat", "timestamp", "updated_at", "registered_at", "created_at"),
}


def _names(key: str, said: Mapping[str, Json]) -> tuple[str, str]:
    first, _, rest = key.partition(".")
    service, name = (first, rest) if rest else ("", first)
    if not said.get("v"):
        service = _text(said, _OLDER_SERVICE) or service
        name = _text(said, _OLDER_ID) or name
    if not service:
        raise Unread("neither its key nor its JSON names a service")
    return service, name


def _text(said: Mapping[str, Json], names: tuple[str, ...]) -> str:
    return next((said[name] for name in names if isinstance(said.get(name), str) and said[name]), "")


def _status(said: Mapping[str, Json]) -> Status:
    given = said.get("status", Status.HEALTHY.value)
    older = {"up": "healthy", "running": "healthy", "active": "healthy", "down": "shutdown", "stopped": "shutdown"}
    if isinstance(given, str):
        word = given.lower()
        with contextlib.suppress(ValueError):
            return Status(older.get(word, word))
    raise Unread(f"its status is {_short(given)}, but must be one of {', '.join(Status)}")


def _metadata(said: Mapping[str, Json], version: int) -> Mapping[str, Json]:
    given = said.get("metadata") or {}
    if not isinstance(given, dict):
        raise Unread(f"its metadata is {_kind(given)}, but must be an object")
    if version:
        return given
    return {name: value for name, value in said.items() if name not in _OLDER_OWN} | given


def _ttl(said: Mapping[str, Json]) -> int:
    given = next((said[name] for name in _OLDER_TTL if name in said), 0)
    if isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given <= LONGEST_TTL:
        return int(given)
    raise Unread(f"its ttl is {_short(given)}, but must be whole seconds such as {DEFAULT_TTL}")


def _short(given: Json) -> str:
    text = _kind(given) if isinstance(given, list | dict) else json.dumps(given)
    return text if len(text) <= 40 else text[:37] + "..."


def _kind(given: Json) -> str:
    words = {list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}
    return words.get(type(given), "null" if given is None else "an object")
