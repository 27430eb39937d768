"""What cannot be moved is refused in the plan: nothing is changed, and the reason comes with what can be done."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import nats
import nats.aio.client
import pytest

from cli import Natsmith
from contract import stream as plain_stream
from embedded import Embedded
from moving import (
    MOVABLE,
    TOO_OLD,
    WITHOUT_MARKERS,
    applied,
    bucket,
    configurations,
    planned,
    put,
    refusal,
    stream,
    values,
    where_moves_are_possible,
)
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import JetStream, connect
from natsmith.log import Log

KEEP = "leave storage as the server has it"
LOSE = "onImmutable: replace to lose"


@pytest.mark.parametrize("release", TOO_OLD, indirect=True)
async def test_a_server_that_cannot_promote_a_copy_is_named_with_what_is_possible(
    server: JetStream, nats_connection: nats.aio.client.Client, release: str
) -> None:
    """Upgrade it, leave it, or lose what is there."""
    await applied(server, bucket(storage="memory"))
    await put(nats_connection, "$KV.b.a")

    why = await refusal(server, bucket(storage="file"))

    assert f"the server is {release}, and one before 2.12 cannot" in why
    assert "upgrade it" in why
    assert KEEP in why
    assert LOSE in why


@pytest.mark.parametrize("release", WITHOUT_MARKERS, indirect=True)
async def test_markers_are_moved_only_by_a_server_that_copies_them(server: JetStream, release: str) -> None:
    await applied(server, bucket(storage="memory", markerSeconds=60))

    why = await refusal(server, bucket(storage="file", markerSeconds=60))

    assert f"the server is {release}, and before 2.14" in why
    assert "markerSeconds: 0" in why


@where_moves_are_possible
@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"allowMessageCounter": True}, "allowMessageCounter is set, and a copy of a counter cannot become one"),
        ({"allowMessageSchedules": True}, "allowMessageSchedules is set, and scheduled messages would not fire"),
        ({"sources": [{"name": "origin"}]}, "sources is set, and where its sources go on"),
    ],
    ids=str,
)
async def test_what_a_copy_cannot_be_is_refused_with_the_reason(
    server: JetStream, settings: dict[str, Any], why: str
) -> None:
    origin = {"origin": {"subjects": ["origin"]}}

    def document(storage: str) -> dict[str, Any]:
        return values({"streams": {**origin, "S": {"subjects": ["S.>"], "storage": storage, **settings}}})

    await applied(server, document("memory"))

    said = await refusal(server, document("file"))

    assert f"stream S: its messages cannot be moved: {why}" in said
    assert KEEP in said
    assert LOSE in said


@where_moves_are_possible
async def test_a_mirror_is_to_begin_anew(server: JetStream) -> None:
    """It holds what its origin has; its storage is no reason to copy a copy."""
    origin = {"origin": {"subjects": ["origin"]}}
    await applied(server, values({"streams": {**origin, "M": {"mirror": {"name": "origin"}, "storage": "memory"}}}))

    said = await refusal(
        server, values({"streams": {**origin, "M": {"mirror": {"name": "origin"}, "storage": "file"}}})
    )

    assert "stream M: its messages cannot be moved: mirror is set" in said


@where_moves_are_possible
async def test_a_sealed_stream_stays_where_it_is(server: JetStream) -> None:
    await applied(server, stream(storage="memory"))
    await applied(server, stream(storage="memory", sealed=True))

    assert "sealed" in await refusal(server, stream(storage="file", sealed=True))


@where_moves_are_possible
@pytest.mark.parametrize("copies", [{"mirror": {"name": "S"}}, {"sources": [{"name": "S"}]}], ids=str)
async def test_a_stream_that_another_one_copies_stays_where_it_is(server: JetStream, copies: dict[str, Any]) -> None:
    """That one would lose its place; it is named."""
    await applied(server, stream(storage="memory"))
    await server.create_stream({"name": "COPY", "storage": "memory", **copies})

    assert "stream COPY copies it, and would lose its place" in await refusal(server, stream(storage="file"))


@where_moves_are_possible
async def test_a_stream_of_the_name_that_is_needed_is_nobodys_to_touch(server: JetStream) -> None:
    await applied(server, stream(storage="memory"))
    await server.create_stream(plain_stream("natsmith_move_S"))

    why = await refusal(server, stream(storage="file"))

    assert "there is a stream natsmith_move_S, which natsmith did not make: delete or rename it" in why


@where_moves_are_possible
async def test_a_stream_that_takes_the_marks_could_not_be_kept_from_being_written(server: JetStream) -> None:
    wanted = {"subjects": ["*.park.>"], "noAck": True}
    await applied(server, values({"streams": {"S": {**wanted, "storage": "memory"}}}))

    why = await refusal(server, values({"streams": {"S": {**wanted, "storage": "file"}}}))

    assert "its subject *.park.> takes every subject, so writes could not be kept away from it" in why


@where_moves_are_possible
async def test_a_bucket_whose_clients_do_not_use_direct_get_needs_consent(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    """They could be told that a key is not there; with the owner's word it moves all the same."""
    await nats_connection.jetstream().create_key_value(bucket="b", storage="memory")
    await put(nats_connection, "$KV.b.a")

    why = await refusal(server, bucket(storage="file"))
    (change,) = (await planned(server, bucket(storage="file"))).changes

    assert "its clients do not use direct get, which is off" in why
    assert f"--set provisioner.consent.KV_b={change.consent}" in why
    agreed = values({"buckets": {"b": {"storage": "file"}}}, consent={"KV_b": change.consent})
    await applied(server, agreed)


