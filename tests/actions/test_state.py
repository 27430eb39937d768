"""The state bucket: rubbish in it stops nobody, and a stream that cannot hold the lock is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from builders import desired
from memory import MemoryServer
from natsmith.actions import lease, state
from natsmith.actions.apply import apply
from natsmith.errors import DecisionNeeded, WrongValues
from natsmith.log import Log
from natsmith.model.outcome import Outcome, Past
from natsmith.model.units import NANOS

VALUES: dict[str, Any] = {"buckets": {"b": {}}}
DEEP = "[" * 200_000
RUBBISH = [
    "null",
    "5",
    "[]",
    DEEP,
    '"\\ud83d"',
    '{"outcomes": 5}',
    '{"outcomes": null}',
    '{"outcomes": [null, 5, []]}',
    '{"outcomes": [{"seconds": "abc"}]}',
    '{"outcomes": [{"seconds": 1e999}]}',
    '{"outcomes": [{"count": null}]}',
    '{"outcomes": [{"changes": 5}]}',
    '{"outcomes": [{"changes": [5, null]}]}',
    '{"outcomes": [{"who": "\\ud83d"}]}',
    '{"owner": 5, "objects": {}}',
    '{"owner": "local", "objects": [5]}',
    '{"owner": "local", "objects": {"KV_b": 5, "KV_c": [1, 2], "KV_d": ["x", [5]]}}',
    '{"owner": "local", "objects": {"KV_b": ["x", {"v": 1, "settings": {"metadata": 5}}]}}',
]


class Small(MemoryServer):
    """A server whose max_payload is small."""

    most = 2000

    async def publish(self, subject: str, payload: bytes, **how: Any) -> int:
        """Store a message that is not too large."""
        if len(payload) > self.most:
            raise WrongValues(f"the request publish on {subject} is {len(payload)} bytes: shorten it")
        return await super().publish(subject, payload, **how)


async def applied(server: MemoryServer, document: Any) -> Outcome:
    return await apply(server, desired(document), account="app", owner="local", log=Log(), timeout=0)


@pytest.mark.parametrize("rubbish", RUBBISH, ids=lambda text: str(text)[:60])
async def test_rubbish_in_the_state_bucket_stops_nobody(rubbish: str) -> None:
    """It holds nothing that cannot be lost, so what cannot be read was never there."""
    server = MemoryServer()
    await applied(server, VALUES)
    for key in ("outcomes", "applied.0", "applied.rubbish.0"):
        await server.publish(state.SUBJECT + key, rubbish.encode())
    handmade = await server.stream("KV_b")
    assert handmade
    await server.update_stream({**handmade.config, "metadata": {}})

    assert all(isinstance(each, Past) for each in await state.outcomes(server))
    assert (await applied(server, {"buckets": {"b": {"ttlSeconds": 5}}})).complete


@pytest.mark.parametrize("rubbish", ["null", DEEP, '{"owner": 5}', "\ufffd"], ids=lambda text: str(text)[:20])
async def test_a_lock_that_cannot_be_read_is_somebodys(rubbish: str) -> None:
    """It blocks for as long as it lives, like any other."""
    server = MemoryServer()
    await state.ensure(server, 1)
    await server.publish(lease.KEY, rubbish.encode(), ttl=15)

    found = await lease.holder(server)

    assert found
    assert "somebody" == found.owner


async def test_an_outcome_with_one_wrong_part_keeps_the_others() -> None:
    """Each part is read by itself."""
    server = MemoryServer()
    await state.ensure(server, 1)
    stored = {"outcomes": [{"owner": "me", "seconds": "abc", "count": True, "changes": ["a", 5], "result": "done"}]}
    await server.publish(state.SUBJECT + "outcomes", json.dumps(stored).encode())

    assert [
        Past(time="", owner="me", version="", who="", seconds=0.0, result="done", rows=("a",), count=1)
    ] == await state.outcomes(server)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"subjects": ["x"]}, r"subjects must have \$KV.natsmith_state.>"),
        ({"retention": "interest"}, "retention must be limits"),
        ({"max_msgs_per_subject": 2}, "max_msgs_per_subject must be 1"),
        ({"allow_msg_ttl": False}, "allow_msg_ttl must be true"),
        ({"max_age": 5 * NANOS, "duplicate_window": NANOS}, "max_age must be 0, or at least the 15 s"),
        ({"max_msgs": 5}, "max_msgs must be -1"),
        ({"max_bytes": 5000}, "max_bytes must be -1"),
        ({"max_msg_size": 5}, "max_msg_size must be -1"),
        ({"no_ack": True}, "no_ack must not be set"),
        ({"discard_new_per_subject": True}, "discard_new_per_subject must not be set"),
        ({"deny_purge": True, "allow_rollup_hdrs": False}, "deny_purge must not be set"),
        ({"subject_transform": {"src": ">", "dest": "x.>"}}, "subject_transform must not be set"),
        ({"subject_delete_marker_ttl": 60 * NANOS}, "subject_delete_marker_ttl must not be set"),
        ({"mirror": {"name": "M"}, "subjects": []}, "mirror must not be set"),
        ({"sources": [{"name": "M"}]}, "sources must not be set"),
    ],
)
async def test_a_stream_that_cannot_hold_the_lock_is_told(changed: dict[str, Any], told: str) -> None:
    """With any of these a lock could be held twice, be lost, or never be given back."""
    server = MemoryServer()
    await server.create_stream({**state.config(1), **changed})

    with pytest.raises(DecisionNeeded, match=f"{told}.*Delete it: it holds nothing that cannot be lost"):
        await applied(server, VALUES)
    assert ["KV_natsmith_state"] == [each.config["name"] for each in await server.streams()]


async def test_a_sealed_state_bucket_is_told() -> None:
    """Nothing can be written to it ever again."""
    server = MemoryServer()
    await server.create_stream(state.config(1))
    await server.update_stream({**state.config(1), "sealed": True})

    with pytest.raises(DecisionNeeded, match="sealed must not be set"):
        await state.ensure(server, 1)


async def test_the_state_bucket_that_natsmith_makes_is_fit() -> None:
    """Whatever else somebody changed in it: its replicas, its description, its compression."""
    server = MemoryServer()
    await state.ensure(server, 1)
    await server.update_stream({**state.config(1), "description": "mine", "compression": "s2", "discard": "old"})

    await state.ensure(server, 1)


async def test_what_is_remembered_fits_a_server_that_takes_small_messages() -> None:
    """It is kept in smaller parts, and of the outcomes the newest are kept."""
    server = Small()
    many = {f"b{number}": {"description": "x" * 100} for number in range(30)}
    assert (await applied(server, {"buckets": many})).complete
    for ttl in range(1, 20):
        assert (await applied(server, {"buckets": {**many, "b1": {"ttlSeconds": ttl}}})).complete

    assert set(many) == {each.stream.removeprefix("KV_") for each in await state.memories(server)}
    assert ("update bucket b1",) == tuple(row[:16] for row in (await state.outcomes(server))[0].rows)


async def test_what_fits_in_no_message_is_not_remembered_and_stops_nobody() -> None:
    """It stands in the object's own metadata anyway."""
    server = Small()
    server.most = 200

    assert (await applied(server, {"buckets": {"b": {"description": "x" * 300}}})).complete
    assert {} == await state.memories(server)
