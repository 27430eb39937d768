"""The monitor's API on a real server: every document is what OpenAPI says, with something in each part of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import nats
from jsonschema import Draft202012Validator

from browser.watched import VALUES, Watched, changed
from embedded import nats_server
from monitor.serving import get
from natsmith.registry import Registry
from waiting import eventually


async def test_the_answers_are_what_the_document_says(tmp_path: Path) -> None:
    """Instances, leaders, who went, a dead letter with its value, a run, and a plan that has something to do."""
    with nats_server() as server:
        here = Watched(server, tmp_path)
        await here.apply()
        await here.watch("--show-values", values=changed(VALUES, ["buckets", "sessions", "ttlSeconds"], 60))
        client = await nats.connect(server.url)
        await client.publish("$KV.service_registry.odd.one", b"not JSON")
        stream = client.jetstream()
        await stream.publish("messages.one", b"a letter")
        worker = await stream.pull_subscribe_bind("workers", "MESSAGES")
        (message,) = await worker.fetch(1)
        await message.term()
        async with Registry(client) as registry, registry.leadership("scheduler", id="me"):
            async with registry.instance("payments", id="old"):
                await eventually(partial(_holds, here, "services", "payments"), within=20)
            async with registry.instance("payments", id="one", metadata={"port": 1}):
                for part, text in (("services", '"old"'), ("services", '"me"'), ("services", "odd.one")):
                    await eventually(partial(_holds, here, part, text), within=20)
                await eventually(partial(_holds, here, "consumers", "a letter"), within=20)
                await eventually(partial(_holds, here, "plan", "ttlSeconds"), within=20)

                document = (await get(here.port, "/api/openapi.json")).json
                for path, said in document["paths"].items():
                    content = said["get"]["responses"]["200"]["content"]
                    if "application/json" in content:
                        answer = (await get(here.port, path)).json
                        Draft202012Validator(content["application/json"]["schema"]).validate(answer)
        await client.close()
        assert 0 == await here.stop()


async def test_the_plan_is_that_of_who_is_named(tmp_path: Path) -> None:
    """As with the other verbs: what belongs to somebody else waits for a decision."""
    with nats_server() as server:
        here = Watched(server, tmp_path)
        await here.apply()
        await here.watch("--owner", "somebody/else", values={"buckets": {"sessions": {"ttlSeconds": 60}}})
        await eventually(partial(_holds, here, "plan", "this run is somebody/else"), within=20)
        assert 0 == await here.stop()


async def test_nobody_tells_the_time_where_there_is_no_registry(tmp_path: Path) -> None:
    """It is the server's: that of the machine which watches would be another one."""
    with nats_server() as server:
        here = Watched(server, tmp_path)
        await here.apply({"buckets": {"sessions": {"ttlSeconds": 60}}})
        await here.watch()
        await eventually(partial(_holds, here, "services", "there is no"), within=20)
        (account,) = (await get(here.port, "/api/services")).json["accounts"]
        assert (None, []) == (account["now"], account["instances"])
        assert 0 == await here.stop()


async def _holds(here: Watched, part: str, text: str) -> bool:
    return text in (await get(here.port, f"/api/{part}")).body.decode()
