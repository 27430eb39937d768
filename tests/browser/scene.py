"""An account with something to see in every part of the page."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from nats.aio.client import Client

from browser.watched import Watched, changed
from natsmith.registry import Registry, Status
from waiting import eventually

VALUES = {
    "buckets": {
        "service_registry": {"profile": "serviceRegistry", "ttlSeconds": 30},
        "sessions": {"profile": "sessionCache", "ttlSeconds": 900, "maxBytes": "64Mi"},
        "elections": {"profile": "election"},
        "carts": {"ttlSeconds": 20, "history": 3},
    },
    "streams": {
        "MESSAGES": {
            "subjects": ["messages.>"],
            "maxAgeSeconds": 86400,
            "consumers": {
                "ingest": {
                    "filterSubjects": ["messages.ingest.>"],
                    "maxDeliver": 3,
                    "deadLetter": {"stream": "DEAD"},
                },
                "archive": {"filterSubjects": ["messages.ingest.>"]},
            },
        }
    },
}

INSTANCES = {
    "api": (Status.HEALTHY, Status.HEALTHY, Status.HEALTHY),
    "payments": (Status.HEALTHY, Status.DRAINING),
    "search": (Status.HEALTHY, Status.UNHEALTHY),
}


@asynccontextmanager
async def scene(watched: Watched, client: Client) -> AsyncIterator[Registry]:
    """Have services, leaders, messages, a dead letter and a difference, for a block."""
    await watched.apply(VALUES)
    await said_by(client, "ada@laptop")
    context = client.jetstream()
    for number in range(48):
        await client.publish(f"$KV.sessions.user-{number}", b"x" * 900)
        await client.publish(f"messages.ingest.{number % 4}", b"{}")
    for number in range(7):
        await client.publish(f"$KV.carts.{number}", b"{}" * 200)
    worker = await context.pull_subscribe_bind("ingest", "MESSAGES")
    first, *_ = await worker.fetch(5)
    await first.term()
    await noted(client)
    before = json.loads((await client.request("$JS.API.STREAM.INFO.KV_sessions", b"")).data)["config"]
    before |= {"max_age": 3_600_000_000_000}
    await client.request("$JS.API.STREAM.UPDATE.KV_sessions", json.dumps(before).encode())
    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(Registry(client))
        for service, statuses in INSTANCES.items():
            for number, status in enumerate(statuses):
                each = registry.instance(service, id=f"{service}-{number}", status=status, metadata={"port": 8080})
                await stack.enter_async_context(each)
        await stack.enter_async_context(registry.leadership("scheduler", id="api-0"))
        await stack.enter_async_context(registry.leadership("reports", id="search-0"))
        wanted = changed(VALUES, ["streams", "AUDIT"], {"subjects": ["audit.>"], "maxAgeSeconds": 604800})
        await watched.watch("--show-values", values=wanted)
        yield registry


async def noted(client: Client) -> None:
    """Return when the dead letter is kept."""

    async def kept() -> bool:
        return (await client.jetstream().stream_info("DEAD")).state.messages > 0

    await eventually(kept, within=5)


async def said_by(client: Client, who: str) -> None:
    """Have the runs that are remembered be somebody's: no picture names the machine that took it."""
    subject = "$KV.natsmith_state.outcomes"
    question = json.dumps({"last_by_subj": subject}).encode()
    answer = json.loads((await client.request("$JS.API.STREAM.MSG.GET.KV_natsmith_state", question)).data)
    said = json.loads(base64.b64decode(answer["message"]["data"]))
    for each in said["outcomes"]:
        each["who"] = who
    await client.request(subject, json.dumps(said).encode())
