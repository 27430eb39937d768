"""Making an account be what the values say."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from memory import MemoryServer
from natsmith.actions import state
from natsmith.errors import DecisionNeeded, NotReady, WrongValues
from runs import VALUES, applied


def objects(writes: list[str]) -> list[str]:
    """Leave natsmith's own bucket out."""
    return [write for write in writes if "natsmith" not in write]


async def test_everything_is_created_once() -> None:
    """The second run writes nothing at all: no lock, no outcome, no object."""
    server = MemoryServer()

    first = await applied(server, VALUES)
    writes = list(server.writes)
    second = await applied(server, VALUES)

    assert first.complete
    assert {
        "STREAM.CREATE.KV_b",
        "STREAM.CREATE.S",
        "STREAM.CREATE.S_w_dead",
        "CONSUMER.CREATE.S.w",
    } == set(objects(writes))
    assert () == second.plan.changes
    assert writes == server.writes


async def test_a_time_to_live_changes_in_place() -> None:
    """Entries stay, then live as long as the new time says."""
    server = MemoryServer()
    await applied(server, VALUES)
    for number in range(5):
        await server.publish(f"$KV.b.k{number}", b"v")

    await applied(server, {**VALUES, "buckets": {"b": {"ttlSeconds": 60}}})

    info = await server.stream("KV_b")
    assert info is not None
    assert (5, 60_000_000_000) == (info.messages, info.config["max_age"])
    assert not [write for write in server.writes if "DELETE" in write]


async def test_a_refused_plan_changes_nothing() -> None:
    """Not even what would have been harmless."""
    server = MemoryServer()
    await applied(server, VALUES)
    before = list(server.writes)

    with pytest.raises(DecisionNeeded, match="a store cannot be converted in place"):
        await applied(server, {**VALUES, "buckets": {"b": {"ttlSeconds": 30, "storage": "memory"}, "c": {}}})

    assert before == server.writes


async def test_limits_are_judged_before_anything_is_written() -> None:
    """The values are wrong for this server, so nothing begins."""
    server = MemoryServer()

    with pytest.raises(WrongValues, match="the server is alone"):
        await applied(server, {"buckets": {"b": {"replicas": 3}}})

    assert [] == server.writes


async def test_only_the_plan_that_was_seen() -> None:
    """`--expect` names the plan; another one is not carried out."""
    server = MemoryServer()

    with pytest.raises(DecisionNeeded, match="--expect says p-0"):
        await applied(server, VALUES, expect="p-0")

    assert [] == server.writes


async def test_what_the_server_has_besides_is_kept() -> None:
    """A field that no bucket of ours has survives an update."""
    server = MemoryServer()
    await applied(server, VALUES)
    info = await server.stream("KV_b")
    assert info is not None
    await server.update_stream({**info.config, "allow_atomic": True})

    await applied(server, {**VALUES, "buckets": {"b": {"ttlSeconds": 60}}})

    info = await server.stream("KV_b")
    assert info is not None
    assert info.config["allow_atomic"]


async def test_wiped_metadata_is_put_back() -> None:
    """An application's own create-or-update resets it; the state bucket remembers whose it was."""
    server = MemoryServer()
    await applied(server, VALUES, owner="ns/r")
    info = await server.stream("KV_b")
    assert info is not None
    await server.update_stream({key: value for key, value in info.config.items() if key != "metadata"})

    outcome = await applied(server, VALUES, owner="ns/r")

    assert [("stamp", "bucket b")] == [(change.action, change.title) for change in outcome.plan.changes]
    info = await server.stream("KV_b")
    assert info is not None
    assert "ns/r" == info.config["metadata"]["natsmith.owner"]


async def test_a_recreated_object_is_a_strangers() -> None:
    """What somebody deleted and made anew is adopted, not taken for what it was."""
    server = MemoryServer()
    await applied(server, VALUES)
    info = await server.stream("KV_b")
    assert info is not None
    await server.delete_stream("KV_b")
    server.now += timedelta(seconds=1)
    await server.create_stream({key: value for key, value in info.config.items() if key != "metadata"})

    outcome = await applied(server, VALUES)

    assert ["adopt"] == [change.action for change in outcome.plan.changes]


async def test_a_replaced_stream_goes_on_counting() -> None:
    """Watchers skip what is below what they have seen, so the new stream begins after it."""
    server = MemoryServer()
    await applied(server, VALUES)
    for _ in range(3):
        await server.publish("$KV.b.k", b"v")
    wish: dict[str, Any] = {"buckets": {"b": {"ttlSeconds": 30, "storage": "memory", "onImmutable": "replace"}}}
    wish["streams"] = VALUES["streams"]
    with pytest.raises(DecisionNeeded) as refusal:
        await applied(server, wish)
    consent = str(refusal.value).rpartition("=")[2]

    await applied(server, {**wish, "provisioner": {"consent": {"b": consent}}})

    assert 4 == await server.publish("$KV.b.k", b"v")


