"""Dead letters: what the server noted of messages that were given up."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from natsmith.adapters.jetstream import JetStream
from natsmith.adapters.server import Refused
from natsmith.errors import NatsmithError
from natsmith.model.observed import Found, Observed
from natsmith.model.resources import STREAM
from natsmith.monitor.sight import Letter

SHOWN = 20
"""The newest of each stream of dead letters; how many there are is told beside them."""

LONGEST = 2_000
"""Characters of a value that are shown."""

LONGEST_NAME = 256
"""Characters of everything else."""

PREFIX = "$JS.EVENT.ADVISORY.CONSUMER."
REASONS = {"max_deliver": "delivered as often as it may be", "terminated": "a worker refused it for good"}


def streams(observed: Observed) -> Iterator[Found]:
    """Yield the streams that keep dead letters."""
    for found in observed.objects.values():
        if found.kind is STREAM and any(str(each).startswith(PREFIX) for each in found.get("subjects") or ()):
            yield found


class Letters:
    """The newest dead letters; a stream is read again only when it holds others than before."""

    def __init__(self, *, values: bool) -> None:
        self._values = values
        self._known: dict[str, tuple[tuple[int, int], Sequence[Letter]]] = {}

    async def read(self, server: JetStream, observed: Observed, lacks: Callable[[str], None]) -> Sequence[Letter]:
        """Return the newest letters, newest first in each stream; what the user may not read is told to *lacks*."""
        known = {}
        for found in streams(observed):
            state = found.messages, found.last_sequence
            before = self._known.get(found.stream)
            if before and before[0] == state:
                known[found.stream] = before
                continue
            try:
                known[found.stream] = state, await self._of(server, found, observed.streams)
            except (NatsmithError, Refused) as error:
                lacks(str(error))
        self._known = known
        return [letter for _, letters in known.values() for letter in letters]

    async def _of(self, server: JetStream, found: Found, there: Collection[str]) -> Sequence[Letter]:
        result = []
        first = max(1, found.last_sequence - SHOWN + 1) if found.messages else found.last_sequence + 1
        for sequence in range(found.last_sequence, first - 1, -1):
            payload = await _payload(server, found.stream, sequence)
            letter = _letter(payload) if payload else None
            if letter and self._values and letter.stream in there:  # whoever wrote it could name anything
                letter = await _with_value(server, letter)
            if letter:
                result.append(letter)
        return result


def _letter(payload: bytes) -> Letter | None:
    try:
        said = json.loads(payload)
        kind = str(said["type"]).rpartition(".")[2]
        return Letter(
            stream=str(said["stream"])[:LONGEST_NAME],
            consumer=str(said["consumer"])[:LONGEST_NAME],
            sequence=int(said["stream_seq"]),
            time=str(said["timestamp"])[:LONGEST_NAME],
            deliveries=int(said.get("deliveries", 0)),
            reason=str(said.get("reason") or REASONS.get(kind, kind))[:LONGEST_NAME],
        )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None  # somebody published there by hand


async def _with_value(server: JetStream, letter: Letter) -> Letter:
    payload = await _payload(server, letter.stream, letter.sequence)
    text = "it is not there any more" if payload is None else payload[: 4 * LONGEST].decode(errors="replace")[:LONGEST]
    return replace(letter, value=text)


async def _payload(server: JetStream, stream: str, sequence: int) -> bytes | None:
    """Return what a message holds, or None where it is gone."""
    answer = json.loads(
        await server.link.send(f"$JS.API.STREAM.MSG.GET.{stream}", json.dumps({"seq": sequence}).encode())
    )
    return base64.b64decode(answer["message"].get("data") or "") if "message" in answer else None
