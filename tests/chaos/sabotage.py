"""The harness's own test: ways to move a stream wrongly, and the truths that each of them must be seen to break."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from chaos import raw
from chaos.faults import NATSMITH
from chaos.ledger import Truth, payload
from chaos.play import Act, Run, nothing
from chaos.raw import api
from chaos.scenario import Scenario, choose


@dataclass(frozen=True, slots=True)
class Wrong:
    """A wrong way, the run it is tried in, and what must be found; nothing, where nothing is wrong."""

    name: str
    act: Act
    scenario: Scenario
    found: frozenset[Truth]


BUCKET = replace(
    choose(1),
    what="bucket memory->file",
    fault="none",
    history=1,
    keys=300,
    ttl=True,
    markers=False,
    max_age=0,
    size=100,
    writers=2,
    lanes=4,
    watched=False,
    version="2.15.1",
)
STREAM = replace(BUCKET, what="stream memory->file", ttl=False)
DISK = replace(BUCKET, what="bucket renamed", fault="server")


async def _config(run: Run) -> dict[str, Any]:
    config: dict[str, Any] = (await raw.streams(run.client))[run.scenario.stream]["config"]
    return config


async def _expect(run: Run, verb: str, body: Mapping[str, Any] | None = None) -> None:
    answer = await api(run.client, verb, body)
    if "error" in answer:
        raise RuntimeError(f"{verb}: {answer['error']}")


async def recreate(run: Run, **more: Any) -> None:
    """Delete the stream and create it with the new configuration: what one does without natsmith."""
    config, name = await _config(run), run.scenario.stream
    await _expect(run, f"STREAM.DELETE.{name}")
    await asyncio.sleep(0.05)
    await _expect(run, f"STREAM.CREATE.{name}", config | {"storage": "file"} | more)
    await asyncio.sleep(0.2)


async def recreate_further_on(run: Run) -> None:
    """Do the same, but let revisions go on where they were."""
    await recreate(run, first_seq=run.ledger.top + 1000)


async def republish(run: Run) -> None:
    """Fill the new stream with what was read from the old one: the values are there, and nothing else is as it was."""
    old = await raw.everything(run.client, run.scenario.stream)
    first = min(old)
    await recreate(run, first_seq=first)
    await raw.publish_all(run.client, [(each.subject, each.data, 0) for each in old.values()])


async def keep_ttl_away(run: Run) -> None:
    """Let what should expire be there for ever: stored anew, with the same revision numbers."""
    old = await raw.everything(run.client, run.scenario.stream)
    await recreate(run, first_seq=1)
    last = max(old)
    messages = [
        (old[seq].subject, old[seq].data, 0) if seq in old else ("$KV.b.k0", b"0", 0) for seq in range(1, last + 1)
    ]
    await raw.publish_all(run.client, messages)


async def purge_one(run: Run) -> None:
    """Lose one key that nobody writes any more."""
    await _expect(run, f"STREAM.PURGE.{run.scenario.stream}", {"filter": "$KV.b.k200"})
    await asyncio.sleep(0.2)


async def write_beside(run: Run) -> None:
    """Write what no client of the run did: an older value, over the newest."""
    await raw.publish_all(run.client, [("$KV.b.k200", payload("k200", 0, 10), 0), ("$KV.b.z", b"z", 0)])


async def leave_things(run: Run) -> None:
    """Leave a temporary stream, a sentinel and metadata behind."""
    config = await _config(run)
    name = run.scenario.stream
    await _expect(
        run, f"STREAM.CREATE.natsmith_move_{name}", {"name": f"natsmith_move_{name}", "subjects": ["elsewhere"]}
    )
    more = {"subjects": [*config["subjects"], f"_natsmith.park.{name}"]}
    more["metadata"] = config["metadata"] | {"natsmith.move": "1"}
    await _expect(run, f"STREAM.UPDATE.{name}", config | more)
    await raw.publish_all(run.client, [(f"_natsmith.park.{name}", b"", 0)])


async def change_nothing(run: Run) -> None:
    """Say that it was done, and leave the configuration as it was."""
    del run
    await asyncio.sleep(0.3)


async def pause_workers(run: Run) -> None:
    """Leave the durable paused."""
    body = {"pause_until": "2099-01-01T00:00:00Z"}
    await _expect(run, "CONSUMER.PAUSE.S.workers", body)


async def begin_workers_anew(run: Run) -> None:
    """Create the durable so that it begins with what comes next."""
    listed = await api(run.client, "CONSUMER.INFO.S.workers")
    await _expect(run, "CONSUMER.DELETE.S.workers")
    await asyncio.sleep(0.1)
    config = listed["config"] | {"deliver_policy": "new"}
    await _expect(run, "CONSUMER.CREATE.S.workers", {"stream_name": "S", "config": config, "action": "create"})


async def stop_listening(run: Run) -> None:
    """Break the promise that natsmith ends with 0."""
    run.ledger.counts["applies"] += 1
    ran = await run.natsmith.run("apply", "-f", str(run.natsmith.home / "nothing.yaml"))
    if ran.code:
        run.ledger.broken("exit", f"{NATSMITH.name} ended with {ran.code}")


def _found(*truths: Truth) -> frozenset[Truth]:
    return frozenset(truths)


WRONG = (
    Wrong(
        "delete and recreate", recreate, BUCKET, _found("lost", "reused", "went back", "refused", "not found", "stale")
    ),
    Wrong("recreate, revisions go on", recreate_further_on, BUCKET, _found("lost", "refused", "not found")),
    Wrong("recreate and republish", republish, replace(BUCKET, writers=0, lanes=0), _found("time", "reused", "lost")),
    Wrong(
        "recreate with the same revisions", keep_ttl_away, replace(BUCKET, writers=0, lanes=0), _found("time", "ttl")
    ),
    Wrong("purge one key", purge_one, BUCKET, _found("lost")),
    Wrong("write beside the clients", write_beside, BUCKET, _found("stale", "foreign")),
    Wrong("leave things behind", leave_things, BUCKET, _found("left over")),
    Wrong("change nothing", change_nothing, BUCKET, _found("config")),
    Wrong("recreate, watched", recreate, replace(BUCKET, watched=True, writers=0, lanes=0), _found("watch")),
    Wrong("leave the durable paused", pause_workers, STREAM, _found("left over")),
    Wrong("begin the durable anew", begin_workers_anew, STREAM, _found("durable")),
    Wrong("end with an error", stop_listening, BUCKET, _found("exit", "config")),
)

RIGHT = tuple(
    Wrong(f"no move: {name}", nothing, scenario, _found())
    for name, scenario in (
        ("bucket", replace(BUCKET, what="bucket memory->memory")),
        ("bucket with history", replace(BUCKET, what="bucket file->file", history=5, version="2.12.8")),
        ("bucket with markers", replace(BUCKET, what="bucket file->file", markers=True)),
        ("stream", replace(STREAM, what="stream file->file", ttl=True)),
        ("bucket on a server that is killed", replace(DISK, what="bucket file->file")),
        ("stream on a server that is killed", replace(STREAM, what="stream file->file", fault="server")),
        ("watched", replace(BUCKET, what="bucket file->file", watched=True)),
    )
)