async def test_a_replacement_that_was_interrupted_goes_on_counting_too() -> None:
    """The state bucket keeps where the old stream stopped, in case the run dies between deleting and creating."""
    server = MemoryServer()
    await applied(server, VALUES)
    for _ in range(3):
        await server.publish("$KV.b.k", b"v")
    wish: dict[str, Any] = {
        **VALUES,
        "buckets": {"b": {"ttlSeconds": 30, "storage": "memory", "onImmutable": "replace"}},
        "provisioner": {"loss": "allow"},
    }
    server.deny = {"STREAM.CREATE.KV_b"}
    halfway = await applied(server, wish)
    assert not halfway.complete
    assert await server.stream("KV_b") is None
    server.deny = set()

    await applied(server, wish)

    assert 4 == await server.publish("$KV.b.k", b"v")
    assert {} == await state.sequences(server)


async def test_pruning_removes_what_the_values_no_longer_name() -> None:
    """Only with `prune: true`, and only what this owner made."""
    server = MemoryServer()
    await applied(server, VALUES)
    await server.create_stream({"name": "theirs", "subjects": ["theirs"]})

    await applied(server, {"streams": VALUES["streams"]})
    kept = {info.config["name"] for info in await server.streams()}
    await applied(server, {"streams": VALUES["streams"], "provisioner": {"prune": True}})
    left = {info.config["name"] for info in await server.streams()}

    assert {"KV_b"} == kept - left
    assert "theirs" in left


async def test_a_missing_right_is_no_stop_halfway() -> None:
    """Nothing was changed, so the error is what is wrong."""
    server = MemoryServer()
    server.deny = {"STREAM.CREATE.KV_b"}

    with pytest.raises(DecisionNeeded, match="KV_b"):
        await applied(server, {"buckets": VALUES["buckets"]})


@pytest.mark.parametrize("after", range(2, 12))
async def test_whatever_was_done_when_the_server_died_the_next_run_goes_on(after: int) -> None:
    """There is no step from which it cannot."""
    server = MemoryServer()
    server.die_after = after
    try:
        outcome = await applied(server, VALUES)
    except (NotReady, DecisionNeeded):
        outcome = None
    server.die_after = None
    server.now += timedelta(seconds=60)  # the dead holder's lease runs out

    again = await applied(server, VALUES)

    assert again.complete
    assert () == (await applied(server, VALUES)).plan.changes
    if outcome:
        told = [*outcome.done, *(change for change, _ in outcome.failed), *outcome.left]
        assert sorted(change.title for change in outcome.plan.changes) == sorted(change.title for change in told)


async def test_the_last_outcomes_are_remembered() -> None:
    """Newest first, and not more than are kept."""
    server = MemoryServer()
    for ttl in range(1, state.OUTCOMES_KEPT + 3):
        await applied(server, {"buckets": {"b": {"ttlSeconds": ttl}}})

    pasts = await state.outcomes(server)

    assert state.OUTCOMES_KEPT == len(pasts)
    assert ("done", (f"update bucket b (ttlSeconds {ttl - 1} -> {ttl})",)) == (pasts[0].result, pasts[0].rows)


async def test_a_large_memory_is_kept_in_parts() -> None:
    """A message of the state bucket stays far below what a server takes."""
    server = MemoryServer()
    many = {f"b{number}": {"description": "x" * 1000} for number in range(500)}
    await applied(server, {"buckets": many})

    memories = await state.memories(server)
    records = [await server.last(state.STREAM, subject) for subject in await server.subject_counts(state.STREAM)]

    assert 500 == len(memories)
    assert max(len(each.payload) for each in records if each) < 2 * state.CHUNK


async def test_state_that_cannot_be_read_is_written_anew() -> None:
    """The state bucket is a copy: rubbish in it stops nobody."""
    server = MemoryServer()
    await applied(server, VALUES)
    for subject in await server.subject_counts("KV_natsmith_state"):
        await server.publish(subject, b"\xffnot json")

    outcome = await applied(server, {**VALUES, "buckets": {"b": {"ttlSeconds": 9}}})

    assert outcome.complete
    assert 1 == len(await state.outcomes(server))


async def test_what_a_later_natsmith_applied_is_refused() -> None:
    """Its format is higher than ours, so we would lose what only it knows."""
    server = MemoryServer()
    await applied(server, VALUES)
    info = await server.stream("KV_b")
    assert info is not None
    metadata = {**info.config["metadata"], "natsmith.applied": json.dumps({"v": 2})}
    await server.update_stream({**info.config, "metadata": metadata})

    with pytest.raises(DecisionNeeded, match="a later natsmith applied it"):
        await applied(server, VALUES)
