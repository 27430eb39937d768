"""Moves as tests make them: what a stream holds before and after, and runs that stand still or die at a step."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import nats.aio.client
import pytest

from builders import desired
from natsmith.actions.apply import apply, prepare
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import JetStream
from natsmith.adapters.server import Config
from natsmith.errors import DecisionNeeded
from natsmith.log import Log
from natsmith.model.change import Plan
from natsmith.model.outcome import Outcome
from versions import VERSIONS

STATE = "KV_natsmith_state"
CARRIER = "natsmith_move_"
NO_MESSAGE = 10037

TOO_OLD = [each for each in VERSIONS if each.startswith("2.11.")]
WITHOUT_MARKERS = [each for each in VERSIONS if each.startswith("2.12.")]
MOVABLE = [each for each in VERSIONS if not each.startswith("2.11.")]
WITH_MARKERS = [each for each in MOVABLE if not each.startswith("2.12.")]
where_moves_are_possible = pytest.mark.parametrize("release", MOVABLE, indirect=True)
where_markers_move = pytest.mark.parametrize("release", WITH_MARKERS, indirect=True)


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as a stream holds it."""

    sequence: int
    subject: str
    time: str
    headers: str
    data: str


def values(document: Mapping[str, Any], **policy: Any) -> dict[str, Any]:
    """Return *document* for an account where what cannot change moves."""
    return {**document, "provisioner": {"onImmutable": "move", **policy}}


def bucket(**settings: Any) -> dict[str, Any]:
    """Return the values of one bucket called b."""
    return values({"buckets": {"b": settings}})


def stream(**settings: Any) -> dict[str, Any]:
    """Return the values of one stream called S, on S.>."""
    return values({"streams": {"S": {"subjects": ["S.>"], **settings}}})


async def applied(server: JetStream, document: Mapping[str, Any], *, log: Log | None = None) -> Outcome:
    """Apply *document* to the end."""
    outcome = await apply(server, desired(document), account="app", owner="local", log=log or Log(), timeout=20)
    assert outcome.complete, outcome.failed
    return outcome


async def planned(server: JetStream, document: Mapping[str, Any]) -> Plan:
    """Return the plan for *document*."""
    plan, _ = await prepare(server, desired(document), account="app", owner="local")
    return plan


async def refusal(server: JetStream, document: Mapping[str, Any]) -> str:
    """Return why *document* is refused; nothing was changed."""
    before = await configurations(server)
    with pytest.raises(DecisionNeeded) as refused:
        await apply(server, desired(document), account="app", owner="local", log=Log(), timeout=5)
    assert before == await configurations(server)
    return str(refused.value)


async def configurations(server: JetStream) -> dict[str, tuple[Config, int, int]]:
    """Return what every stream is like and holds; natsmith's own memory is no part of it."""
    return {
        each.config["name"]: (each.config, each.messages, each.last_sequence)
        for each in await server.streams()
        if each.config["name"] != STATE
    }


async def names(server: JetStream) -> list[str]:
    """Return the names of all streams but natsmith's memory."""
    return sorted(await configurations(server))


async def api(client: nats.aio.client.Client, call: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the answer of the server's API, an error as well."""
    payload = b"" if body is None else json.dumps(body).encode()
    answer: dict[str, Any] = json.loads((await client.request(f"$JS.API.{call}", payload, timeout=5)).data)
    return answer


async def put(client: nats.aio.client.Client, subject: str, value: bytes = b"x", **headers: str) -> dict[str, Any]:
    """Publish *value* with headers such as ``Nats_TTL`` and return the server's answer."""
    named = {key.replace("_", "-"): text for key, text in headers.items()}
    answer: dict[str, Any] = json.loads((await client.request(subject, value, headers=named, timeout=5)).data)
    return answer


async def contents(client: nats.aio.client.Client, stream: str) -> list[Stored]:
    """Return every message of a stream, word for word."""
    found: list[Stored] = []
    following = 1
    while True:
        answer = await api(client, f"STREAM.MSG.GET.{stream}", {"seq": following, "next_by_subj": ">"})
        if "error" in answer:
            assert NO_MESSAGE == answer["error"]["err_code"], answer
            return found
        one = answer["message"]
        found.append(
            Stored(one["seq"], one["subject"], one["time"], one.get("hdrs", ""), one.get("data", ""))  # as it was sent
        )
        following = one["seq"] + 1


@asynccontextmanager
async def halted(
    connection: Connection, document: Mapping[str, Any], step: str, nth: int = 1
) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """Apply *document* in a process that stands still at a step; what is given lets it go on, and returns its log."""
    process = await _process(connection, document, signal.SIGSTOP, step, nth)
    try:
        # It says so before it does: let go on too early, it would stand still for good.
        await asyncio.to_thread(os.waitid, os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)

        async def go_on() -> str:
            process.send_signal(signal.SIGCONT)
            stdout, stderr = await asyncio.wait_for(process.communicate(), timeout=60)
            assert 0 == process.returncode, stdout.decode() + stderr.decode()
            return stderr.decode()

        yield go_on
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def killed(connection: Connection, document: Mapping[str, Any], step: str, nth: int = 1) -> None:
    """Apply *document* in a process that dies at a step."""
    process = await _process(connection, document, signal.SIGKILL, step, nth)
    await asyncio.wait_for(process.communicate(), timeout=60)
    assert -signal.SIGKILL == process.returncode


async def _process(
    connection: Connection, document: Mapping[str, Any], number: signal.Signals, step: str, nth: int
) -> asyncio.subprocess.Process:
    """Start a process and return it when it has come to the step."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        Path(__file__).with_name("halting.py"),
        *(json.dumps(each) for each in (asdict(connection), document)),
        *(number.name, step, str(nth)),
        env={**os.environ, "PYTHONWARNINGS": "error"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    first = await asyncio.wait_for(process.stdout.readline(), timeout=60)
    if first != b"halt\n":
        stdout, stderr = await process.communicate()
        pytest.fail(f"it did not come to the step {step}: {(first + stdout + stderr).decode()}")
    return process
