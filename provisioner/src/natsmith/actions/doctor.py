"""The doctor of a registry: it looks, lets a canary expire, and tells the facts."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from contextlib import AsyncExitStack

from natsmith.clock import clock
from natsmith.errors import DecisionNeeded, NatsmithError, NotReady
from natsmith.log import Log
from natsmith.registry import entry
from natsmith.registry.answers import NEVER
from natsmith.registry.bucket import Bucket
from natsmith.registry.entry import CANARY, Instance, Status
from natsmith.registry.errors import Conflict, NoBucket, NotAllowed
from natsmith.registry.findings import SLACK_SECONDS, Facts, Measured, Trouble
from natsmith.registry.line import Line
from natsmith.registry.snapshot import Entries

KEY_SECONDS = 2
"""How long a canary with a TTL of its own lives."""

POLL_SECONDS = 0.1
"""How often a canary is looked for: without markers the server does not announce an expiry."""


async def examine(
    line: Line, *, server: str, bucket: str, elections: str, longest: float, timeout: float, log: Log
) -> Facts:
    """Return the facts about a registry; a canary may take *longest* seconds to expire."""
    votes, votes_trouble = await _elections(line, elections)
    try:
        known = await line.bucket(bucket)
    except DecisionNeeded as error:
        return Facts(server=server, name=bucket, trouble=_trouble(error))
    skew = time.time() - line.now()
    unreadable = None
    entries = Entries(line, bucket, timeout=timeout)
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(entries)
        except DecisionNeeded as error:
            unreadable = _trouble(error)
        found, now = entries.all(), entries.now()
        measured = await _measured(line, known, longest=longest, log=log)
    return Facts(
        server=server,
        name=bucket,
        bucket=known,
        now=now,
        skew=skew,
        found=found,
        unreadable=unreadable,
        intervals={key: (each.seconds, each.ttl) for key, each in entries.intervals.items()},
        measured=measured,
        elections=elections,
        elections_bucket=votes,
        elections_trouble=votes_trouble,
    )


async def _elections(line: Line, name: str) -> tuple[Bucket | None, Trouble | None]:
    try:
        return await line.bucket(name), None
    except NoBucket:
        return None, None
    except DecisionNeeded as error:
        return None, _trouble(error)


def _trouble(error: NatsmithError) -> Trouble:
    """Return an error with its cure apart."""
    if isinstance(error, NoBucket):
        return Trouble(error.found, error.cure)
    if isinstance(error, NotAllowed):
        return Trouble(error.found, f"{error.cure}; SECURITY.md lists what users of a registry need")
    return Trouble(str(error), "look with natsmith status at the server and its streams, and run the doctor again")


async def _measured(line: Line, bucket: Bucket, *, longest: float, log: Log) -> Measured:
    """Return how long a canary lived, by the bucket's TTL or by one of its own."""
    promised, by, own = int(bucket.ttl), "the bucket's TTL", 0
    if not promised and not bucket.unsafe_per_key(KEY_SECONDS):
        promised, by, own = KEY_SECONDS, "a TTL of its own", KEY_SECONDS
    if not promised:
        return Measured(why_not=Trouble("nothing expires in this bucket", "give it a TTL"))
    if promised > longest:
        why = f"that takes the {promised} s of the bucket's TTL"
        return Measured(why_not=Trouble(why, f"--prove-seconds {promised} waits for it"))
    key = f"{CANARY}.{secrets.token_hex(6)}"
    payload = entry.written(Instance(service=CANARY, id=key, status=Status.SHUTDOWN))
    try:
        revision = await line.write(bucket, key, payload, expect=NEVER, ttl=own)
    except (DecisionNeeded, NotReady) as error:
        return Measured(why_not=_trouble(error))
    began = clock()
    log.info("canary.expiring", key=key, seconds=promised)
    took = None
    try:
        took = await _gone(line, bucket, key, began + promised + SLACK_SECONDS, began)
    except DecisionNeeded as error:
        return Measured(why_not=_trouble(error))
    finally:
        if took is None:
            with contextlib.suppress(NatsmithError, Conflict):
                await line.write(bucket, key, b"", expect=revision, delete=True)
    return Measured(promised=promised, by=by, took=took)


async def _gone(line: Line, bucket: Bucket, key: str, deadline: float, began: float) -> float | None:
    """Return after how many seconds a key was gone, or None where it is there still."""
    while True:
        with contextlib.suppress(NotReady):  # a server that restarts meanwhile
            last = await line.last(bucket, key)
            if last is None or last.deleted:
                return clock() - began
        if clock() > deadline:
            return None
        await asyncio.sleep(POLL_SECONDS)
