"""What the registry has to know of its bucket: how entries expire there, and what that rules out. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from natsmith.errors import DecisionNeeded, WrongValues
from natsmith.registry.entry import DEFAULT_TTL, LONGEST_TTL, Instance

NANO = 1_000_000_000
GRACE_SECONDS = 5
"""How much older than its time to live an entry may get where only readers expire it."""

QUORUM_SECONDS = 1.5
"""How long a replica may be silent and counts as heard: they speak every second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """How an entry goes when its process dies, which is visible wherever an instance is."""

    seconds: int
    by: Literal["bucket", "key", "readers"]
    """The bucket's own time to live, one of the single key, or nothing but readers that look at its age."""

    def __str__(self) -> str:
        how = {"bucket": "the bucket's TTL", "key": "a TTL of its own", "readers": "its age alone: the server keeps it"}
        return f"{self.seconds} s by {how[self.by]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A key-value bucket as the server has it."""

    name: str
    created: str = ""
    ttl: float = 0.0
    """Seconds an entry lives after its last write; 0: for ever."""

    history: int = 1
    per_key: bool = False
    """Whether single keys may have a time to live of their own."""

    marker: float = 0.0
    """Seconds that the server's markers of expired keys stay; 0: it writes none."""

    memory: bool = False
    max_value: int = -1
    entries: int = 0
    last_revision: int = 0
    led: str = ""
    """By which server and since when, where several have it: another word means that nothing could be written between."""

    alone: bool = False
    """Whether that server hears of too few others: it answers for a while yet, and can store nothing."""

    @property
    def stream(self) -> str:
        """The stream that the bucket is on the server."""
        return f"KV_{self.name}"

    def subject(self, key: str) -> str:
        """Return the subject of a key."""
        return f"$KV.{self.name}.{key}"

    def expiry(self, ttl: int | None) -> Expiry:
        """Return how an entry with a wished *ttl* expires, or raise WrongValues where that would not be true."""
        if ttl is not None and (isinstance(ttl, bool) or not isinstance(ttl, int) or ttl < 1):
            raise WrongValues(
                f"ttl is {ttl!r}, but must be whole seconds, 1 or more: the server knows no parts of them"
            )
        if ttl is not None and ttl > LONGEST_TTL:
            raise WrongValues(f"ttl is {ttl} s, but must be {LONGEST_TTL} s at most: readers take no longer one")
        own = int(self.ttl)
        if ttl is None or ttl == own:
            if own:
                return Expiry(seconds=own, by="bucket")
            return Expiry(seconds=DEFAULT_TTL, by="readers" if self.unsafe_per_key(DEFAULT_TTL) else "key")
        if own and ttl > own:
            raise WrongValues(
                f"ttl is {ttl} s, but bucket {self.name} drops every entry after {own} s: "
                f"leave ttl out, or set buckets.{self.name}.ttlSeconds to {ttl}"
            )
        why = self.unsafe_per_key(ttl)
        if why:
            raise WrongValues(
                f"ttl is {ttl} s, but a TTL of a single key is not safe in bucket {self.name}: {why}. "
                "Leave ttl out, and the bucket's own holds for all"
            )
        return Expiry(seconds=ttl, by="key")

    def unsafe_per_key(self, ttl: int) -> str:
        """Return why a key must not have a time to live of its own here, or nothing."""
        if not self.per_key:
            return f"the bucket does not allow it (buckets.{self.name}.perKeyTTL: true does)"
        if self.history != 1:
            return f"it keeps {self.history} values of a key, and when the newest expires an older one comes back"
        if self.marker > ttl:
            return f"its markers stay {self.marker:g} s, and the server raises every TTL to that"
        return ""

    def no_elections(self, ttl: int) -> str:
        """Return why no leader can be elected here, or nothing."""
        if self.memory:
            return "it is in memory: a restarted server counts its revisions anew, and an old token would pass as new"
        if 0 < self.ttl < ttl:
            return f"it drops every entry after {self.ttl:g} s, before a lease of {ttl} s is over"
        return self.unsafe_per_key(ttl)

    def expires_like(self, other: Bucket) -> bool:
        """Return whether entries live as long in both."""
        return (self.ttl, self.per_key, self.history, self.marker) == (
            *(other.ttl, other.per_key),
            *(other.history, other.marker),
        )

    def lives(self, instance: Instance) -> float:
        """Return the seconds after its heartbeat from which on *instance* is gone for readers."""
        if self.ttl:
            return min(instance.ttl or self.ttl, self.ttl)
        wished = instance.ttl or DEFAULT_TTL
        return wished if instance.ttl and not self.unsafe_per_key(wished) else wished + GRACE_SECONDS


def bucket_of(name: str, info: Mapping[str, Any]) -> Bucket:
    """Return a bucket from the server's STREAM.INFO, or raise DecisionNeeded for a stream that is none."""
    config, state = info["config"], info["state"]
    if config.get("mirror") or f"$KV.{name}.>" not in (config.get("subjects") or []):
        raise DecisionNeeded(
            f"the stream KV_{name} is no bucket that can be written to: it moves just now (natsmith status says so), "
            "or somebody made it by hand"
        )
    cluster = info.get("cluster") or {}
    others = cluster.get("replicas") or []
    silent = sum(bool(each.get("offline")) or each.get("active", 0) >= QUORUM_SECONDS * NANO for each in others)
    return Bucket(
        name=name,
        created=info.get("created", ""),
        ttl=config.get("max_age", 0) / NANO,
        history=config.get("max_msgs_per_subject", 1),
        per_key=bool(config.get("allow_msg_ttl")),
        marker=config.get("subject_delete_marker_ttl", 0) / NANO,
        memory=config.get("storage") == "memory",
        max_value=config.get("max_msg_size", -1),
        entries=state.get("messages", 0),
        last_revision=state.get("last_seq", 0),
        led=f"{cluster.get('leader', '')} {cluster.get('leader_since', '')}".strip(),
        alone=2 * silent >= 1 + len(others),
    )
