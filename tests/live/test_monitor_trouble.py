"""What the monitor does where something is missing: it says what, shows the rest, and goes on."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nats

from browser.watched import Watched
from embedded import nats_server
from monitor.serving import get
from natsmith.registry import Registry
from waiting import eventually

EVERYTHING = {"publish": ">", "subscribe": ">"}
SECRET = "hunter2"


@asynccontextmanager
async def watched(home: Path, extra: dict[str, Any] | None = None, **environment: str) -> AsyncIterator[Watched]:
    """Have a server for a block, and stop the monitor after it."""
    with nats_server(extra=extra) as server:
        here = Watched(server, home, environment)
        try:
            yield here
        finally:
            await here.stop()


def users(**monitor: Any) -> dict[str, Any]:
    """Return a configuration with one user who may do everything, and one who looks."""
    look = {"user": "look", "password": "look", "permissions": monitor}
    return {"authorization": {"users": [{"user": "all", "password": "all", "permissions": EVERYTHING}, look]}}


async def told(here: Watched, part: str, holds: Callable[[Any], bool]) -> Any:
    """Return the only account of a document as soon as it *holds*."""
    found: list[Any] = []

    async def seen() -> bool:
        found[:] = (await get(here.port, f"/api/{part}")).json["accounts"]
        return bool(found) and holds(found[0])

    await eventually(seen, within=20)
    return found[0]


async def apply_as(here: Watched, user: str) -> None:
    """Provision as another user than the monitor's."""
    mine, here.environment = here.environment, {"NATS_USER": user, "NATS_PASSWORD": user}
    await here.apply()
    here.environment = mine


async def test_without_a_server_it_says_so(tmp_path: Path) -> None:
    """The page and the metrics are there all the same."""
    async with watched(tmp_path) as here:
        here.server.kill()
        await here.watch("--timeout", "1")

        account = await told(here, "accounts", lambda each: "refused" in each["trouble"])
        assert (503, 200, 200) == tuple([(await get(here.port, path)).status for path in ("/readyz", "/", "/metrics")])
        assert account["limits"] == {}


async def test_with_wrong_credentials_it_says_so(tmp_path: Path) -> None:
    """And the password is nowhere."""
    async with watched(tmp_path, users(**EVERYTHING), NATS_USER="look", NATS_PASSWORD=SECRET) as here:
        await here.watch("--timeout", "2")

        account = await told(here, "accounts", lambda each: "uthoriz" in each["trouble"] or "refuse" in each["trouble"])
        assert SECRET not in str(account)


async def test_what_is_waited_for_is_said_at_once(tmp_path: Path) -> None:
    """Not only when it is given up for the first time."""
    async with watched(tmp_path, users(**EVERYTHING), NATS_USER="look", NATS_PASSWORD=SECRET) as here:
        await here.watch("--timeout", "600")

        account = await told(here, "accounts", lambda each: "refuses the user" in each["trouble"])
        assert SECRET not in str(account)


async def test_what_is_refused_again_and_again_is_said_once(tmp_path: Path) -> None:
    """It is tried every second: a log would hold nothing else."""
    rights = users(publish=["nothing"], subscribe=["_INBOX.>"])
    async with watched(tmp_path, rights, NATS_USER="look", NATS_PASSWORD="look") as here:
        await here.watch()
        await told(here, "accounts", lambda each: "$JS.API.INFO" in each["trouble"])
        await asyncio.sleep(3)  # time itself is awaited: two more tries
        assert 1 == (await said(here)).count("cannot be reached")


async def test_who_is_told_to_stop_misses_nothing(tmp_path: Path) -> None:
    """The connection that it ends itself is not lost."""
    async with watched(tmp_path) as here:
        await here.watch()
        await told(here, "accounts", lambda each: not each["trouble"])
        assert "is lost" not in await said(here)


async def said(here: Watched) -> str:
    """Stop the monitor, and return what it said."""
    process, here.process = here.process, None
    assert process
    process.terminate()
    _, error = await process.communicate()
    assert 0 == process.returncode
    return error.decode()


