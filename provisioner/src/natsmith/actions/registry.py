"""Cleaning a registry: what is judged is removed only as it was judged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from natsmith.actions.observe import in_parallel
from natsmith.registry.bucket import Bucket
from natsmith.registry.cleaning import reason
from natsmith.registry.errors import Conflict
from natsmith.registry.found import Found
from natsmith.registry.line import Line

Fate = Literal["removed", "would go", "stays"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """An entry that is to go, and what became of it."""

    found: Found
    why: str
    fate: Fate


async def clean(
    line: Line, bucket: Bucket, entries: Iterable[Found], now: float, *, unread: bool, dry_run: bool
) -> list[Cleaned]:
    """Remove what is to go, unless it was written meanwhile: then its process lives."""
    judged = [(each, why) for each in entries if (why := reason(each, bucket, now, unread=unread))]

    async def one(found: Found, why: str) -> Cleaned:
        if dry_run:
            return Cleaned(found=found, why=why, fate="would go")
        # The marker, by which readers learn it, has to go as well where nothing else takes it.
        ttl = max(1, round(found.ttl(bucket))) if bucket.per_key and not bucket.ttl else 0
        try:
            await line.write(bucket, found.key, b"", expect=found.revision, ttl=ttl, delete=True)
        except Conflict:
            return Cleaned(found=found, why=why, fate="stays")
        return Cleaned(found=found, why=why, fate="removed")

    return list(await in_parallel(lambda each: one(*each), judged))
