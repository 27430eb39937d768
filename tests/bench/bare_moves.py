"""What one would do without natsmith to a stream whose storage cannot change: nats-py, json, and nothing else.

``mirrors STREAM COPY…`` copies it into a file, that copy into another one, and so on. ``backup STREAM FILE`` saves it,
deletes it and restores it on disk. ``copy STREAM PREFIX NAME PREFIX`` writes each message anew into a stream of another
name. ``recreate STREAM`` deletes it and makes it anew. The address comes from NATS_URL; what happened is printed as JSON.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig

CHUNK = 128 * 1024
BATCH = 500
"""How many messages one asks for at a time, and has under way."""

Words = list[str]


async def api(client: Client, request: str, **fields: Any) -> Any:
    """Return the server's answer; a refusal ends the program."""
    answer = json.loads((await client.request(f"$JS.API.{request}", json.dumps(fields).encode(), timeout=60)).data)
    if "error" in answer:
        raise SystemExit(f"{request}: {answer['error']['description']}")
    return answer


async def last(client: Client, stream: str) -> int:
    """Return a stream's last sequence."""
    return int((await api(client, f"STREAM.INFO.{stream}"))["state"]["last_seq"])


async def mirrors(client: Client, words: Words) -> object:
    """Copy one after the other; each is over when it has what was there when it began."""
    for source, copy in itertools.pairwise(words):
        end = await last(client, source)
        await api(client, f"STREAM.CREATE.{copy}", name=copy, storage="file", mirror={"name": source})
        while await last(client, copy) < end:  # noqa: ASYNC110  (a mirror announces nothing)
            await asyncio.sleep(0.05)
    return {}


async def backup(client: Client, words: Words) -> object:
    """Save and restore as ``nats stream backup`` and ``restore`` do; return the last sequence that was saved."""
    stream, file = words
    with Path(file).open("w+b") as saved:  # noqa: ASYNC230  (as fast as memory; nothing else runs)
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def chunk(message: Msg) -> None:
            saved.write(message.data)
            if message.data:
                await message.respond(b"")
            else:
                over.set_result(None)

        inbox = client.new_inbox()
        await client.subscribe(inbox, cb=chunk)
        found = await api(client, f"STREAM.SNAPSHOT.{stream}", deliver_subject=inbox, chunk_size=CHUNK)
        await over
        saved.seek(0)
        await api(client, f"STREAM.DELETE.{stream}")
        config = found["config"] | {"storage": "file"}
        into = (await api(client, f"STREAM.RESTORE.{stream}", config=config, state=found["state"]))["deliver_subject"]
        while piece := saved.read(CHUNK):
            await client.request(into, piece, timeout=60)
        await client.request(into, b"", timeout=60)
    return {"saved": found["state"]["last_seq"]}


async def copy(client: Client, words: Words) -> object:
    """Read everything with a consumer and write it into a stream of another name."""
    stream, prefix, name, other = words
    config = (await api(client, f"STREAM.INFO.{stream}"))["config"]
    config |= {"name": name, "subjects": [f"{other}>"], "storage": "file", "metadata": {}}
    await api(client, f"STREAM.CREATE.{name}", **config)
    end = await last(client, stream)
    settings = ConsumerConfig(ack_policy=AckPolicy.NONE, mem_storage=True)
    messages = await client.jetstream().pull_subscribe(f"{prefix}>", stream=stream, config=settings)
    sequence = 0
    while sequence < end:
        batch = await messages.fetch(BATCH, timeout=5)
        *most, newest = batch
        for each in most:
            await client.publish(other + each.subject.removeprefix(prefix), each.data, headers=each.headers)
        subject = other + newest.subject.removeprefix(prefix)
        await client.request(subject, newest.data, headers=newest.headers, timeout=60)
        sequence = newest.metadata.sequence.stream
    return {}


async def recreate(client: Client, words: Words) -> object:
    """Delete it and make an empty one of another storage; return how long there was none."""
    config = (await api(client, f"STREAM.INFO.{words[0]}"))["config"]
    began = time.perf_counter()
    await api(client, f"STREAM.DELETE.{words[0]}")
    await api(client, f"STREAM.CREATE.{words[0]}", **config | {"storage": "file", "metadata": {}})
    return {"seconds": time.perf_counter() - began}


VERBS: dict[str, Callable[[Client, Words], Awaitable[object]]] = {
    "mirrors": mirrors,
    "backup": backup,
    "copy": copy,
    "recreate": recreate,
}


async def main() -> None:
    """Connect, do what the command line says, and print what came of it."""
    client = await nats.connect(os.environ["NATS_URL"])
    print(json.dumps(await VERBS[sys.argv[1]](client, sys.argv[2:])))
    await client.close()


if __name__ == "__main__":
    asyncio.run(main())
