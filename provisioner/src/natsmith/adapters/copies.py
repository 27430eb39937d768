"""The configurations that streams have while one is moved, and how far a move came by what is there. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from natsmith.adapters.server import Config, ConsumerInfo, StreamInfo
from natsmith.adapters.wire import CARRIED, RENAMED, STARTS, filters, own_metadata, remembered_map
from natsmith.model.moving import COPYING, METADATA, Moving, Record, Stage, parking, room
from natsmith.planning.subjects import meet

ONLY_PROMOTED = (
    *("subjects", "mirror", "sources", "republish", "subject_transform", "first_seq", "sealed", "mirror_direct"),
    *("discard_new_per_subject", "subject_delete_marker_ttl", "allow_msg_schedules", "allow_msg_counter"),
    *("allow_atomic", "allow_batched", "consumer_limits"),
)
"""What a mirror may not have, or what would be done twice."""

LONGEST_RECORD = 100 * 1024
"""A server takes 128 KiB of metadata for a stream."""

LIMITS = ("max_msgs", "max_bytes", "max_msg_size", "max_msgs_per_subject", "discard", "no_ack")


def copying(final: Config, source: str, record: Record) -> Config:
    """Return the configuration of a stream that copies *source* to become *final*."""
    result = {key: value for key, value in final.items() if key not in ONLY_PROMOTED}
    # A mirror that reaches a limit with discard: new stands still for good, and nothing raised later revives it.
    result |= {
        "max_msgs": -1,
        "max_bytes": -1,
        "max_msg_size": -1,
        "discard": "old",
        "deny_delete": False,
        "deny_purge": False,
    }
    result |= {"mirror": _mirror(source), "allow_direct": False, "no_ack": False}
    for key in ("allow_rollup_hdrs", "allow_msg_ttl"):  # what is copied was written by the source's rules
        result[key] = bool(final.get(key) or record.original.get(key))
    if source == record.source and not record.renames:
        # It has to outlive a restart, and keeps what consumers have not got, whatever the ends of the move are like.
        result |= {"name": record.carrier, "storage": "file", "retention": "limits", "max_consumers": -1}
        # Nobody asks it by its name yet. Told only later, replicas that are behind would answer as well.
        result["allow_direct"] = True
        result.pop("persist_mode", None)
    else:
        if result.get("retention") == "interest":
            result["retention"] = "limits"  # or what comes before its consumers would be dropped
        # Who binds now is told that this is no bucket, and who asks for a consumer that there is no room: either is
        # better than a bucket that seems to miss keys.
        result |= {"max_msgs_per_subject": -1, "max_consumers": max(1, len(carried_early(record)))}
    if record.renames:
        result |= {
            "mirror": _renaming(source, final, record),
            "max_msgs_per_subject": final.get("max_msgs_per_subject", -1),
            "max_consumers": 1,
        }
    return remembering(result, record)


def witness(record: Record) -> Config:
    """Return the configuration of a stream that only remembers the move.

    It is never changed, since a server that is killed while it changes a stream can start without it.
    """
    name, final = room(record.home), dict(record.final)
    config = {key: final[key] for key in ("num_replicas", "placement", "metadata") if key in final}
    return remembering(config | {"name": name, "subjects": [parking(name)], "storage": "file"}, record)


def _mirror(source: str, **more: Any) -> Config:
    return {"name": source, "external": {"api": COPYING, "deliver": ""}, **more}


def _renaming(source: str, final: Config, record: Record) -> Config:
    """Return a mirror that gives messages the subjects of the new name. What no transform matches is left out."""
    old, new = record.original.get("subjects") or [], final.get("subjects") or []
    changed = old != new and len(old) == len(new)
    pairs = list(zip(old, new, strict=True)) if changed else []
    if not pairs:
        return _mirror(source)
    parked = parking(source)
    transforms = [{"src": one, "dest": other} for one, other in [*pairs, (parked, parked)]]
    return _mirror(source, subject_transforms=transforms)


def parked(config: Config) -> Config:
    """Return *config* with nothing that lets anybody write, or read what is not the newest any more.

    The mark has to fit, whatever limits there are, and nothing may be stored that is not copied, such as a marker.
    """
    result = {key: value for key, value in config.items() if key not in ("sources", "republish", "subject_transform")}
    result |= {"subjects": [parking(config["name"])], "allow_direct": False, "no_ack": False}
    result |= {
        "max_msgs_per_subject": -1,
        "max_msgs": -1,
        "max_bytes": -1,
        "max_msg_size": -1,
        "discard_new_per_subject": False,
    }
    result.pop("subject_delete_marker_ttl", None)
    if config.get("retention") == "interest":
        result["retention"] = "limits"  # nobody is interested in the mark
    return result


def promoted(copy: Config, final: Config) -> Config:
    """Return the configuration of *copy* from the moment on that it takes the writes."""
    result = {key: value for key, value in copy.items() if key != "mirror"}
    result |= {
        key: final[key] for key in ONLY_PROMOTED if key in final and key not in ("mirror", "sealed", "first_seq")
    }
    result.pop("mirror_direct", None)
    return result | {key: final[key] for key in LIMITS if key in final}


def remembering(config: Config, record: Record) -> Config:
    """Return *config* with the memory of a move."""
    text = json.dumps(record.as_json(), sort_keys=True, separators=(",", ":"))
    return config | {"metadata": own_metadata(config) | {METADATA: text}}


def forgetting(config: Config) -> Config:
    """Return *config* without the memory of a move, as a request."""
    metadata = {key: value for key, value in own_metadata(config).items() if key != METADATA}
    return {key: value for key, value in config.items() if key != "first_seq"} | {"metadata": metadata}


def as_request(config: Config) -> Config:
    """Return what the server told of a stream so that it can be sent back."""
    unasked = ("first_seq", "mirror_direct")
    result = {key: value for key, value in config.items() if key not in unasked}
    return result | {"metadata": own_metadata(config)}


def renamed(config: Config, source: str) -> Config:
    """Return *config* with the name that the stream had."""
    return config | {"metadata": own_metadata(config) | {RENAMED: source}}


def same_make(config: Config, final: Config) -> bool:
    """Return whether a stream can become *final* in place."""

    def make(each: Config) -> tuple[Any, ...]:
        return each.get("storage"), each.get("retention") == "workqueue", each.get("persist_mode") or "default"

    return make(config) == make(final)


def too_long(record: Record) -> bool:
    """Return whether a record does not fit where it has to stand, beside what else stands there."""
    return len(json.dumps(record.as_json())) > LONGEST_RECORD


def record_of(info: StreamInfo | None) -> Record | None:
    """Return what a stream remembers of a move."""
    text = own_metadata(info.config).get(METADATA) if info else None
    return Record.from_json(remembered_map(text)) if text else None


def is_parked(info: StreamInfo) -> bool:
    """Return whether nothing can be written to a stream because it moves."""
    return bool(info.config.get("subjects") == [parking(info.config["name"])])


def moving(record: Record, source: StreamInfo | None, carrier: StreamInfo | None, home: StreamInfo | None) -> Moving:
    """Return how far a move came, by what there is."""
    stage = _stage(record, source, carrier, home)
    result = Moving(record=record, stage=stage)
    has = {each.config["name"]: each.messages for each in (source, carrier, home) if each}
    to = record.carrier if stage.undoable else record.home
    return Moving(record=record, stage=stage, messages=has.get(result.at, 0), copied=has.get(to, 0))


def moves(streams: Iterable[StreamInfo]) -> list[Moving]:
    """Return every move that was begun and has not ended."""
    by_name = {each.config["name"]: each for each in streams}
    records: dict[str, Record] = {}
    for name, info in by_name.items():
        record = record_of(info)
        # The carrier knows best; without one, the new stream knows what it still has to become.
        if record and (name == record.carrier or record.carrier not in by_name):
            if name == room(record.home) and record.home in records:
                continue
            records[record.home] = record
    found = [
        moving(each, *(by_name.get(name) for name in (each.source, each.carrier, each.home)))
        for each in records.values()
    ]
    return [each for each in found if each.stage is not Stage.BROKEN or each.record.carrier in by_name]


def _stage(record: Record, source: StreamInfo | None, carrier: StreamInfo | None, home: StreamInfo | None) -> Stage:
    """Return the stage of a move; *home* is the same as *source* where nothing is renamed."""
    there = source if source and source.created == record.created else None
    if carrier is None:
        return _stage_alone(record, source, home)
    if carrier.config.get("mirror"):
        if there is None:
            return Stage.FORGOTTEN if source is None or _woken(source) else Stage.BROKEN
        return _stage_out(there, carrier)
    if there is not None:
        return Stage.SWITCHED
    return Stage.FINISHING if record.renames else _stage_home(record, carrier, home)


def _woken(source: StreamInfo) -> bool:
    """Return whether a source is ours though it is another one: made again, and not ready to be written to."""
    return is_parked(source) and record_of(source) is not None


def _stage_alone(record: Record, source: StreamInfo | None, home: StreamInfo | None) -> Stage:
    """Return the stage of a move without the stream that carries it; BROKEN is none any more."""
    if source and _woken(source):
        return Stage.UNLOADED
    if source and source.created == record.created:
        return Stage.ANNOUNCED
    if home is None:
        return Stage.UNLOADED
    mirror = home.config.get("mirror")
    if mirror:
        return Stage.UNLOADED if mirror.get("name") == record.carrier else Stage.BROKEN
    return Stage.FINISHING if record_of(home) else Stage.BROKEN


def _stage_out(source: StreamInfo, copy: StreamInfo) -> Stage:
    """Return the stage of a move on its way out."""
    if not is_parked(source):
        return Stage.COPYING
    # A copy with more than its source has taken writes already: only its server knows no more of that.
    return Stage.UNLOADED if copy.last_sequence > source.last_sequence else Stage.PARKED


def _stage_home(record: Record, carrier: StreamInfo, home: StreamInfo | None) -> Stage:
    """Return the stage of a move on its way back."""
    if home is None:
        return Stage.AWAY
    mirror = home.config.get("mirror")
    if not mirror:
        return Stage.HOME if record_of(home) else Stage.BROKEN
    if mirror.get("name") != record.carrier:
        return Stage.BROKEN
    return Stage.RETURN_PARKED if is_parked(carrier) else Stage.RETURNING


# -- Consumers


def position(info: ConsumerInfo) -> Config:
    """Return where a durable consumer goes on so that it misses nothing: at its ack floor, or where it began.

    Servers before 2.14 tell a floor of 0 until everything from the beginning on is acknowledged.
    """
    if info.ack_floor:
        return {"deliver_policy": "by_start_sequence", "opt_start_seq": info.ack_floor + 1}
    if not info.handed_out and info.delivered:
        return {"deliver_policy": "by_start_sequence", "opt_start_seq": info.delivered + 1}
    policy = info.config.get("deliver_policy")
    if policy == "new":
        return {"deliver_policy": "by_start_time", "opt_start_time": info.created}
    return {"deliver_policy": "all"} if policy in {"last", "last_per_subject"} else {}


def carried(config: Config, start: Config) -> Config:
    """Return the configuration of a consumer that goes on elsewhere, and remembers how it began.

    How it begins cannot be changed in place, so what the values say has to be found again: wire.decode_consumer.
    """
    began = {key: config[key] for key in STARTS if config.get(key)}
    result = {key: value for key, value in config.items() if key not in STARTS and key != "pause_until"}
    metadata = own_metadata(config)
    if not start:
        return result | began | {"metadata": metadata}
    text = metadata.get(CARRIED) or json.dumps(began, sort_keys=True)
    return result | start | {"metadata": metadata | {CARRIED: text}}


def carried_early(record: Record) -> dict[str, Config]:
    """Return the consumers that can be there before the new stream is whole: those that see no mark of a switch.

    None in what becomes a work queue: first goes what it would not have any more.
    """
    return {
        name: dict(each)
        for name, each in record.positions.items()
        if not record.becomes_queue
        and not any(sees_marks(each["config"], stream) for stream in (record.carrier, record.home))
    }


def sees_marks(config: Mapping[str, Any], stream: str) -> bool:
    """Return whether a consumer would hand out the marks of a copy as well."""
    return any(meet(each, parking(stream)) for each in filters(config) or [">"])
