"""What a nats-server makes of a configuration: its defaults, its latches and its refusals, as 2.15 does it.

``tests/live`` holds the same contract against the real servers.
"""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any, NoReturn

from natsmith.adapters.server import Config, Refused
from natsmith.model.units import NANOS, parse_time
from natsmith.planning.subjects import meet

BAD_CONFIG = 10052
BAD_CONSUMER = 10012
BAD_JSON = 10025
MIRROR_FIXED = 10055
NO_REPLICAS = 10074

STREAM_ECHO: Config = {
    "retention": "limits",
    "max_consumers": -1,
    "max_msgs": -1,
    "max_bytes": -1,
    "max_age": 0,
    "max_msgs_per_subject": -1,
    "max_msg_size": -1,
    "discard": "old",
    "storage": "file",
    "num_replicas": 1,
    "compression": "none",
    "allow_direct": False,
    "mirror_direct": False,
    "sealed": False,
    "deny_delete": False,
    "deny_purge": False,
    "allow_rollup_hdrs": False,
    "consumer_limits": {},
    "allow_msg_ttl": False,
}
"""What the server always shows, and its default."""

STREAM_SILENT = {
    "name", "description", "subjects", "duplicate_window", "placement", "mirror", "sources", "republish",
    "subject_transform", "first_seq", "no_ack", "discard_new_per_subject", "metadata", "subject_delete_marker_ttl",
    "allow_msg_counter", "allow_atomic", "allow_msg_schedules", "allow_batched", "persist_mode",
}  # fmt: skip
"""What it only shows when it says something."""

CONSUMER_ECHO: Config = {
    "deliver_policy": "all",
    "ack_policy": "none",
    "max_deliver": -1,
    "replay_policy": "instant",
    "num_replicas": 0,
}
CONSUMER_SILENT = {
    "name", "durable_name", "description", "ack_wait", "backoff", "filter_subject", "filter_subjects", "sample_freq",
    "max_waiting", "max_ack_pending", "headers_only", "max_batch", "max_expires", "max_bytes", "inactive_threshold",
    "mem_storage", "metadata", "opt_start_seq", "opt_start_time", "deliver_subject", "deliver_group", "flow_control",
    "idle_heartbeat", "rate_limit_bps", "priority_groups", "priority_policy", "priority_timeout",
}  # fmt: skip
CONSUMER_FIXED = {
    "deliver_policy": "deliver policy",
    "opt_start_seq": "start sequence",
    "opt_start_time": "start time",
    "ack_policy": "ack policy",
    "replay_policy": "replay policy",
    "max_waiting": "max waiting",
    "mem_storage": "storage type",
}
EMPTY: tuple[Any, ...] = (None, 0, "", [], {})
ENUMS = (
    "retention",
    "discard",
    "storage",
    "compression",
    "deliver_policy",
    "ack_policy",
    "replay_policy",
    "persist_mode",
)


def refuse(call: str, code: int, text: str) -> NoReturn:
    """Say no as the server does."""
    raise Refused(request=call, code=code, text=text)


def _known(call: str, given: Config, echo: Config, silent: set[str]) -> Config:
    for key, value in given.items():
        if key not in echo and key not in silent:
            refuse(call, BAD_JSON, f'invalid JSON: json: unknown field "{key}"')
        if key in ENUMS and value in ("", None):
            refuse(call, BAD_JSON, f"invalid JSON: can not unmarshal {json.dumps(value)}")
    shown = {key: value for key, value in given.items() if key in echo or value not in EMPTY}
    result: Config = json.loads(json.dumps(echo | shown))  # as it travels: a copy all the way down
    result["metadata"] = {
        **{key: value for key, value in result.get("metadata", {}).items() if not key.startswith("_nats.")},
        "_nats.level": "5",
        "_nats.req.level": "0",
        "_nats.ver": "2.15.1",
    }
    return result


def stream(call: str, given: Config, old: Config | None = None) -> Config:
    """Return the configuration that the server shows after it accepted *given*, or refuse."""
    config = _known(call, given, STREAM_ECHO, STREAM_SILENT)
    for key in ("max_consumers", "max_msgs", "max_bytes", "max_msgs_per_subject", "max_msg_size"):
        config[key] = config[key] if config[key] > 0 else -1
    config["num_replicas"] = config["num_replicas"] or 1
    if config.get("persist_mode") == "default":
        del config["persist_mode"]
    if not (config.get("subjects") or config.get("mirror") or config.get("sources")):
        config["subjects"] = [config["name"]]
    if config.get("subjects") and not config.get("duplicate_window"):
        config["duplicate_window"] = min(120 * NANOS, config["max_age"] or 120 * NANOS)
    if config.get("subject_delete_marker_ttl"):
        config |= {"allow_msg_ttl": True, "allow_rollup_hdrs": True, "deny_purge": False}
    if config.get("allow_msg_schedules"):
        config["allow_rollup_hdrs"] = True
    if config["sealed"] and old:
        config |= {"discard": "new", "deny_delete": True, "deny_purge": True, "allow_rollup_hdrs": False}
    _check_stream(call, config, old)
    if old:
        _check_change(call, old, config)
    return config


