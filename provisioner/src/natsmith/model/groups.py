"""Settings that belong together: placement, republish, transforms, origins, limits of consumers."""

from __future__ import annotations

from natsmith.model.fields import Field, Group, Groups
from natsmith.model.units import Flag, Number, Seconds
from natsmith.model.words import Text, Texts, Time

PLACEMENT = Group(
    (
        Field(name="cluster", api="cluster", type=Text(), default="", doc="Name of the NATS cluster to live in."),
        Field(name="tags", api="tags", type=Texts(), default=[], doc="Tags that every chosen server must have."),
    )
)
REPUBLISH = Group(
    (
        Field(name="source", api="src", type=Text(), default="", doc="Subjects to repeat."),
        Field(name="destination", api="dest", type=Text(), default="", doc="Subject to repeat them on."),
        Field(name="headersOnly", api="headers_only", type=Flag(), default=False, doc="Leave the payload out."),
    )
)
TRANSFORM = Group(
    (
        Field(name="source", api="src", type=Text(), default="", doc="Subjects to rename."),
        Field(name="destination", api="dest", type=Text(), default="", doc="What they are stored as."),
    )
)
ORIGIN = Group(
    (
        Field(name="name", api="name", type=Text(), default="", doc="Name of the stream to copy from."),
        Field(name="startSequence", api="opt_start_seq", type=Number(), default=0, doc="First sequence to copy."),
        Field(name="startTime", api="opt_start_time", type=Time(), default="", doc="Copy what is newer than this."),
        Field(name="filterSubject", api="filter_subject", type=Text(), default="", doc="Copy only these subjects."),
        Field(
            name="subjectTransforms",
            api="subject_transforms",
            type=Groups(TRANSFORM),
            default=[],
            doc="Renames and filters while copying.",
        ),
        Field(
            name="external",
            api="external",
            type=Group(
                (
                    Field(name="api", api="api", type=Text(), default="", doc="Prefix of the other account's API."),
                    Field(name="deliver", api="deliver", type=Text(), default="", doc="Prefix it delivers on."),
                )
            ),
            default={},
            doc="The account or domain the stream lives in, where it is another one.",
        ),
    )
)
CONSUMER_LIMITS = Group(
    (
        Field(
            name="inactiveThresholdSeconds",
            api="inactive_threshold",
            type=Seconds(),
            default=0,
            doc="The longest inactiveThresholdSeconds a consumer may have; 0 is no limit.",
        ),
        Field(
            name="maxAckPending",
            api="max_ack_pending",
            type=Number(),
            default=0,
            doc="The most maxAckPending a consumer may have; 0 is no limit.",
        ),
    )
)
