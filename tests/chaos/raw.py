"""The server as it answers, with nothing between: whole streams, configurations, and many messages at once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from natsmith.adapters import closing

BATCH = 500
IN_FLIGHT = 1000
CLOSE_SECONDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a run happens: an account on one server or on several."""

    urls: tuple[str, ...]
    user: str
    password: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A message as a stream holds it."""

    seq: int
    subject: str
    time: str
    data: bytes
    ttl: str
    """The time to live that its writer gave it; empty if none."""

    marker: bool
    """Whether the server put it there for a value that expired."""


BEHIND_SECONDS = 3.0
"""A replica that is behind for longer is what the server has made of it, and judged; what expires is never the same twice."""


async def ignore(_: Exception) -> None:
    """Say nothing of lost connections: killing servers is what this is about."""


async def connect(place: Place) -> Client:
    """Return a connection that comes back whenever the server does."""
    return await nats.connect(
        list(place.urls),
        user=place.user,
        password=place.password,
        error_cb=ignore,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.05,
        connect_timeout=2,
    )


async def closed(client: Client) -> None:
    """Close a connection; nats-py's may wait for ever for a server that is gone."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await closing.closed(client)


async def api(
    client: Client, verb: str, body: Mapping[str, Any] | None = None, *, timeout: float = 5
) -> dict[str, Any]:
    """Return the answer of JetStream's API, an error as well."""
    answer = await client.request(f"$JS.API.{verb}", json.dumps(body).encode() if body else b"", timeout=timeout)
    result: dict[str, Any] = json.loads(answer.data)
    return result


async def streams(client: Client) -> dict[str, dict[str, Any]]:
    """Return every stream's information by its name."""
    found: dict[str, dict[str, Any]] = {}
    while True:
        page = await api(client, "STREAM.LIST", {"offset": len(found)})
        found |= {each["config"]["name"]: each for each in page["streams"] or []}
        if len(found) >= page["total"]:
            return found


async def everything(client: Client, stream: str) -> dict[int, Stored]:
    """Return every message of a stream that allows direct gets, by its sequence.

    A replica that answers may be behind its leader for a moment, so it is asked until it tells as much as that one.
    """
    until = time.monotonic() + BEHIND_SECONDS
    while True:
        found = await _everything(client, stream)
        there = (await api(client, f"STREAM.INFO.{stream}"))["state"]["messages"]
        last = await api(client, f"STREAM.MSG.GET.{stream}", {"last_by_subj": ">"})
        newest = last.get("message", {}).get("seq", 0)
        if time.monotonic() > until or (len(found), max(found, default=0)) == (there, newest):
            return found


async def _everything(client: Client, stream: str) -> dict[int, Stored]:
    found: dict[int, Stored] = {}
    answers: asyncio.Queue[Msg] = asyncio.Queue()
    inbox = client.new_inbox()
    subscription = await client.subscribe(inbox, cb=answers.put)
    following = 1
    more = True
    while more:
        body = json.dumps({"seq": following, "batch": BATCH, "next_by_subj": ">"}).encode()
        await client.publish(f"$JS.API.DIRECT.GET.{stream}", body, reply=inbox)
        while True:
            message = await asyncio.wait_for(answers.get(), timeout=5)
            headers = message.headers or {}
            if headers.get("Status"):
                # 204 ends a batch and tells how many follow; 404 says that none does.
                if headers["Status"] not in ("204", "404"):
                    raise RuntimeError(f"reading all of {stream}: {headers}")
                more = headers["Status"] == "204" and int(headers.get("Nats-Num-Pending", 0)) > 0
                break
            one = _stored(message.data, headers)
            found[one.seq] = one
            following = one.seq + 1
    await subscription.unsubscribe()
    return found


def _stored(data: bytes, headers: Mapping[str, str]) -> Stored:
    return Stored(
        seq=int(headers["Nats-Sequence"]),
        subject=headers["Nats-Subject"],
        time=headers["Nats-Time-Stamp"],
        data=data,
        ttl=headers.get("Nats-TTL", ""),
        marker="Nats-Marker-Reason" in headers,
    )


async def publish_all(client: Client, messages: Sequence[tuple[str, bytes, int]]) -> list[int]:
    """Publish subjects, values and times to live (0 is none) in order; return the sequences they got."""
    inbox = client.new_inbox()
    answers: dict[int, Msg] = {}
    arrived = asyncio.Event()

    async def answered(message: Msg) -> None:
        answers[int(message.subject.rpartition(".")[2])] = message
        arrived.set()

    subscription = await client.subscribe(f"{inbox}.*", cb=answered)
    for begin in range(0, len(messages), IN_FLIGHT):
        end = min(len(messages), begin + IN_FLIGHT)
        for index in range(begin, end):
            subject, value, ttl = messages[index]
            headers = {"Nats-TTL": f"{ttl}s"} if ttl else None
            await client.publish(subject, value, reply=f"{inbox}.{index}", headers=headers)
        while len(answers) < end:
            arrived.clear()
            await asyncio.wait_for(arrived.wait(), timeout=10)
    await subscription.unsubscribe()
    return [_sequence(answers[index]) for index in range(len(messages))]


def _sequence(answer: Msg) -> int:
    told = json.loads(answer.data or b'{"error": "no responders"}')
    if "error" in told:
        raise RuntimeError(f"a message before the move was refused: {told['error']}")
    return int(told["seq"])


async def newest(client: Client, stream: str, subjects: Iterable[str]) -> dict[str, tuple[int, str]]:
    """Return the sequence and time of the newest message under each subject, as the stream's leader tells it."""
    found = {}
    for subject in subjects:
        answer = await api(client, f"STREAM.MSG.GET.{stream}", {"last_by_subj": subject})
        if "message" in answer:
            found[subject] = (answer["message"]["seq"], answer["message"]["time"])
    return found
