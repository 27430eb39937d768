"""In which order changes are safe: nothing is asked for before what it stands on is there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from natsmith.model.change import Change
from natsmith.model.resources import CONSUMER
from natsmith.planning.subjects import SubjectIndex

CIRCLE = (
    "it takes a subject of another stream that takes one of its own, and no order of single changes gets there: "
    "apply values first in which one of them gives its subject up"
)


def in_stages(changes: Sequence[Change], *, work_queues: Collection[str] = ()) -> tuple[tuple[Change, ...], ...]:
    """Return *changes* in stages; what is in one stage can be done at the same time.

    Streams that give up a subject come before those that take it, origins before their mirrors, streams before
    consumers, and removals last, where nothing waits for them. A consumer is removed after its successor is there,
    since a stream may keep its messages only for consumers; on *work_queues* before, since their filters may not meet.
    """
    streams = [change for change in changes if change.kind is not CONSUMER]
    consumers = [change for change in changes if change.kind is CONSUMER]
    before = _before(streams)
    waited_for = {one for others in before for one in others}
    late = [index for index, change in enumerate(streams) if change.action == "delete" and index not in waited_for]
    done = set(late)
    early = [index for index in range(len(streams)) if index not in done]
    stages: list[tuple[Change, ...]] = []
    while early:
        ready = [index for index in early if before[index] <= done]
        if not ready:
            stages.append(tuple(replace(streams[index], blocked=CIRCLE) for index in early))
            break
        stages.append(tuple(streams[index] for index in ready))
        done |= set(ready)
        early = [index for index in early if index not in done]
    removed = tuple(streams[index] for index in late)
    gone = {change.id.stream for change in removed}
    leaving = [each for each in consumers if each.action == "delete" and each.id.stream not in gone]
    stages.append(tuple(each for each in leaving if each.id.stream in work_queues))
    coming = [each for each in consumers if each.action != "delete"]
    # In a work queue a filter that gets narrower makes room for another consumer's.
    narrowed = {each.id for each in coming if each.action != "create" and each.id.stream in work_queues}
    stages.append(tuple(each for each in coming if each.id in narrowed))
    stages.append(tuple(each for each in coming if each.id not in narrowed))
    stages.append(tuple(each for each in leaving if each.id.stream not in work_queues))
    stages.append(removed)
    return tuple(stage for stage in stages if stage)


def _before(streams: Sequence[Change]) -> list[set[int]]:
    """Return for each change the changes that must be done first."""
    result: list[set[int]] = [set() for _ in streams]
    index: SubjectIndex[int] = SubjectIndex()
    for position, change in enumerate(streams):
        if change.action in {"create", "update", "move", "replace"}:
            for subject in _wanted(change):
                index.add(subject, position)
    for position, change in enumerate(streams):
        if change.action == "create":
            continue
        for subject in set(_held(change)) - set(_wanted(change)):
            for other, _ in index.meeting(subject):
                if other != position:
                    result[other].add(position)
    by_name = {change.id.stream: position for position, change in enumerate(streams)}
    for position, change in enumerate(streams):
        for origin in origins(change):
            if origin in by_name and by_name[origin] != position and streams[by_name[origin]].action == "create":
                result[position].add(by_name[origin])
    return result


def _held(change: Change) -> list[str]:
    return list(change.found.get("subjects")) if change.found else []


def _wanted(change: Change) -> list[str]:
    if not change.desired or change.action == "delete":
        return []
    return list(change.desired.effective("subjects"))


def origins(change: Change) -> Iterator[str]:
    """Yield the names of the streams that the wanted object copies from."""
    if change.desired and change.kind is not CONSUMER:
        mirror = change.desired.config.get("mirror") or change.desired.get("mirror")
        sources = change.desired.config.get("sources") or change.desired.get("sources")
        for origin in [mirror, *sources]:
            if isinstance(origin, dict) and "name" in origin:
                yield origin["name"]
