"""Each right that a move needs is asked for before anything is changed; without one the subject to grant is named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import nats
import pytest

from builders import desired
from embedded import Embedded, nats_server
from moving import MOVABLE, WITHOUT_MARKERS, applied, configurations, put, stream
from natsmith.actions.apply import apply
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import connect
from natsmith.errors import NatsmithError
from natsmith.log import Log
from versions import binary

PASSWORD = "pw"
PUBLISH = [
    *(f"$JS.API.STREAM.{verb}.*" for verb in ("INFO", "CREATE", "UPDATE", "DELETE", "PURGE", "MSG.DELETE")),
    *(f"$JS.API.CONSUMER.{verb}.*" for verb in ("LIST", "CREATE", "CREATE.*", "DELETE.*", "PAUSE.*", "RESET.*")),
    *("$JS.API.DIRECT.GET.*", "$JS.API.DIRECT.GET.*.>", "_natsmith.park.*", "$JSC.R.*"),
]
SUBSCRIBE = ["$JS.API.DIRECT.GET.*", "$JS.API.DIRECT.GET.*.>", "_natsmith.api.CONSUMER.CREATE.*"]
RIGHTS = [*(("publish", each) for each in PUBLISH), *(("subscribe", each) for each in SUBSCRIBE)]
SINCE_2_14 = "$JS.API.CONSUMER.RESET.*.*"


def account(number: int, how: str, subject: str) -> dict[str, Any]:
    """Return an account with an owner, and one who lacks a right."""
    lacking = {how: {"deny": [subject]}}
    users = [
        {"user": f"owner-{number}", "password": PASSWORD},
        {"user": f"lacking-{number}", "password": PASSWORD, "permissions": lacking},
    ]
    return {"jetstream": "enabled", "users": users}


@pytest.fixture(scope="module", params=[MOVABLE[0], MOVABLE[-1]])
def embedded(request: pytest.FixtureRequest) -> Iterator[tuple[str, Embedded]]:
    """Run the oldest and the newest server, each with an account for each right that is missing."""
    accounts = {f"A{number}": account(number, *right) for number, right in enumerate(RIGHTS)}
    with nats_server(binary(request.param), {"accounts": accounts}) as server:
        yield request.param, server


@pytest.mark.parametrize(("how", "subject"), RIGHTS)
async def test_a_right_that_is_missing_is_named_before_anything_is_changed(
    embedded: tuple[str, Embedded], how: str, subject: str
) -> None:
    version, running = embedded
    if subject == SINCE_2_14 and version in WITHOUT_MARKERS:
        pytest.skip("a server before 2.14 has nothing that it would be good for")
    number = RIGHTS.index((how, subject))
    wanted = stream(storage="file", allowDirect=True, consumers={"c": {}})
    owner = Connection(server=running.url, user=f"owner-{number}", password=PASSWORD)
    lacking = Connection(server=running.url, user=f"lacking-{number}", password=PASSWORD)
    async with await connect(owner, timeout=5, log=Log()) as boss:
        await applied(boss, stream(storage="memory", allowDirect=True, consumers={"c": {}}))
        client = await nats.connect(owner.server, user=owner.user, password=owner.password)
        await put(client, "S.a")
        await client.close()
        before = await configurations(boss)
        consumers = [each.config for each in await boss.consumers("S")]

        why = ""
        try:
            async with await connect(lacking, timeout=2, log=Log()) as server:
                outcome = await apply(server, desired(wanted), account="app", owner="local", log=Log(), timeout=1)
            why = "\n".join(text for _, text in outcome.failed)
        except NatsmithError as error:
            why = str(error)

        assert before == await configurations(boss)
        assert consumers == [each.config for each in await boss.consumers("S")]
        named = subject.removesuffix(".>").rstrip("*.")
        assert named.lower() in why.lower()
        assert "grant" in why
        # Given the right, the same command does it: nothing is in its way, not even the lock.
        await applied(boss, wanted)
