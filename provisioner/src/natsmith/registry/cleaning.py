"""Why an entry is to be cleaned away. Pure."""

from __future__ import annotations

from natsmith.registry.bucket import GRACE_SECONDS, Bucket
from natsmith.registry.entry import Status
from natsmith.registry.found import Found

FOR_EVER = "no TTL: the server would keep it for ever"


def reason(found: Found, bucket: Bucket, now: float, *, unread: bool = False) -> str:
    """Return why an entry goes, or nothing where it stays; what is not understood goes only where *unread* says so.

    Who says that it is unhealthy, and is heard, lives: only its silence is judged, a heartbeat sooner than of others.
    """
    if found.instance is None and not unread:
        return ""
    age, ttl = found.age(now), found.ttl(bucket)
    if age > ttl + GRACE_SECONDS:
        since = f"stale since {age - ttl:.0f} s"
        return f"{since}; {FOR_EVER}" if found.for_ever(bucket) else since
    if found.instance is None:
        return ""
    if found.instance.status is Status.SHUTDOWN:
        return "shut down"
    if found.instance.status is Status.UNHEALTHY and age > ttl / 3 + GRACE_SECONDS:
        return f"unhealthy and not heard for {age:.0f} s"
    return ""