def _check_stream(call: str, config: Config, old: Config | None) -> None:
    subjects = config.get("subjects", [])
    marker = config.get("subject_delete_marker_ttl", 0)
    per_subject = config.get("discard_new_per_subject")
    wrong = {
        "stream configuration for create can not be sealed": config["sealed"] and not old,
        "max age needs to be >= 100ms": 0 < config["max_age"] < NANOS // 10,
        "duplicates window can not be larger then max age": 0 < config["max_age"] < config.get("duplicate_window", 0),
        "subject delete marker TTL must be at least 1 second": 0 < marker < NANOS,
        "subject delete markers forbidden on mirrors": marker and config.get("mirror"),
        "maximum replicas is 5": config["num_replicas"] > 5,
        "roll-ups require the purge permission": config["allow_rollup_hdrs"] and config["deny_purge"],
        "discard new per subject requires discard new policy to be set": per_subject and config["discard"] != "new",
        "discard new per subject requires max msgs per subject > 0": per_subject and config["max_msgs_per_subject"] < 1,
        "subject overlaps with another of the stream": _overlap(subjects),
        "stream metadata exceeds maximum size of 131072 bytes": sum(
            len(key) + len(value) for key, value in config["metadata"].items()
        )
        > 131072,
    }
    for text, found in wrong.items():
        if found:
            refuse(call, BAD_CONFIG, text)
    if config["num_replicas"] > 1:
        refuse(call, NO_REPLICAS, "replicas > 1 not supported in non-clustered mode")
    if config.get("mirror") and subjects:
        refuse(call, 10034, "stream mirrors can not contain subjects")


def _check_change(call: str, old: Config, new: Config) -> None:
    if new.get("mirror") and new["mirror"] != old.get("mirror"):
        refuse(call, MIRROR_FIXED, "stream mirror configuration can not be updated")
    update = "stream configuration update can not"
    wrong = {
        f"{update} unseal a sealed stream": old["sealed"] and not new["sealed"],
        f"{update} change storage type": old["storage"] != new["storage"],
        f"{update} change retention policy to/from workqueue": old["retention"] != new["retention"]
        and "workqueue" in (old["retention"], new["retention"]),
        f"{update} cancel deny message deletes": old["deny_delete"] and not new["deny_delete"],
        f"{update} cancel deny purge": old["deny_purge"] and not new["deny_purge"],
        f"{update} change message counter setting": old.get("allow_msg_counter", False)
        != new.get("allow_msg_counter", False),
        f"{update} change persist mode": old.get("persist_mode") != new.get("persist_mode"),
        "message TTL status can not be disabled": old["allow_msg_ttl"] and not new["allow_msg_ttl"],
        "message schedules can not be disabled": old.get("allow_msg_schedules") and not new.get("allow_msg_schedules"),
    }
    for text, found in wrong.items():
        if found:
            refuse(call, BAD_CONFIG, text)


def consumer(call: str, given: Config, stream: Config, old: Config | None = None) -> Config:
    """Return the configuration of a consumer of *stream* that the server shows, or refuse."""
    config = _known(call, given, CONSUMER_ECHO, CONSUMER_SILENT)
    config["name"] = config["durable_name"]
    if config.get("backoff"):
        config["ack_wait"] = config["backoff"][0]
    if config["ack_policy"] != "none":
        config.setdefault("ack_wait", 30 * NANOS)
        config.setdefault("max_ack_pending", stream["consumer_limits"].get("max_ack_pending", 1000))
    if not config.get("deliver_subject"):
        config.setdefault("max_waiting", 512)
    if config.get("priority_policy") == "none":
        del config["priority_policy"]
    if config.get("priority_policy") == "pinned_client":
        config.setdefault("priority_timeout", 120 * NANOS)
    _check_consumer(call, config, stream)
    if old:
        _check_consumer_change(call, old, config)
    return config


def _check_consumer(call: str, config: Config, stream: Config) -> None:
    queue = stream["retention"] == "workqueue"
    push = config.get("deliver_subject")
    wrong = {
        (10080, "consumer in push mode can not set max waiting"): push and config.get("max_waiting"),
        (10116, "max deliver is required to be > length of backoff values"): 0
        < config["max_deliver"]
        < len(config.get("backoff", [])),
        (10138, "consumer subject filters cannot overlap"): _overlap(config.get("filter_subjects", [])),
        (NO_REPLICAS, "replicas > 1 not supported in non-clustered mode"): config["num_replicas"] > 1,
        (10084, "consumer in pull mode requires explicit ack policy on workqueue stream"): queue
        and config["ack_policy"] != "explicit",
        (10101, "consumer must be deliver all on workqueue stream"): queue and config["deliver_policy"] != "all",
    }
    for (code, text), found in wrong.items():
        if found:
            refuse(call, code, text)


def _check_consumer_change(call: str, old: Config, new: Config) -> None:
    if bool(old.get("deliver_subject")) != bool(new.get("deliver_subject")):
        refuse(call, BAD_CONSUMER, "can not update between pull and push")
    for key, text in CONSUMER_FIXED.items():
        if _moment(old.get(key)) != _moment(new.get(key)):
            refuse(call, BAD_CONSUMER, f"{text} can not be updated")


def _overlap(subjects: list[str]) -> bool:
    return any(meet(a, b) for a, b in combinations(subjects, 2))


def _moment(value: Any) -> Any:
    """Return a time as a time, since the server compares those, and everything else as it is."""
    return parse_time(value) if isinstance(value, str) and value[:1].isdigit() else value
