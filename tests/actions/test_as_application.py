"""A bucket's use to an application: a canary goes in, comes back, and nothing of it is left."""

from __future__ import annotations

from typing import Any

import pytest

from builders import desired
from memory import MemoryServer
from natsmith.actions.as_application import prove_use, usable
from natsmith.actions.observe import observe
from natsmith.errors import DecisionNeeded
from natsmith.model.outcome import Proof

BUCKET = {"name": "KV_b", "subjects": ["$KV.b.>"], "max_msgs_per_subject": 1, "allow_rollup_hdrs": True}
SLOW_READS = 3


class App:
    """An application on a server in memory."""

    def __init__(self, server: MemoryServer) -> None:
        self.server = server
        self.reads: list[bool] = []
        """Whether each read was direct."""

        self.behind = 0
        """How many reads an answering replica does not know of the put yet."""

        self.may_put = self.may_get = True
        self.answers: bytes | None = None
        """What it gets instead of what it put."""

    @property
    def who(self) -> str:
        return "app"

    async def put(self, bucket: str, key: str, value: bytes) -> None:
        if not self.may_put:
            raise DecisionNeeded("user app may not publish")
        await self.server.publish(f"$KV.{bucket}.{key}", value)

    async def get(self, bucket: str, key: str, *, direct: bool) -> bytes | None:
        self.reads.append(direct)
        if not self.may_get:
            raise DecisionNeeded("user app may not ask")
        if len(self.reads) <= self.behind:
            return None
        message = await self.server.last(f"KV_{bucket}", f"$KV.{bucket}.{key}")
        return self.answers or (message.payload if message else None)


@pytest.fixture
def server() -> MemoryServer:
    return MemoryServer()


@pytest.fixture
def app(server: MemoryServer) -> App:
    return App(server)


async def proof(server: MemoryServer, app: App, **config: Any) -> Proof:
    """Return what is found about a bucket of *config* that already has one entry."""
    await server.create_stream({**BUCKET, **config})
    await server.publish("$KV.b.k", b"v")
    observed = await observe(server, desired({}), account="app")
    (found,) = await prove_use(server, app, usable(desired({"buckets": {"b": {}}}).resources, observed))
    assert ("bucket b", "as an application") == (found.title, found.how)
    assert {"$KV.b.k": 1} == await server.subject_counts("KV_b")
    return found


@pytest.mark.parametrize("direct", [True, False])
async def test_what_is_put_is_got(server: MemoryServer, app: App, direct: bool) -> None:
    """By a direct get where the bucket has it, as client libraries do."""
    found = await proof(server, app, allow_direct=direct)

    assert "holds" == found.result
    assert found.text.startswith("app put a canary and got it back in ")
    assert [direct] == app.reads


async def test_a_bucket_of_small_values_takes_a_small_canary(server: MemoryServer, app: App) -> None:
    assert "holds" == (await proof(server, app, max_msg_size=1)).result


async def test_a_replica_that_is_behind_is_asked_again(server: MemoryServer, app: App) -> None:
    app.behind = SLOW_READS

    assert "holds" == (await proof(server, app, allow_direct=True)).result
    assert SLOW_READS + 1 == len(app.reads)


async def test_a_leader_is_never_behind(server: MemoryServer, app: App) -> None:
    app.behind = SLOW_READS

    found = await proof(server, app)
    assert ("fails", "app put a canary and got nothing back") == (found.result, found.text)
    assert 1 == len(app.reads)


@pytest.mark.parametrize(
    ("right", "text"),
    [
        ("may_put", "app could not put a canary: user app may not publish"),
        ("may_get", "app could not get back the canary that it put: user app may not ask"),
    ],
)
async def test_a_missing_right_is_told(server: MemoryServer, app: App, right: str, text: str) -> None:
    setattr(app, right, False)

    found = await proof(server, app)
    assert ("fails", text) == (found.result, found.text)


async def test_another_value_is_no_proof(server: MemoryServer, app: App) -> None:
    app.answers = b"another"

    assert "app put a canary and got another value back" == (await proof(server, app)).text


async def test_a_full_bucket_that_takes_nothing_more_fails(server: MemoryServer, app: App) -> None:
    found = await proof(server, app, max_msgs=1, discard="new")

    assert "fails" == found.result
    assert found.text.startswith("app could not put a canary: maximum messages exceeded")


@pytest.mark.parametrize("limit", [{"max_msgs": 1}, {"max_bytes": 500}], ids=str)
async def test_a_canary_pushes_nothing_out(server: MemoryServer, app: App, limit: dict[str, int]) -> None:
    """Where the oldest entry gives way to the newest, a full bucket is left alone."""
    found = await proof(server, app, discard="old", **limit)

    assert ("not observed", "it is full, and a canary would push its oldest entry out") == (found.result, found.text)
    assert [] == app.reads


async def test_a_canary_that_could_not_be_removed_is_not_put(server: MemoryServer, app: App) -> None:
    found = await proof(server, app, deny_purge=True, allow_rollup_hdrs=False)

    assert "not observed" == found.result


async def test_nothing_is_put_into_a_sealed_bucket(server: MemoryServer, app: App) -> None:
    info = await server.create_stream(BUCKET)
    await server.update_stream({**info.config, "sealed": True})
    observed = await observe(server, desired({}), account="app")

    (found,) = await prove_use(server, app, usable(desired({"buckets": {"b": {}}}).resources, observed))
    assert ("not observed", "it is sealed, so nobody puts anything into it") == (found.result, found.text)


@pytest.mark.parametrize("copies", [{"mirror": {"name": "KV_b"}}, {"sources": [{"name": "KV_b"}]}], ids=str)
async def test_a_bucket_that_another_stream_copies_is_left_alone(
    server: MemoryServer, app: App, copies: dict[str, Any]
) -> None:
    """A mirror keeps what is purged at its origin."""
    await server.create_stream({"name": "KV_m", **copies, "max_msgs_per_subject": 1})

    found = await proof(server, app)
    assert ("not observed", "stream KV_m copies it, and a canary would stay there") == (found.result, found.text)


async def test_a_canary_that_went_to_another_account_is_told(server: MemoryServer) -> None:
    """The bucket of that name there would look as good as ours."""
    elsewhere = MemoryServer()
    await elsewhere.create_stream(BUCKET)

    found = await proof(server, App(elsewhere))

    assert "fails" == found.result
    assert "app put a canary that never came here: it belongs to another account" == found.text


async def test_a_canary_that_stays_is_told_by_its_key(server: MemoryServer, app: App) -> None:
    await server.create_stream(BUCKET)
    observed = await observe(server, desired({}), account="app")
    server.deny.add("STREAM.PURGE")

    (found,) = await prove_use(server, app, usable(desired({"buckets": {"b": {}}}).resources, observed))

    (subject,) = await server.subject_counts("KV_b")
    assert "fails" == found.result
    assert f"but the key {subject.removeprefix('$KV.b.')} could not be removed: user test may not" in found.text


async def test_mirrors_and_what_is_not_there_are_left_out(server: MemoryServer) -> None:
    """Nobody writes to a mirror; what is missing is told by the plan."""
    await server.create_stream({"name": "KV_m", "mirror": {"name": "KV_b"}, "max_msgs_per_subject": 1})
    await server.create_stream({"name": "S", "subjects": ["s"]})
    wanted = desired(
        {"buckets": {"m": {"config": {"mirror": {"name": "KV_b"}}}, "b": {}}, "streams": {"S": {"subjects": ["s"]}}}
    )
    observed = await observe(server, wanted, account="app")

    assert [] == usable(wanted.resources, observed)
