"""The settings of a consumer."""

from __future__ import annotations

from natsmith.model.fields import Field, Settings
from natsmith.model.stream_settings import DESCRIPTION, METADATA, STORAGE_FIXED
from natsmith.model.units import Count, Flag, Number, Seconds, SecondsList
from natsmith.model.words import Choice, Text, Texts, Time

PACE_FIXED = "a push consumer keeps the pace that it began with"
POSITION_FIXED = "a consumer's position cannot be started anew in place"


def _pull(settings: Settings) -> bool:
    return not settings.get("deliverSubject")


def _acks(settings: Settings) -> bool:
    return bool(settings.get("ackPolicy", "explicit") != "none")


FIELDS = (
    DESCRIPTION,
    Field(
        name="filterSubjects",
        api="filter_subjects",
        type=Texts(),
        default=[],
        loses="waiting",
        fixed="a consumer that loses all its filters is not told of new messages any more",
        fixed_if=lambda old, new, level: bool(old) and not new,
        doc="Which of the stream's subjects are delivered; empty is all of them.",
    ),
    Field(
        name="ackPolicy",
        api="ack_policy",
        type=Choice(("explicit", "all", "none")),
        default="explicit",
        fixed="the server counts acknowledgements one way for a consumer's whole life",
        doc="Whether every message is acknowledged, the newest for all before it, or none.",
    ),
    Field(
        name="ackWaitSeconds",
        api="ack_wait",
        type=Seconds(1),
        default=30,
        derived=lambda settings: (
            settings["backoffSeconds"][0] if settings.get("backoffSeconds") else 30 if _acks(settings) else 0
        ),
        doc="How long a worker may take before a message is delivered again.",
    ),
    Field(
        name="maxDeliver",
        api="max_deliver",
        type=Count(),
        default=0,
        doc="How often a message is delivered at most; 0 is no limit.",
    ),
    Field(
        name="backoffSeconds",
        api="backoff",
        type=SecondsList(),
        default=[],
        doc="Waits before each new delivery, instead of ackWaitSeconds; fewer than maxDeliver.",
    ),
    Field(
        name="maxAckPending",
        api="max_ack_pending",
        type=Count(),
        default=1000,
        derived=lambda settings: 1000 if _acks(settings) else 0,
        doc="How many messages may be with workers unacknowledged; 0 is no limit.",
    ),
    Field(
        name="deliverPolicy",
        api="deliver_policy",
        type=Choice(("all", "last", "new", "by_start_sequence", "by_start_time", "last_per_subject")),
        default="all",
        fixed=POSITION_FIXED,
        doc="Where a new consumer begins.",
    ),
    Field(
        name="startSequence",
        api="opt_start_seq",
        type=Number(),
        default=0,
        fixed=POSITION_FIXED,
        doc="With deliverPolicy by_start_sequence: the first message.",
    ),
    Field(
        name="startTime",
        api="opt_start_time",
        type=Time(),
        default="",
        fixed=POSITION_FIXED,
        doc="With deliverPolicy by_start_time: the time of the first message.",
    ),
    Field(
        name="replayPolicy",
        api="replay_policy",
        type=Choice(("instant", "original")),
        default="instant",
        fixed="the server paces a consumer one way for its whole life",
        doc="Deliver as fast as possible, or as slowly as the messages came in.",
    ),
    Field(
        name="maxWaiting",
        api="max_waiting",
        type=Number(1),
        default=512,
        derived=lambda settings: 512 if _pull(settings) else 0,
        fixed="the server sizes the queue of waiting pulls when the consumer begins",
        doc="How many pulls may wait.",
    ),
    Field(
        name="maxRequestBatch",
        api="max_batch",
        type=Number(),
        default=0,
        doc="Most messages one pull may ask for; 0 is no limit.",
    ),
    Field(
        name="maxRequestBytes",
        api="max_bytes",
        type=Number(),
        default=0,
        doc="Most bytes one pull may ask for; 0 is no limit.",
    ),
    Field(
        name="maxRequestExpiresSeconds",
        api="max_expires",
        type=Seconds(),
        default=0,
        doc="Longest time a pull may wait; 0 is no limit.",
    ),
    Field(
        name="inactiveThresholdSeconds",
        api="inactive_threshold",
        type=Seconds(),
        default=0,
        loses="waiting",
        doc="Remove the consumer after this long without anyone asking; 0 keeps it.",
    ),
    Field(
        name="replicas",
        api="num_replicas",
        type=Number(0, 5),
        default=0,
        doc="On how many servers its position is kept; 0 is as the stream.",
    ),
    Field(
        name="memoryStorage",
        api="mem_storage",
        type=Flag(),
        default=False,
        fixed=STORAGE_FIXED,
        fixed_if=lambda old, new, level: level >= 4,  # 2.11 and 2.12 convert it
        doc="Keep its position in memory.",
    ),
    Field(name="headersOnly", api="headers_only", type=Flag(), default=False, doc="Leave payloads out."),
    Field(
        name="sampleFrequency",
        api="sample_freq",
        type=Text(),
        default="",
        doc="Share of acknowledgements that are reported, such as 10%.",
    ),
    Field(
        name="deliverSubject",
        api="deliver_subject",
        type=Text(),
        default="",
        fixed="a consumer is pulled from or pushes for its whole life",
        fixed_if=lambda old, new, level: bool(old) != bool(new),
        doc="Push to this subject; empty lets workers pull.",
    ),
    Field(
        name="deliverGroup",
        api="deliver_group",
        type=Text(),
        default="",
        doc="Queue group of a push consumer.",
    ),
    Field(
        name="flowControl",
        api="flow_control",
        type=Flag(),
        default=False,
        fixed=PACE_FIXED,
        doc="Slow a push consumer down by its reader.",
    ),
    Field(
        name="idleHeartbeatSeconds",
        api="idle_heartbeat",
        type=Seconds(),
        default=0,
        fixed=PACE_FIXED,
        doc="A sign of life from a push consumer after this long; 0 sends none.",
    ),
    Field(
        name="rateLimitBitsPerSecond",
        api="rate_limit_bps",
        type=Number(),
        default=0,
        doc="Fastest a push consumer sends; 0 is no limit.",
    ),
    Field(
        name="priorityGroups",
        api="priority_groups",
        type=Texts(),
        default=[],
        level=1,
        doc="Names of the groups that workers pull as.",
    ),
    Field(
        name="priorityPolicy",
        api="priority_policy",
        type=Choice(("none", "overflow", "pinned_client", "prioritized")),
        default="none",
        level=1,
        doc="Who of a priority group gets messages.",
    ),
    Field(
        name="priorityTimeoutSeconds",
        api="priority_timeout",
        type=Seconds(1),
        default=120,
        derived=lambda settings: 120 if settings.get("priorityPolicy") == "pinned_client" else 0,
        level=1,
        doc="With pinned_client: how long a silent client stays the one.",
    ),
    METADATA,
)
