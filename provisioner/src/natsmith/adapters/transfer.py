"""One stream into a server, from another one or from a backup, as servers themselves write it down: a restore of a snapshot.

The pieces go through memory, one at a time: the next one is asked for when the other side has taken the last.
What arrives is the stream's own store, so sequences, times, headers, times to live and its consumers' positions are the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from natsmith.adapters import answers
from natsmith.adapters.api import heard
from natsmith.adapters.jetstream import NO_PEERS, PEERS_AGAIN_SECONDS, PEERS_SECONDS, JetStream
from natsmith.adapters.server import Config, Refused, StreamInfo
from natsmith.adapters.sources import PIECE, SILENT_SECONDS, Source
from natsmith.adapters.wire import own_metadata
from natsmith.clock import clock
from natsmith.errors import DecisionNeeded, NotReady

BROUGHT = "natsmith.brought"
"""On a stream that was brought: what its source calls it, ``Source.mark``. A stream without it is somebody else's."""

COMING = "natsmith.coming"
"""The same as long as not all of it is there, and compared."""

BUILDING_SECONDS = 600.0
"""How long a server may take to make a stream of what it was sent: the oldest do all of it at the end."""

NAME_TAKEN = 10130
"""Also said of what a run left that was ended when it had hardly begun: no server has it, and the cluster counts on it."""

ANOTHER = 10058
"""Said to who makes a stream of a name that is kept for one with another configuration."""

SHOWN_SECONDS = 3.0
"""How long to wait for an answer of which nothing depends: 2.14 makes a stream of what was left, and does not say so."""

STALLED_SECONDS = 6.0
"""After 5 s a server gives up a restore of which nothing more comes."""

GAVE_UP = "closed pipe"
"""In the refusal of a piece: the server's disk took nothing of the one before for 5 s, which another run may not meet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """A stream that was brought."""

    taken: StreamInfo
    """As the snapshot has it."""

    stored: StreamInfo
    """As it was when all of it had arrived."""

    bytes: int
    """What went over the wire."""


def arriving(info: StreamInfo, mark: str) -> Config:
    """Return the configuration with which a stream arrives: nobody writes to it, and it has one replica.

    What an ended run leaves in a cluster is listed for good, with as many messages as had come, and would take more; under
    subjects of its own nobody loses one there. With three replicas at once a consumer may be led where the messages are
    not yet, and then hands out none of them: in one of three runs on 2.15.
    """
    name = info.config["name"]
    config = info.config | {"num_replicas": 1, "sealed": False}
    if not config.get("mirror"):
        config["subjects"] = [f"_natsmith.bring.{name}"]
    return config | {"metadata": own_metadata(info.config) | {COMING: mark}}


def arrived(info: StreamInfo, mark: str, replicas: int) -> Config:
    """Return the configuration that it has when all of it is there: its own, with so many replicas."""
    return info.config | {"num_replicas": replicas, "metadata": own_metadata(info.config) | {BROUGHT: mark}}


async def bring_stream(
    source: Source, target: JetStream, info: StreamInfo, told: Callable[[int], None], *, alone: bool
) -> Transfer:
    """Bring the stream of *info*; *told* hears how many bytes went. Who is *alone* removes what an ended run has left.

    What fails halfway leaves something that is marked as ``COMING``: servers do not remove all of it themselves.
    """
    begun = clock()
    while True:
        try:
            return await _transfer(source, target, info, told)
        except Refused as refused:
            if refused.code not in (NO_PEERS, NAME_TAKEN) or clock() > begun + PEERS_SECONDS:
                raise
            if refused.code == NAME_TAKEN:
                if not alone:
                    raise
                if await forgotten(target, info.config["name"], source.mark(info)):
                    raise DecisionNeeded(_anothers(target, info.config["name"])) from refused
                if clock() > begun + STALLED_SECONDS:
                    await _freed(target, arriving(info, source.mark(info)))
        # Nobody announces a server that is known now, or a name that is free; the time above bounds the loop.
        await asyncio.sleep(PEERS_AGAIN_SECONDS)


async def _transfer(source: Source, target: JetStream, info: StreamInfo, told: Callable[[int], None]) -> Transfer:
    config = arriving(info, source.mark(info))
    name = config["name"]
    most = min(PIECE, target.link.greeting.get("max_payload", PIECE) - 1024)
    sent = 0
    async with source.sending(name, max(1024, most)) as sending:
        taken = answers.stream({**sending.about, "created": info.created})
        into = await _begin(target, name, config, taken)
        async for piece in sending.pieces:
            await _send(target, name, into, piece, SILENT_SECONDS)
            sent += len(piece)
            told(sent)
    answer = await _send(target, name, into, b"", BUILDING_SECONDS)
    return Transfer(taken=taken, stored=answers.stream(answer), bytes=sent)


async def forgotten(target: JetStream, name: str, mark: str) -> StreamInfo | None:
    """Remove what an ended run left of a stream; return what has that name and is another one, if there is any."""
    here = await target.stream(name)
    if here and (here.config.get("metadata") or {}).get(COMING) == mark:
        await target.delete_stream(name)
        return None
    return here


async def _freed(target: JetStream, config: Config) -> None:
    """Free a name of what an ended run left and no server has; raise DecisionNeeded if it may be somebody else's.

    What another program restores looks the same until all of it is there. The cluster makes a stream of what it keeps the
    name for only if that has *config*, which is marked as ours; of all else it says that it is another one.
    """
    name = config["name"]
    with contextlib.suppress(NotReady):
        call = f"STREAM.CREATE.{name}"
        data, _ = await target.link.exchange(f"$JS.API.{call}", json.dumps(config).encode(), within=SHOWN_SECONDS)
        refused = answers.refusal(call, json.loads(data))
        if refused and refused.code == ANOTHER:
            raise DecisionNeeded(_anothers(target, name)) from refused
    await forgotten(target, name, config["metadata"][COMING])


def _anothers(target: JetStream, name: str) -> str:
    return (
        f"{target.link.where} has the name {name} for a stream that it did not show: somebody makes or restores it just now, "
        "such as with nats stream restore, or was ended in the middle of that. It was left as it is: let it end, and if "
        f"it is not wanted, delete it (nats stream rm {name}). Then run the same command again"
    )


async def _begin(target: JetStream, name: str, config: Config, taken: StreamInfo) -> str:
    """Return the subject that takes the pieces."""
    state = {
        "messages": taken.messages,
        "bytes": taken.bytes,
        "first_seq": taken.first_sequence,
        "last_seq": taken.last_sequence,
    }
    answer = await target.ask(f"STREAM.RESTORE.{name}", {"config": config, "state": state})
    return str(answer["deliver_subject"])


async def _send(target: JetStream, name: str, into: str, piece: bytes, seconds: float) -> dict[str, Any]:
    data, _ = await heard(partial(target.link.exchange, into, piece, within=seconds))
    answer: dict[str, Any] = json.loads(data) if data.startswith(b"{") else {}
    refused = answers.refusal(f"STREAM.RESTORE.{name}", answer)
    if refused and GAVE_UP in refused.text:
        raise NotReady(
            f"{target.link.where} gave up storing {name}, since its disk took nothing for 5 s: run the same command again"
        )
    if refused:
        raise refused
    if data and not answer:
        raise Refused(request=f"STREAM.RESTORE.{name}", code=0, text=data.decode("utf-8", "replace"))
    return answer
