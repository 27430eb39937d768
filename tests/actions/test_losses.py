"""What happens to data when somebody else is at work as well, and what is agreed to."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest

from builders import desired
from memory import MemoryServer
from natsmith.actions import state
from natsmith.actions.apply import apply
from natsmith.adapters.server import StreamInfo
from natsmith.errors import DecisionNeeded, StoppedHalfway, WrongValues
from natsmith.log import Log
from runs import VALUES, applied


class Meanwhile(MemoryServer):
    """A server on which somebody else does something right before an object is read again."""

    def __init__(self, stream_name: str) -> None:
        super().__init__()
        self.watched, self.armed = stream_name, False

    async def meanwhile(self) -> None:
        """Do it."""

    async def stream(self, name: str, *, gaps: bool = False) -> StreamInfo | None:
        if self.armed and name == self.watched:
            self.armed = False
            await self.meanwhile()
        return await super().stream(name)


async def test_an_orphan_that_filled_since_the_plan_is_not_deleted() -> None:
    """It was empty when nobody had to agree; now it holds an acknowledged message."""

    class Filling(Meanwhile):
        async def meanwhile(self) -> None:
            await self.publish("old", b"acknowledged")

    server = Filling("OLD")
    await applied(server, {"streams": {"OLD": {"subjects": ["old"]}, "S": {"subjects": ["s"]}}})
    server.armed = True

    with pytest.raises(StoppedHalfway, match="it changed since the plan: it loses data"):
        await applied(server, {"streams": {"S": {"subjects": ["s"]}}, "provisioner": {"prune": True}})

    info = await server.stream("OLD")
    assert info is not None
    assert 1 == info.messages


async def test_another_object_of_that_name_is_not_replaced() -> None:
    """Somebody made the bucket anew as it was wanted, and wrote to it: the consent was about the old one."""

    class Remaking(Meanwhile):
        async def meanwhile(self) -> None:
            info = await MemoryServer.stream(self, "KV_b")
            assert info is not None
            await self.delete_stream("KV_b")
            self.now += timedelta(seconds=1)
            await self.create_stream({**info.config, "storage": "memory", "metadata": {}})
            await self.publish("$KV.b.k", b"new")

    server = Remaking("KV_b")
    await applied(server, {"buckets": {"b": {}, "c": {}}})
    server.armed = True

    with pytest.raises(StoppedHalfway, match="it is another object than the plan was about"):
        await applied(
            server,
            {
                "buckets": {"b": {"storage": "memory", "onImmutable": "replace"}, "c": {}},
                "provisioner": {"loss": "allow"},
            },
        )

    message = await server.last("KV_b", "$KV.b.k")
    assert message is not None
    assert b"new" == message.payload


async def agreed_and_lost(server: MemoryServer) -> dict[str, Any]:
    """Lower a limit with the owner's word, and return the values that still hold it."""
    small = {"streams": {"S": {"subjects": ["s"], "maxMessages": 2}}}
    await applied(server, {"streams": {"S": {"subjects": ["s"], "maxMessages": 100}}})
    for _ in range(10):
        await server.publish("s", b"x")
    with pytest.raises(DecisionNeeded) as refusal:
        await applied(server, small)
    agreed = {**small, "provisioner": {"consent": {"S": str(refusal.value).rpartition("=")[2]}}}
    await applied(server, agreed)
    return agreed


async def test_a_consent_stays_spent_when_metadata_is_wiped() -> None:
    """The state bucket counts too."""
    server = MemoryServer()
    agreed = await agreed_and_lost(server)
    info = await server.stream("S")
    assert info is not None
    await server.update_stream({**info.config, "metadata": {}})
    await applied(server, agreed)

    info = await server.stream("S")
    assert info is not None
    await server.update_stream({**info.config, "max_msgs": 100})
    for _ in range(10):
        await server.publish("s", b"x")
    with pytest.raises(DecisionNeeded, match="it loses data"):
        await applied(server, agreed)


async def test_a_limit_that_somebody_raised_since_the_plan_is_not_enforced() -> None:
    """The plan was about a description; what came in meanwhile stays until somebody agrees."""

    class Raising(Meanwhile):
        async def meanwhile(self) -> None:
            info = await MemoryServer.stream(self, "S")
            assert info is not None
            await self.update_stream({**info.config, "max_msgs": 100})
            for _ in range(50):
                await self.publish("s", b"x")

    server = Raising("S")
    await applied(server, {"streams": {"S": {"subjects": ["s"], "maxMessages": 2}}})
    server.armed = True

    with pytest.raises(StoppedHalfway, match="it loses data"):
        await applied(server, {"streams": {"S": {"subjects": ["s"], "maxMessages": 2, "description": "new"}}})

    info = await server.stream("S")
    assert info is not None
    assert 50 == info.messages


async def test_a_consent_that_stays_in_a_file_counts_once() -> None:
    """After the loss it is spent: what piles up again is not dropped by the same word."""
    server = MemoryServer()
    agreed = await agreed_and_lost(server)
    info = await server.stream("S")
    assert info is not None
    assert 2 == info.messages

    await server.update_stream({**info.config, "max_msgs": 100})
    for _ in range(10):
        await server.publish("s", b"x")
    with pytest.raises(DecisionNeeded, match="it loses data"):
        await applied(server, agreed)


async def test_a_state_bucket_that_cannot_be_written_is_no_failure() -> None:
    """Everything was done, and objects remember it themselves."""
    server = MemoryServer()
    await applied(server, VALUES)
    events = io.StringIO()
    server.deny = {"STREAM.MSG.GET"}

    outcome = await apply(
        server,
        desired({**VALUES, "buckets": {"b": {"ttlSeconds": 5}}}),
        account="app",
        owner="local",
        log=Log(stream=events),
        timeout=0.2,
    )

    assert outcome.complete
    assert "warning: the state bucket natsmith_state could not be written" in events.getvalue()


async def test_values_that_the_server_refuses_first_are_wrong_values() -> None:
    """Nothing was changed, and trying again would change nothing."""
    server = MemoryServer()
    await server.create_stream({"name": "origin", "subjects": ["x"]})

    with pytest.raises(WrongValues, match=r"correct it in streams\.S"):
        await applied(server, {"streams": {"S": {"subjects": ["s"], "config": {"unknown_to_servers": 1}}}})


async def test_a_mirror_is_replaced_without_a_sequence_of_its_own() -> None:
    """It counts as its origin does, and the server refuses anything else."""
    server = MemoryServer()
    origin = {"O": {"subjects": ["o"]}, "P": {"subjects": ["p"]}}
    await applied(server, {"streams": {**origin, "M": {"mirror": {"name": "O"}}}})
    await state.keep_sequence(server, "M", 7)
    await server.delete_stream("M")

    await applied(server, {"streams": {**origin, "M": {"mirror": {"name": "P"}}}})

    info = await server.stream("M")
    assert info is not None
    assert not info.config.get("first_seq")
