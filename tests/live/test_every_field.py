"""Every setting in turn: set it, change it by hand, restore it, take it out of the values again."""

from __future__ import annotations

from typing import Any

import pytest

from builders import desired
from natsmith.actions.apply import apply, prepare
from natsmith.adapters import wire
from natsmith.adapters.jetstream import JetStream
from natsmith.adapters.server import Config
from natsmith.log import Log
from natsmith.model.change import Plan
from natsmith.model.fields import Field
from natsmith.model.kind import Kind
from natsmith.model.resources import BUCKET, CONSUMER, OBJECT_STORE, STREAM, stream_name

SAMPLES: dict[str, tuple[Any, Any]] = {
    "description": ("one", "two"),
    "ttlSeconds": (300, 60),
    "maxAgeSeconds": (300, 60),
    "history": (5, 7),
    "maxValue": (4096, 8192),
    "maxBytes": (2**20, 2**21),
    "maxMessages": (100, 200),
    "maxMessagesPerSubject": (5, 6),
    "maxMessageSize": (4096, 8192),
    "maxConsumers": (5, 6),
    "compression": ("s2", "none"),
    "metadata": ({"team": "a"}, {"team": "b"}),
    "placement": ({"tags": ["x"]}, {"tags": ["y"]}),
    "republish": (
        {"source": "{subject}", "destination": "out.>"},
        {"source": "{subject}", "destination": "other.>"},
    ),
    "subjectTransform": (
        {"source": "{subject}", "destination": "inner.>"},
        {"source": "{subject}", "destination": "deeper.>"},
    ),
    "subjects": (["t.>", "u"], ["t.>", "v"]),
    "retention": ("interest", "limits"),
    "discard": ("new", "old"),
    "duplicateWindowSeconds": (60, 30),
    "consumerLimits": ({"maxAckPending": 2000}, {"maxAckPending": 3000}),
    "markerSeconds": (60, 30),
    "sources": ([{"name": "origin"}], [{"name": "origin", "filterSubject": "origin"}]),
    "replicas": (1, 1),
    "filterSubjects": (["t.a"], ["t.b"]),
    "ackWaitSeconds": (5, 6),
    "maxDeliver": (5, 6),
    "backoffSeconds": ([1, 2], [2, 3]),
    "maxAckPending": (100, 200),
    "maxRequestBatch": (10, 20),
    "maxRequestBytes": (4096, 8192),
    "maxRequestExpiresSeconds": (5, 6),
    "inactiveThresholdSeconds": (3600, 7200),
    "sampleFrequency": ("10%", "20%"),
    "deliverSubject": ("push.a", "push.b"),
    "deliverGroup": ("a", "b"),
    "idleHeartbeatSeconds": (5, 6),
    "rateLimitBitsPerSecond": (100_000, 200_000),
    "priorityGroups": (["a"], ["b"]),
    "priorityPolicy": ("overflow", "pinned_client"),
    "priorityTimeoutSeconds": (60, 30),
}
"""Two values of every setting: the one that the values ask for, and the one that somebody sets by hand."""

NEEDS: dict[str, dict[str, Any]] = {
    "backoffSeconds": {"maxDeliver": 4},
    "discardNewPerSubject": {"discard": "new", "maxMessagesPerSubject": 5},
    "deliverGroup": {"deliverSubject": "push"},
    "flowControl": {"deliverSubject": "push", "idleHeartbeatSeconds": 5},
    "idleHeartbeatSeconds": {"deliverSubject": "push"},
    "rateLimitBitsPerSecond": {"deliverSubject": "push"},
    "priorityGroups": {"priorityPolicy": "overflow"},
    "priorityPolicy": {"priorityGroups": ["a"]},
    "priorityTimeoutSeconds": {"priorityGroups": ["a"], "priorityPolicy": "pinned_client"},
}
"""What a setting cannot be without."""

ELSEWHERE = {
    "mirror": "tests/live/test_facts.py: a changed mirror is refused",
    "mirrorDirect": "only a mirror can have it",
    "sealed": "tests/planning/test_plan.py: nothing can be changed after it",
    "replicas": "needs a cluster; a single server has one value for it",
    "subjects": "a bucket's follow from its name; a stream's are below",
    "deliverSubject": "a consumer that changes between push and pull needs several settings to move at once",
}

REMOVED_WITH = {"priorityGroups": "priorityPolicy", "priorityPolicy": "priorityGroups"}


def cases() -> list[Any]:
    result = []
    for kind in (BUCKET, OBJECT_STORE, STREAM, CONSUMER):
        for field in kind.fields:
            in_place = not field.fixed or field.fixed_if
            if (
                not field.pinned
                and in_place
                and (field.name not in ELSEWHERE or (kind, field.name) == (STREAM, "subjects"))
            ):
                result.append(pytest.param(kind, field, id=f"{kind.word}-{field.name}"))
    return result


