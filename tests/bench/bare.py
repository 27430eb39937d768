"""What one would write without natsmith: nats-py, json, and nothing that the job at hand does not need.

``bare.py create FILE IN_FLIGHT`` sends the requests in FILE, ``bare.py list`` reads the account,
``bare.py info STREAM`` reads one stream. The address comes from NATS_URL.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg


async def create(client: Client, words: list[str]) -> None:
    """Send every recorded request, so many in flight, and await all answers."""
    file, in_flight = words
    requests = json.loads(Path(file).read_text())  # noqa: ASYNC240  (nothing else runs yet)
    waiting = iter(requests)
    answers = 0
    done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    # nats-py's own request() makes a future and a timer for each: 10,000 of them are slower than this one callback.
    inbox = client.new_inbox()

    async def send_one() -> None:
        request = next(waiting, None)
        if request:
            subject, payload = request
            await client.publish(subject, payload.encode(), reply=inbox)

    async def answered(message: Msg) -> None:
        nonlocal answers
        answers += 1
        error = json.loads(message.data).get("error")
        if not done.done() and (error or answers == len(requests)):
            done.set_result(str(error or ""))
        await send_one()

    await client.subscribe(inbox, cb=answered)
    for _ in range(int(in_flight)):
        await send_one()
    error = await asyncio.wait_for(done, timeout=300)
    if error:
        raise SystemExit(error)


async def list_all(client: Client, words: list[str]) -> None:
    """Read all pages: the first one tells how many there are, the others are asked for at once."""
    del words

    async def page(offset: int) -> tuple[list[Any], int]:
        answer = json.loads((await client.request("$JS.API.STREAM.LIST", b'{"offset": %d}' % offset, timeout=30)).data)
        return answer["streams"], answer["total"]

    first, total = await page(0)
    await asyncio.gather(*(page(offset) for offset in range(len(first), total, len(first))))


async def info(client: Client, words: list[str]) -> None:
    """Read one stream."""
    answer = json.loads((await client.request(f"$JS.API.STREAM.INFO.{words[0]}", timeout=30)).data)
    if "error" in answer:
        raise SystemExit(answer["error"]["description"])


VERBS: dict[str, Callable[[Client, list[str]], Awaitable[None]]] = {"create": create, "list": list_all, "info": info}


async def main() -> None:
    """Connect, do what the command line says, and leave."""
    client = await nats.connect(os.environ["NATS_URL"])
    await VERBS[sys.argv[1]](client, sys.argv[2:])
    await client.close()


if __name__ == "__main__":
    asyncio.run(main())