async def test_a_user_that_is_taken_away_is_missed_and_welcomed_back(tmp_path: Path) -> None:
    """What was seen stays meanwhile."""
    async with watched(tmp_path, users(**EVERYTHING), NATS_USER="look", NATS_PASSWORD="look") as here:
        await apply_as(here, "all")
        await here.watch("--timeout", "2")
        await told(here, "buckets", lambda each: len(each["objects"]) == 5)
        config = here.server.config.read_text()

        here.server.config.write_text(config.replace('"password": "look"', '"password": "other"'))
        here.server.signal(signal.SIGHUP)
        await told(here, "accounts", lambda each: bool(each["trouble"]))
        assert 5 == len((await told(here, "buckets", bool))["objects"])
        here.server.config.write_text(config)
        here.server.signal(signal.SIGHUP)

        await told(here, "accounts", lambda each: not each["trouble"])


async def test_without_one_api_the_rest_is_shown(tmp_path: Path) -> None:
    """What the user may not ask is named, and there is no plan that would take it for missing."""
    denied: Mapping[str, Any] = {
        "publish": {"deny": ["$JS.API.CONSUMER.LIST.>", "$JS.API.STREAM.MSG.GET.DEAD"]},
        "subscribe": {"deny": ["$JS.EVENT.ADVISORY.STREAM.>"]},
    }
    async with watched(tmp_path, users(**denied), NATS_USER="look", NATS_PASSWORD="look") as here:
        await apply_as(here, "all")
        await here.watch()

        account = await told(here, "accounts", lambda each: not each["trouble"])
        lacking = " ".join(account["lacking"])
        assert ("$JS.API.CONSUMER.LIST" in lacking, "$JS.EVENT.ADVISORY.STREAM" in lacking) == (True, True)
        assert 5 == len((await told(here, "buckets", bool))["objects"])
        assert [] == (await told(here, "consumers", bool))["consumers"]
        assert (await told(here, "plan", bool))["plan"] is None


async def test_without_jetstream_it_says_so(tmp_path: Path) -> None:
    """Nothing of it can be read."""
    async with watched(tmp_path, {"jetstream": False}) as here:
        await here.watch("--timeout", "2")

        await told(here, "accounts", lambda each: bool(each["trouble"]) and "not reached yet" not in each["trouble"])
        assert 200 == (await get(here.port, "/")).status


async def test_a_bucket_that_vanishes_is_missed_and_welcomed_back(tmp_path: Path) -> None:
    """Its instances are listed again as soon as it is there again."""
    async with watched(tmp_path) as here:
        await here.apply()
        await here.watch()
        client = await nats.connect(here.server.url)
        await told(here, "services", lambda each: not each["trouble"])

        await client.jetstream().delete_stream("KV_service_registry")
        gone = await told(here, "services", lambda each: bool(each["trouble"]))
        await told(
            here, "plan", lambda each: [one["title"] for one in each["plan"]["changes"]] == ["bucket service_registry"]
        )
        await here.apply()
        async with Registry(client) as registry, registry.instance("payments", id="one"):
            back = await told(here, "services", lambda each: len(each["instances"]) == 1)
        await client.close()

    assert ("", True) == (back["trouble"], "service_registry" in gone["trouble"])


async def test_values_are_shown_only_where_that_is_asked_for(tmp_path: Path) -> None:
    """What sessions and instances hold is in no answer, the metrics and the events included."""
    async with watched(tmp_path) as here:
        await here.apply()
        await here.watch()
        client = await nats.connect(here.server.url)
        await client.publish("$KV.sessions.one", SECRET.encode())
        async with Registry(client) as registry, registry.instance("payments", metadata={"token": SECRET}):
            await told(here, "services", lambda each: len(each["instances"]) == 1)
            parts = ("accounts", "buckets", "consumers", "services", "plan")
            answers = [(await get(here.port, path)).body for path in (*(f"/api/{each}" for each in parts), "/metrics")]
            assert not any(SECRET.encode() in each for each in answers)
            await here.stop()
            await here.watch("--show-values")
            shown = await told(here, "services", lambda each: len(each["instances"]) == 1)
        await client.close()

    assert {"token": SECRET} == shown["instances"][0]["metadata"]