def subject(kind: Kind) -> str:
    return {"bucket": "$KV.x.>", "object store": "$O.x.C.>"}.get(kind.word, "t.>")


def sample(kind: Kind, field: Field, which: int) -> Any:
    default = (True, False) if isinstance(field.default, bool) else None
    value = (SAMPLES.get(field.name) or default or (None,))[which]
    if isinstance(value, dict) and "source" in value:
        return {key: text.replace("{subject}", subject(kind)) for key, text in value.items()}
    return value


def document(kind: Kind, settings: dict[str, Any]) -> dict[str, Any]:
    policy = {"provisioner": {"loss": "allow"}}
    origin = {"origin": {"subjects": ["origin"]}}
    if kind is CONSUMER:
        return {"streams": {**origin, "x": {"subjects": ["t.>"], "consumers": {"w": settings}}}, **policy}
    if kind is STREAM:
        return {"streams": {**origin, "x": {"subjects": ["t.>"], **settings}}, **policy}
    return {kind.section: {"x": settings}, **policy}


async def applied(server: JetStream, doc: dict[str, Any]) -> Plan:
    outcome = await apply(server, desired(doc), account="app", owner="local", log=Log(), timeout=5)
    assert outcome.complete, outcome.failed
    return outcome.plan


async def planned(server: JetStream, doc: dict[str, Any]) -> Plan:
    plan, _ = await prepare(server, desired(doc), account="app", owner="local")
    return plan


def told(plan: Plan) -> list[tuple[str, str]]:
    return [(each.path, each.reason) for change in plan.changes for each in change.differences]


async def by_hand(server: JetStream, kind: Kind, settings: dict[str, Any]) -> None:
    """Change the object as somebody without natsmith would: its metadata stays."""
    wanted = next(
        each for each in desired(document(kind, settings)).resources if each.name in {"x", "w"} and each.kind is kind
    )
    if kind is CONSUMER:
        (info,) = await server.consumers("x")
        await server.put_consumer("x", changed(wire.encode(wanted, "local", info.config), info.config), verb="update")
    else:
        stream = await server.stream(stream_name(kind, "x"))
        assert stream is not None
        await server.update_stream(changed(wire.encode(wanted, "local", stream.config), stream.config))


def changed(config: Config, before: Config) -> Config:
    ours = {key: text for key, text in before["metadata"].items() if key.startswith("natsmith.")}
    return {**config, "metadata": {**config["metadata"], **ours}}


@pytest.mark.parametrize(("kind", "field"), cases())
async def test_a_setting_is_made_held_and_taken_back(server: JetStream, kind: Kind, field: Field) -> None:
    """Drift is seen and restored; taken out of the values it returns to its default, latches excepted."""
    account = await server.account()
    if field.level > account.level or field.refuses(None, None, account.level):
        pytest.skip(f"nats-server {account.version} does not have it")  # the other versions go through it
    needs = NEEDS.get(field.name, {})
    mine, theirs = sample(kind, field, 0), sample(kind, field, 1)
    wanted = document(kind, {**needs, field.name: mine})

    await applied(server, wanted)
    assert [] == told(await planned(server, wanted))

    if not field.latch:
        await by_hand(server, kind, {**needs, field.name: theirs})
        assert (field.name, "drift") in told(await planned(server, wanted))
        await applied(server, wanted)
        assert [] == told(await planned(server, wanted))

    kept = {name: value for name, value in needs.items() if name != REMOVED_WITH.get(field.name)}
    # What cannot be taken back in place is made anew.
    anew = {"provisioner": {"onImmutable": "move"}} if field.refuses(mine, field.default, account.level) else {}
    without = {**document(kind, kept), **anew}
    plan = await applied(server, without)
    assert field.latch or (field.name, "values changed") in told(plan)
    assert [] == told(await planned(server, without))


def test_every_setting_has_samples() -> None:
    """A new field needs two values here, or a reason above."""
    names = {
        field.name for kind in (BUCKET, OBJECT_STORE, STREAM, CONSUMER) for field in kind.fields if not field.pinned
    }
    flags = {
        field.name
        for kind in (BUCKET, OBJECT_STORE, STREAM, CONSUMER)
        for field in kind.fields
        if isinstance(field.default, bool)
    }
    fixed = {field.name for kind in (STREAM, CONSUMER) for field in kind.fields if field.fixed and not field.fixed_if}

    assert set() == names - set(SAMPLES) - flags - fixed - set(ELSEWHERE)
