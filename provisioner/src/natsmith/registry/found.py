"""One key of the registry as an operator finds it: an instance or not, how old, and when it goes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from natsmith.registry import entry
from natsmith.registry.bucket import Bucket, Expiry
from natsmith.registry.entry import DEFAULT_TTL, Instance


class State(StrEnum):
    """How readers take a key."""

    FRESH = "fresh"
    STALE = "stale"
    UNREAD = "not understood"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The newest value of a key."""

    key: str
    revision: int
    at: float
    """When it was stored: seconds since 1970 by the server's clock."""

    kept: float = 0.0
    """The seconds that the server keeps it by a TTL of its own; 0: it has none, -1: it stays for ever."""

    instance: Instance | None = None
    unread: str = ""
    """Why it is not understood."""

    @property
    def names(self) -> tuple[str, str]:
        """The service and the id, as far as they are known."""
        if self.instance:
            return self.instance.service, self.instance.id
        service, _, name = self.key.partition(".")
        return service, name

    def age(self, now: float) -> float:
        """Return for how many seconds nothing was heard."""
        return max(0.0, now - self.at)

    def ttl(self, bucket: Bucket) -> float:
        """Return for how many seconds it may be silent."""
        own = (self.instance.ttl if self.instance else 0) or max(self.kept, 0)
        return min(own or bucket.ttl, bucket.ttl) if bucket.ttl else own or DEFAULT_TTL

    def for_ever(self, bucket: Bucket) -> bool:
        """Return whether the server would keep it for ever."""
        return self.kept < 0 or not (self.kept or bucket.ttl)

    def expiry(self, bucket: Bucket) -> Expiry:
        """Return how it goes when its process dies."""
        if self.for_ever(bucket):
            return Expiry(seconds=int(self.ttl(bucket)), by="readers")
        if self.kept and not 0 < bucket.ttl <= self.kept:
            return Expiry(seconds=int(self.kept), by="key")
        return Expiry(seconds=int(bucket.ttl), by="bucket")

    def late(self, bucket: Bucket, now: float) -> float:
        """Return since how many seconds it is stale for readers; 0 and less: it is not."""
        lives = bucket.lives(self.instance) if self.instance else self.ttl(bucket)
        return now - self.at - lives

    def state(self, bucket: Bucket, now: float) -> State:
        """Return how readers take it."""
        if self.instance is None:
            return State.UNREAD
        return State.STALE if self.late(bucket, now) >= 0 else State.FRESH


def found(key: str, payload: bytes, *, revision: int, at: float, kept: float = 0.0) -> Found:
    """Return what a value says, or why it says nothing."""
    try:
        instance = entry.read(key, payload, revision=revision, heartbeat=at)
    except entry.Unread as why:
        return Found(key=key, revision=revision, at=at, kept=kept, unread=str(why))
    return Found(key=key, revision=revision, at=at, kept=kept, instance=instance)
