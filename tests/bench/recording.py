"""The creations that a command sends, overheard on the server: ``recording.py FILE COMMAND…``.

FILE becomes a list of subjects and payloads, for ``bare.py create``. natsmith's own state bucket is left out:
nobody needs it for what the values name, so it counts as natsmith's expense.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import nats
from nats.aio.msg import Msg

OWN = "$JS.API.STREAM.CREATE.KV_natsmith_state"


async def main() -> None:
    """Run the command and write down what it creates."""
    file, *command = sys.argv[1:]
    requests: list[tuple[str, str]] = []

    async def overhear(message: Msg) -> None:
        if message.subject != OWN:
            requests.append((message.subject, message.data.decode()))

    listener = await nats.connect(os.environ["NATS_URL"])
    await listener.subscribe("$JS.API.STREAM.CREATE.*", cb=overhear)
    await listener.flush()
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    code = await process.wait()
    # Overheard on one connection, in order: what came before this round trip was handed over.
    await listener.drain()
    Path(file).write_text(json.dumps(requests))  # noqa: ASYNC240  (nothing else runs any more)
    sys.exit(code)


if __name__ == "__main__":
    asyncio.run(main())
