"""The users of the chart's monitor look and write nothing: the server says so, and without a right the page says which."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import nats
import nats.aio.client
import pytest
import yaml

from builders import desired
from embedded import Embedded, nats_server
from granting import ALLOWED, INBOX, VALUES
from natsmith.actions.apply import apply
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import connect
from natsmith.log import Log
from registering import api, connected
from seeing import Monitor, monitoring
from versions import VERSIONS, binary
from waiting import Eventually

PASSWORD = "pw"
ALL = ""
"""Stands for the monitor that lacks nothing."""

VALUES_ACCOUNT = "app"
"""The account of values that name none; the server calls it otherwise."""

TO_HEAR = "subscribe to "
RIGHTS = [*ALLOWED["publish"]["allow"], *(TO_HEAR + each for each in ALLOWED["subscribe"]["allow"])]
QUIET = ("CONSUMER.DELETE", "$JS.FC", "$SYS.REQ.USER.INFO")
"""What is not missed at once: the server cleans up by itself, a large bucket alone needs the flow control of
tests/live/test_registry_rights.py, and without the last a connection to another account than was meant is not found out."""

SPOKEN = [each for each in RIGHTS if not any(quiet in each for quiet in QUIET)]


def number(missing: str) -> str:
    """Return the account whose monitor lacks a right."""
    return f"A{[ALL, *RIGHTS].index(missing)}"


def account(name: str, missing: str) -> dict[str, Any]:
    """Return an account of its own, with a monitor without one right and somebody who may do everything."""
    may = {
        "publish": {"allow": [each for each in ALLOWED["publish"]["allow"] if each != missing]},
        "subscribe": {"allow": [each for each in ALLOWED["subscribe"]["allow"] if TO_HEAR + each != missing]},
    }
    users = [
        {"user": f"monitor-{name}", "password": PASSWORD, "permissions": may},
        {"user": f"all-{name}", "password": PASSWORD},
    ]
    return {"jetstream": "enabled", "users": users}


@pytest.fixture(scope="module")
def embedded() -> Iterator[Embedded]:
    """Run one server with an account for each right that is missing."""
    accounts = {number(missing): account(number(missing), missing) for missing in (ALL, *RIGHTS)}
    with nats_server(binary(VERSIONS[-1]), {"accounts": accounts}) as server:
        yield server


def everything(url: str, name: str) -> Connection:
    """Return the connection of who may do everything in an account."""
    return Connection(server=url, user=f"all-{name}", password=PASSWORD)


async def filled(url: str, name: str) -> None:
    """Have in an account what a monitor shows: objects, a run, an instance, a leader, a dead letter."""
    whole = everything(url, name)
    async with await connect(whole, timeout=10, log=Log()) as server:
        wanted = desired(VALUES)
        await apply(server, wanted, account=VALUES_ACCOUNT, owner="local", log=Log(), timeout=10, lease_seconds=30)
    client = await connected(whole)
    beat = b'{"v":1,"status":"healthy","ttl":600,"metadata":{}}'
    letter = {"type": "io.nats.jetstream.advisory.v1.max_deliver", "stream": "S", "consumer": "w", "stream_seq": 1}
    for subject, payload in (
        ("$KV.service_registry.payments.a", beat),
        ("$KV.elections.payments", b'{"id":"a","ttl":600}'),
        ("$KV.sessions.user", b"secret"),
        ("s.1", b"message"),
        ("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.S.w", json.dumps({**letter, "timestamp": "now"}).encode()),
    ):
        await client.jetstream().publish(subject, payload)
    await client.close()


@pytest.fixture
async def seen(embedded: Embedded, tmp_path: Path, eventually: Eventually) -> AsyncIterator[Monitor]:
    """Run one monitor that looks at every account."""
    names = [number(missing) for missing in (ALL, *RIGHTS)]
    for each in names:
        await filled(embedded.url, each)
    ways = {name: {"user": f"monitor-{name}", "password": PASSWORD, "inboxPrefix": INBOX} for name in names}
    file = tmp_path / "connections.yaml"
    file.write_text(yaml.safe_dump({"server": embedded.url, "accounts": ways}))
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump({"accounts": {name: {} for name in names}}))
    async with monitoring(tmp_path, "-f", str(values), "--connections", str(file)) as monitor:

        async def complete() -> bool:
            accounts, services = await monitor.api("accounts"), await monitor.api("services")
            begun = [json.dumps(each) for each in (*accounts.values(), *services.values())]
            # Two of them cannot even connect: who may not ask JetStream how it is, and who may hear no answer.
            return len(services) >= len(names) - 2 and not any(
                "reached yet" in each or "read yet" in each for each in begun
            )

        await eventually(complete, within=30)
        yield monitor


async def test_each_right_is_needed_and_its_lack_is_told(seen: Monitor) -> None:
    """Who has all of them sees everything; who lacks one is told which, beside all that is seen without it."""
    accounts, services = await seen.api("accounts"), await seen.api("services")
    objects, consumers = await seen.api("buckets"), await seen.api("consumers")

    def told(missing: str) -> str:
        name = number(missing)
        about = accounts[name], services.get(name, {})
        said = about[0]["trouble"], about[0]["lacking"], about[1].get("trouble"), about[1].get("lacking")
        return json.dumps(said).lower()

    def shown(name: str) -> list[object]:
        return [
            accounts[name]["trouble"],
            accounts[name]["lacking"],
            len(objects[name]["objects"]) > 3,
            [each["name"] for each in consumers[name]["consumers"]],
            [each["reason"] for each in consumers[name]["letters"]],
            (accounts[name]["last"] or {}).get("result"),
            [each["key"] for each in services[name]["instances"]],
            [each["group"] for each in services[name]["leaders"]],
        ]

    whole = ["", [], True, ["w"], ["delivered as often as it may be"], "done", ["payments.a"], ["payments"]]
    assert whole == shown(number(ALL))
    assert {} == {
        each: told(each) for each in SPOKEN if each.removeprefix(TO_HEAR).rstrip(">*.").lower() not in told(each)
    }


REFUSED = {
    "put": ("$KV.sessions.user", b"x"),
    "put where it reads": ("$KV.service_registry.payments.a", b"x"),
    "delete": ("$KV.sessions.user", b""),
    "publish": ("s.1", b"x"),
    "say that a message was given up": ("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.S.w", b"{}"),
    "create a stream": ("$JS.API.STREAM.CREATE.NEW", b'{"name":"NEW","subjects":["new"]}'),
    "change a stream": ("$JS.API.STREAM.UPDATE.S", b'{"name":"S","subjects":["t"]}'),
    "delete a stream": ("$JS.API.STREAM.DELETE.S", b""),
    "purge": ("$JS.API.STREAM.PURGE.KV_sessions", b"{}"),
    "delete a message": ("$JS.API.STREAM.MSG.DELETE.S", b'{"seq":1}'),
    "delete a consumer": ("$JS.API.CONSUMER.DELETE.S.w", b""),
    "make a consumer": ("$JS.API.CONSUMER.CREATE.S.x", b'{"stream_name":"S","config":{"ack_policy":"none"}}'),
    "take a worker's message": ("$JS.API.CONSUMER.MSG.NEXT.S.w", b"1"),
    "pause a consumer": ("$JS.API.CONSUMER.PAUSE.S.w", b"{}"),
    "step a leader down": ("$JS.API.STREAM.LEADER.STEPDOWN.S", b""),
    "read a message": ("$JS.API.STREAM.MSG.GET.S", b'{"seq":1}'),
    "read a session": ("$JS.API.STREAM.MSG.GET.KV_sessions", b'{"last_by_subj":"$KV.sessions.user"}'),
    "read a session directly": ("$JS.API.DIRECT.GET.KV_sessions.$KV.sessions.user", b""),
}


async def monitors(url: str, refusals: asyncio.Queue[str]) -> nats.aio.client.Client:
    """Connect as the monitor that lacks nothing; what the server refuses is noted."""

    async def note(error: Exception) -> None:
        refusals.put_nowait(str(error).lower())

    return await nats.connect(
        url,
        user=f"monitor-{number(ALL)}",
        password=PASSWORD,
        inbox_prefix=INBOX.encode(),
        error_cb=note,
        allow_reconnect=False,
    )


async def told(refusals: asyncio.Queue[str]) -> str:
    """Return what the server refused; the client tells it a moment later."""
    async with asyncio.timeout(5):
        return await refusals.get()


async def held(client: nats.aio.client.Client) -> object:
    """Return all that an account has, but for when it was asked."""
    found = await api(client, "STREAM.LIST")
    consumers = await api(client, "CONSUMER.LIST.S")
    return [
        *((each["config"], each["state"]) for each in found["streams"]),
        *((each["config"], each["delivered"], each["num_pending"]) for each in consumers["consumers"]),
    ]


@pytest.mark.parametrize("what", REFUSED)
async def test_the_server_refuses(embedded: Embedded, what: str) -> None:
    """Whoever has the monitor's password cannot do this with it, and nothing changes."""
    await filled(embedded.url, number(ALL))
    owner = await connected(everything(embedded.url, number(ALL)))
    before = await held(owner)
    refusals: asyncio.Queue[str] = asyncio.Queue()
    client = await monitors(embedded.url, refusals)
    subject, payload = REFUSED[what]

    await client.publish(subject, payload, reply=f"{INBOX}.answer")
    await client.flush()

    assert f'nats: permissions violation for publish to "{subject.lower()}"' == await told(refusals)
    assert before == await held(owner)
    await client.close()
    await owner.close()