@where_moves_are_possible
async def test_an_object_store_needs_consent_since_its_clients_need_not_use_direct_get(
    server: JetStream, nats_connection: nats.aio.client.Client
) -> None:
    await applied(server, values({"objectStores": {"o": {"storage": "memory"}}}))
    await (await nats_connection.jetstream().object_store("o")).put("a", b"x")

    why = await refusal(server, values({"objectStores": {"o": {"storage": "file"}}}))

    assert "could be told that an object is not there although it is" in why
    assert "--set provisioner.consent.OBJ_o=" in why


@where_moves_are_possible
async def test_a_stream_with_no_room_for_the_consumer_of_its_copy_is_told_so(server: JetStream) -> None:
    """A server copies by a consumer that counts like any other."""
    await applied(server, stream(storage="memory", maxConsumers=1, consumers={"c": {}}))

    assert "it has all the 1 consumers that maxConsumers allows, and its copy needs one more" in await refusal(
        server, stream(storage="file", maxConsumers=1, consumers={"c": {}})
    )


@where_moves_are_possible
async def test_without_the_word_nothing_moves(server: JetStream) -> None:
    """Immutable is refused by default, with moving among what is offered."""
    await applied(server, {"buckets": {"b": {"storage": "memory"}}})

    assert "set buckets.b.onImmutable: move to keep entries" in await refusal(
        server, {"buckets": {"b": {"storage": "file"}}}
    )


@where_moves_are_possible
async def test_a_run_that_has_too_little_time_begins_nothing(natsmith: Natsmith, server: JetStream) -> None:
    """It says how much it may take, and how to run it where no time is set."""
    natsmith.write("before.json", json.dumps(bucket(storage="memory")))
    natsmith.write("after.json", json.dumps(bucket(storage="file")))
    assert 0 == (await natsmith("apply", "-f", "before.json")).code
    before = await configurations(server)

    result = await natsmith("apply", "-f", "after.json", "--within", "5")

    assert 3 == result.code, result.text
    assert "moving bucket b may take 10 s, but this run has to be over in 5 s. Nothing was changed" in result.stderr
    assert "natsmith apply" in result.stderr
    assert before == await configurations(server)
    assert 0 == (await natsmith("apply", "-f", "after.json", "--within", "60")).code


# -- Where an account sets the limits

PASSWORD = "pw"
MEGABYTE = 2**20


def with_limits(private_server: Callable[..., Embedded], **limits: Any) -> Connection:
    """Return a user of an account with limits on a server of its own."""
    account = {"jetstream": limits, "users": [{"user": "me", "password": PASSWORD}]}
    return Connection(server=private_server(accounts={"A": account}).url, user="me", password=PASSWORD)


@pytest.mark.parametrize("release", MOVABLE[-1:], indirect=True)
async def test_an_account_without_room_for_the_copies_is_told_how_much_they_need(
    private_server: Callable[..., Embedded],
) -> None:
    connection = with_limits(private_server, max_mem=100 * MEGABYTE, max_file=2 * MEGABYTE)
    async with await connect(connection, timeout=5, log=Log()) as server:
        await applied(server, stream(storage="memory"))
        client = await nats.connect(connection.server, user=connection.user, password=connection.password)
        for _ in range(4):
            await put(client, "S.a", b"x" * 500_000)
        await client.close()

        why = await refusal(server, stream(storage="file"))

    assert "moving it needs up to 3907Ki of file storage for a while" in why
    assert "raise the account's limit, or make room" in why
