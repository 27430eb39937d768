"""What is renamed moves once, into a stream of the new name."""

from __future__ import annotations

import io
from typing import Any

import nats.aio.client
import pytest
from nats.aio.msg import Msg
from nats.js.errors import KeyNotFoundError

from contract import found
from moving import applied, contents, names, planned, put, refusal, stream, values, where_moves_are_possible
from natsmith.adapters.jetstream import JetStream
from working import published, the, worked

pytestmark = where_moves_are_possible


def renamed(section: str, **settings: Any) -> dict[str, Any]:
    return values({section: {"new": {"renamedFrom": "old", **settings}}})


@pytest.mark.parametrize("storage", ["memory", "file"])
async def test_a_bucket_is_renamed_with_its_values_revisions_and_times(
    server: JetStream, nats_connection: nats.aio.client.Client, storage: str
) -> None:
    """Into the same storage or another; only the subjects are others."""
    await applied(server, values({"buckets": {"old": {"history": 2, "storage": "memory"}}}))
    for number in range(300):
        await put(nats_connection, f"$KV.old.{number % 100}", str(number).encode(), Trace=str(number))
    before = await contents(nats_connection, "KV_old")

    await applied(server, renamed("buckets", history=2, storage=storage))

    after = await contents(nats_connection, "KV_new")
    assert 200 == len(before)
    assert [
        (each.sequence, each.subject.replace("old", "new"), each.time, each.headers, each.data) for each in before
    ] == [(each.sequence, each.subject, each.time, each.headers, each.data) for each in after]
    assert ["KV_new"] == await names(server)
    assert not (await planned(server, renamed("buckets", history=2, storage=storage))).changes


async def test_a_client_works_with_the_new_name(server: JetStream, nats_connection: nats.aio.client.Client) -> None:
    """It gets, lists, watches, and writes where it expects what it had read under the old one."""
    await applied(server, values({"buckets": {"old": {}}}))
    for key in "abc":
        await put(nats_connection, f"$KV.old.{key}", key.encode())
    await applied(server, renamed("buckets"))

    bucket = await nats_connection.jetstream().key_value("new")
    assert ["a", "b", "c"] == sorted(await bucket.keys())
    entry = await bucket.get("b")
    assert (b"b", 2) == (entry.value, entry.revision)
    assert 3 < await bucket.update("b", b"B", last=2)
    with pytest.raises(KeyNotFoundError):
        await bucket.get("nothing")


async def test_an_object_store_is_renamed_with_its_objects(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    await applied(server, values({"objectStores": {"old": {}}}))
    store = await nats_connection.jetstream().object_store("old")
    await store.put("big", io.BytesIO(bytes(range(256)) * 2000))

    await applied(server, renamed("objectStores"))

    store = await nats_connection.jetstream().object_store("new")
    assert bytes(range(256)) * 2000 == (await store.get("big")).data
    assert ["big"] == [each.name for each in await store.list()]


@pytest.mark.parametrize("subjects", [["S.>"], ["T.>"]], ids=str)
async def test_a_stream_is_renamed_with_its_consumers(
    server: JetStream, nats_connection: nats.aio.client.Client, subjects: list[str]
) -> None:
    """With the same subjects, and with others in their place."""
    await applied(server, stream(consumers={"c": {}}))
    await published(nats_connection, 1, 10)
    assert [1, 2, 3, 4] == await worked(nats_connection, 4)
    document = values({"streams": {"T": {"subjects": subjects, "renamedFrom": "S", "consumers": {"c": {}}}}})

    await applied(server, document)

    assert 6 == (await the(server, stream="T")).pending
    assert ["T"] == await names(server)
    assert [f"{subjects[0][0]}.{number % 3}" for number in range(1, 11)] == [
        each.subject for each in await contents(nats_connection, "T")
    ]
    worker = await nats_connection.jetstream().pull_subscribe_bind("c", "T")
    left: list[Msg] = await worker.fetch(6, timeout=5)
    assert [5, 6, 7, 8, 9, 10] == [int(each.data or b"") for each in left]
    assert not (await planned(server, document)).changes


async def test_the_old_name_does_not_begin_empty_by_accident(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    """A rollback says how the entries come back, and what to do if they shall not."""
    await applied(server, values({"buckets": {"old": {}}}))
    await put(nats_connection, "$KV.old.a")
    await applied(server, renamed("buckets"))

    why = await refusal(server, values({"buckets": {"old": {}}}))

    assert "bucket new was renamed from it and holds its entries" in why
    assert "to carry them back, set buckets.old.renamedFrom: new" in why
    assert "to begin empty, keep new in the values too" in why


async def test_it_is_renamed_back(server: JetStream, nats_connection: nats.aio.client.Client) -> None:
    await applied(server, values({"buckets": {"old": {}}}))
    await put(nats_connection, "$KV.old.a")
    before = await contents(nats_connection, "KV_old")
    await applied(server, renamed("buckets"))

    await applied(server, values({"buckets": {"old": {"renamedFrom": "new"}}}))

    assert before == await contents(nats_connection, "KV_old")
    assert ["KV_old"] == await names(server)


async def test_both_names_may_be_there_afterwards(server: JetStream, nats_connection: nats.aio.client.Client) -> None:
    """The old one begins empty when the values say so."""
    await applied(server, values({"buckets": {"old": {}}}))
    await put(nats_connection, "$KV.old.a")
    await applied(server, renamed("buckets"))

    await applied(server, values({"buckets": {"new": {"renamedFrom": "old"}, "old": {}}}))

    assert [0, 1] == [(await found(server, name)).messages for name in ("KV_old", "KV_new")]


async def test_writers_of_the_old_name_are_told_that_nobody_is_there(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    """At once, not by a time-out; and the plan says it before."""
    await applied(server, values({"buckets": {"old": {}}}))
    (change,) = (await planned(server, renamed("buckets"))).changes
    await applied(server, renamed("buckets"))

    with pytest.raises(nats.errors.NoRespondersError):
        await put(nats_connection, "$KV.old.a")
    assert any("get no responders from the switch on: give them the new one" in each for each in change.seen)
