"""Whether what a stream holds can be moved, and what everybody will see of it. Nothing is contacted."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from natsmith.model.change import Change
from natsmith.model.desired import Id, Resource
from natsmith.model.kind import Kind
from natsmith.model.moving import parking, room, temporary
from natsmith.model.observed import Found, Observed
from natsmith.model.resources import BUCKET, CONSUMER, OBJECT_STORE, STREAM
from natsmith.model.units import Json
from natsmith.planning.subjects import meet

PROMOTES = 2
"""The API level from which on a server can make a mirror a stream of its own: 2.12."""

COPIES_MARKERS = 4
"""The API level from which on a mirror goes on while markers come and go: 2.14."""

RESETS = 4
"""The API level from which on a consumer can be told where to go on: 2.14."""

BYTES_A_SECOND = 20_000_000
MESSAGES_A_SECOND = 20_000
LEAST_SECONDS = 10.0
"""What a copy takes at most on a slow disk, as `make bench` measures it several times faster; and what comes on top."""

NO_PLACE = {
    "sealed": "a sealed stream cannot be changed in any way, so nothing can follow its move",
    "allowMessageCounter": "a copy of a counter cannot become one",
    "allowMessageSchedules": "scheduled messages would not fire in a copy",
    "sources": "where its sources go on is known from messages that may be gone, and they would come again",
    "mirror": "a mirror holds what its origin has: let it begin anew",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a move needs while it lasts."""

    memory: int
    storage: int
    seconds: float


def needs(found: Found, resource: Resource | None) -> Need:
    """Return what moving *found* needs at most beside what it has: it is copied to a file, and from there again."""
    replicas = max(found.get("replicas") or 1, (resource.get("replicas") or 1) if resource else 1)
    copy = max(found.bytes, resource.effective("maxBytes") if resource else 0) * replicas
    seconds = LEAST_SECONDS + 2 * max(found.bytes / BYTES_A_SECOND, found.messages / MESSAGES_A_SECOND)
    renamed = resource is not None and resource.stream != found.stream
    before = found.get("storage")
    after = resource.effective("storage") if resource else before
    if renamed:
        seconds = LEAST_SECONDS + (seconds - LEAST_SECONDS) / 2
        return Need(memory=copy if after == "memory" else 0, storage=copy if after == "file" else 0, seconds=seconds)
    files = 2 if after == "file" and before == "memory" else 1
    return Need(memory=copy if after == "memory" != before else 0, storage=files * copy, seconds=seconds)


def impossible(resource: Resource, found: Found, observed: Observed, named: Collection[Id]) -> str:
    """Return why the messages of *found* cannot be moved so that they become *resource*, and what can be done instead."""
    if observed.level < PROMOTES:
        return (
            f"the server is {observed.version}, and one before 2.12 cannot make a copy take the place of a stream: "
            "upgrade it first"
        )
    unmovable = no_place(resource, found)
    if unmovable:
        return unmovable
    if observed.level < COPIES_MARKERS and (_has(found, "markerSeconds") or _wants(resource, "markerSeconds")):
        return (
            f"the server is {observed.version}, and before 2.14 a copy stands still while markers come and go: "
            "upgrade it, or set markerSeconds: 0 until it is moved"
        )
    return _in_the_way(resource, found, observed, named) or _no_room(resource, found, observed)


def no_place(resource: Resource, found: Found) -> str:
    """Return which setting, as it is or as it is wanted, no copy can have."""
    for name, why in NO_PLACE.items():
        if _has(found, name) or _wants(resource, name):
            return f"{name} is set, and {why}"
    return ""


def _in_the_way(resource: Resource, found: Found, observed: Observed, named: Collection[Id]) -> str:
    for name in {temporary(resource.stream), room(resource.stream)} & observed.strangers:
        return f"there is a stream {name}, which natsmith did not make: delete or rename it, the name is needed"
    for other in observed.objects.values():
        if other.kind is CONSUMER or other.stream == found.stream:
            continue
        copied = [other.get(key) for key in ("mirror", "sources") if key in other.kind.by_name]
        origins = [each.get("name") for each in [copied[0], *copied[1]]] if copied else []
        if found.stream in origins:
            return f"{other.title} copies it, and would lose its place: let that one begin anew, after the move"
    parked = parking(found.stream)
    for subject in [*found.get("subjects"), *resource.effective("subjects")]:
        if subject != parked and meet(subject, parked):
            return (
                f"its subject {subject} takes every subject, so writes could not be kept away from it: narrow it first"
            )
    most = found.get("maxConsumers") if "maxConsumers" in found.kind.by_name else 0
    if 0 < most <= found.consumers:
        return f"it has all the {most} consumers that maxConsumers allows, and its copy needs one more: raise it first"
    return _unfit_for_a_queue(resource, found, observed, named)


def _unfit_for_a_queue(resource: Resource, found: Found, observed: Observed, named: Collection[Id]) -> str:
    """Return which consumers could not go along into a work queue."""
    if not becomes_queue(resource, found):
        return ""
    consumers = observed.consumers_of(found.stream)
    for index, each in enumerate(consumers):
        if each.id not in named:
            return f"{each.title} is not in the values, and a work queue may refuse it: remove it first"
        if each.get("ackPolicy") != "explicit" or each.get("deliverPolicy") != "all":
            return f"{each.title} does not acknowledge each message, or does not begin with the first: change it first"
        for other in consumers[:index]:
            ours, theirs = each.get("filterSubjects") or [">"], other.get("filterSubjects") or [">"]
            if any(meet(one, two) for one in ours for two in theirs):
                return f"{each.title} and {other.title} take the same messages: make their filters apart first"
    return ""