@pytest.mark.parametrize("subject", ["$KV.>", "s.>", "_INBOX.>", ">", "$JS.API.>"])
async def test_the_server_lets_it_hear_nothing_else(embedded: Embedded, subject: str) -> None:
    """Neither what applications write nor what they are answered."""
    refusals: asyncio.Queue[str] = asyncio.Queue()
    client = await monitors(embedded.url, refusals)

    await client.subscribe(subject)
    await client.flush()

    assert f'nats: permissions violation for subscription to "{subject.lower()}"' == await told(refusals)
    await client.close()


async def test_the_server_sends_an_answer_where_a_question_says(embedded: Embedded) -> None:
    """What permissions of NATS do not keep, and SECURITY.md says so: an answer of JetStream's, stored as an entry.

    When a server refuses this one day, that page has a sentence too many.
    """
    await filled(embedded.url, number(ALL))
    owner = await connected(everything(embedded.url, number(ALL)))
    client = await monitors(embedded.url, asyncio.Queue())

    await client.publish("$JS.API.INFO", b"", reply="$KV.sessions.forged")
    await client.flush()

    async with asyncio.timeout(5):
        while True:
            asked = {"last_by_subj": "$KV.sessions.forged"}
            answer = json.loads(
                (await owner.request("$JS.API.STREAM.MSG.GET.KV_sessions", json.dumps(asked).encode())).data
            )
            if "message" in answer:
                break
    assert "account_info_response" in base64.b64decode(answer["message"]["data"]).decode()
    await client.close()
    await owner.close()