def _wants_queue(resource: Resource) -> bool:
    return resource.kind is STREAM and resource.effective("retention") == "workqueue"


def _no_room(resource: Resource, found: Found, observed: Observed) -> str:
    need = needs(found, resource)
    for what, needed, used, limit in (
        ("memory", need.memory, observed.memory, observed.limits.memory),
        ("file storage", need.storage, observed.storage, observed.limits.storage),
    ):
        if 0 <= limit < used + needed:
            return (
                f"moving it needs up to {_size(needed)} of {what} for a while, and the account has {_size(used)} of "
                f"{_size(limit)} in use or reserved: raise the account's limit, or make room"
            )
    return ""


def still_wanted(change: Change) -> bool:
    """Return whether the values want the move that is under way, as it was begun or otherwise."""
    moving = change.found.moving if change.found else None
    resource = change.desired
    if moving is None or resource is None or resource.stream != moving.record.home:
        return False
    return moving.record.renames or any(each.fixed for each in change.differences)


def misread(found: Found) -> str:
    """Return what clients could read wrongly while it moves, or nothing."""
    if found.kind is OBJECT_STORE and found.messages:
        return (
            "clients of object stores need not use direct get (nats-py's never does), so while it is copied back they "
            "could be told that an object is not there although it is"
        )
    # What natsmith applied had direct get on: off, it was switched off since, and clients know it by then.
    direct = found.get("allowDirect") or found.applied is not None
    if found.kind is not BUCKET or not found.messages or direct:
        return ""
    return (
        "its clients do not use direct get, which is off, so while it is copied back they could be told that a key is "
        "not there although it is, or get an old value"
    )


def seen(resource: Resource | None, found: Found, observed: Observed) -> Iterator[str]:
    """Yield what writers, readers and consumers see of the move, and what it needs, each in a sentence."""
    renamed = resource is not None and resource.stream != found.stream
    need = needs(found, resource)
    room = " and ".join(
        f"up to {_size(size)} of {what}"
        for size, what in ((need.memory, "memory"), (need.storage, "file storage"))
        if size
    )
    yield f"takes at most {need.seconds:.0f} s" + (f", and needs {room} meanwhile" if room else "")
    if renamed:
        yield "writers and readers of the old name get no responders from the switch on: give them the new one"
        if found.kind is OBJECT_STORE:
            yield "what describes an object goes on naming the old store until the object is put again"
    else:
        yield "writers get no responders twice, each time for some milliseconds: what is not acknowledged was not stored"
        if found.get("allowDirect"):
            yield "direct reads are answered all the time, as long as this run lives"
        yield "other reads, new watchers and listings fail while it is copied back; running watchers pause for up to 20 s"
        if found.consumers > len(observed.consumers_of(found.stream)):
            yield "consumers without a durable name end, but for ordered ones and watchers, which go on by themselves"
    for consumer in observed.consumers_of(found.stream):
        yield (
            f"consumer {consumer.name} goes on at its ack floor{_late(consumer, renamed=renamed)}; {consumer.pending} pending, and of "
            f"{consumer.ack_pending} unacknowledged what is not acknowledged in time is delivered twice"
        )
    if resource and becomes_queue(resource, found):
        yield "every message becomes work but for what its consumers have acknowledged, which goes, as in a work queue"


def _late(consumer: Found, *, renamed: bool) -> str:
    early = all(each != ">" for each in consumer.get("filterSubjects")) and consumer.get("filterSubjects")
    return "" if early and not renamed else ", when everything is copied"


def becomes_queue(resource: Resource, found: Found) -> bool:
    """Return whether acknowledged messages, which were kept, go."""
    return _wants_queue(resource) and found.get("retention") != "workqueue"


def acknowledged(found: Found, observed: Observed) -> int:
    """Return how many messages the consumers of a stream have acknowledged at most."""
    consumers = observed.consumers_of(found.stream)
    return min(found.messages, sum(max(0, each.delivered - each.ack_pending) for each in consumers))


def consumer_seen(found: Found) -> Iterator[str]:
    """Yield what a consumer's clients see of it being made anew."""
    yield (
        f"it goes on at its ack floor; {found.pending} pending, and of {found.ack_pending} unacknowledged what is not "
        "acknowledged in time is delivered twice; requests fail for a moment"
    )


def _has(found: Found, name: str) -> bool:
    return bool(_known(found.kind, name) and found.get(name))


def _wants(resource: Resource, name: str) -> bool:
    value: Json = resource.effective(name) if _known(resource.kind, name) else None
    return bool(value)


def _known(kind: Kind, name: str) -> bool:
    return name in kind.by_name


def _size(value: int) -> str:
    """Return a size for people: in whole units, never too small."""
    for unit, factor in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
        if value >= 10 * factor:
            return f"{-(-value // factor)}{unit}"
    return f"{value} bytes"
