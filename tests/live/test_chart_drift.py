"""What the CronJob runs that compares or heals: an application's change is found, restored, and never at the price of data."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from chart import render
from cli import Natsmith
from installed import Installed, arguments, drift_of
from natsmith.actions import lease
from natsmith.adapters.connections_file import from_file
from natsmith.adapters.jetstream import connect
from natsmith.log import Log
from natsmith.model.outcome import Holder

Install = Callable[..., Installed]

OBJECTS: dict[str, Any] = {
    "buckets": {"sessions": {"ttlSeconds": 300}},
    "streams": {"ORDERS": {"subjects": ["orders.>"], "maxMessages": 5}},
}


@pytest.fixture
def running(install: Install, tmp_path: Path) -> Callable[..., Installed]:
    """Install one server with a bucket and a stream, which a CronJob looks after."""

    def one(mode: str, **more: Any) -> Installed:
        file = tmp_path / "values.yaml"
        file.write_text(json.dumps({**OBJECTS, "drift": {"enabled": True, "mode": mode}, **more}))
        return install(file)

    return one


@asynccontextmanager
async def application(release: Installed) -> AsyncIterator[Client]:
    """Connect as the application, which may do everything in its account."""
    client = await release.connect("app")
    try:
        yield client
    finally:
        await client.close()


async def changed(client: Client, stream: str, **settings: Any) -> None:
    """Change a stream by hand, and leave the rest of it as it is."""
    config = json.loads((await client.request(f"$JS.API.STREAM.INFO.{stream}", b"", timeout=5)).data)["config"]
    answer = await client.request(
        f"$JS.API.STREAM.UPDATE.{stream}", json.dumps({**config, **settings}).encode(), timeout=5
    )
    assert "error" not in json.loads(answer.data)


async def setting(client: Client, stream: str, name: str) -> Any:
    """Return one setting of a stream."""
    return json.loads((await client.request(f"$JS.API.STREAM.INFO.{stream}", b"", timeout=5)).data)["config"][name]


def at_once(process: asyncio.subprocess.Process) -> asyncio.Future[tuple[bytes, bytes]]:
    """Return what a run prints when it ends."""
    return asyncio.ensure_future(asyncio.wait_for(process.communicate(), timeout=60))


async def started(release: Installed, pod: dict[str, Any]) -> asyncio.subprocess.Process:
    """Start what a pod runs."""
    natsmith: Natsmith = release.natsmith()
    return await natsmith.start(*arguments(pod, natsmith.home))


async def test_a_report_finds_what_somebody_changed_and_changes_nothing(running: Callable[..., Installed]) -> None:
    """Its exit code is what Kubernetes and alerts see."""
    release = running("report")
    assert 4 == (await release.drift()).code, "before the first Job nothing is there"
    assert 0 == (await release.job()).code
    assert 0 == (await release.drift()).code

    async with application(release) as client:
        await changed(client, "KV_sessions", max_age=0)
        found = await release.drift()

        assert 4 == found.code
        assert "update bucket sessions: ttlSeconds 0 -> 300; drift" in found.stdout
        assert 0 == await setting(client, "KV_sessions", "max_age")


async def test_healing_restores_it_and_the_next_run_has_nothing_to_do(running: Callable[..., Installed]) -> None:
    """Also an object that was deleted."""
    release = running("heal")
    assert 0 == (await release.job()).code

    async with application(release) as client:
        await changed(client, "KV_sessions", max_age=0)
        await client.jetstream().delete_stream("ORDERS")
        healed = await release.drift()

        assert 0 == healed.code, healed.text
        assert "2 changes applied" in healed.last
        assert 300 * 10**9 == await setting(client, "KV_sessions", "max_age")
        assert 5 == await setting(client, "ORDERS", "max_msgs")
    assert (await release.drift()).last.startswith("Nothing to do")


@pytest.mark.parametrize("loss", ["expire", "allow"])
async def test_healing_loses_no_message(running: Callable[..., Installed], loss: str) -> None:
    """A limit that was raised by hand and used is told, and not lowered over what is there; the rest waits too."""
    release = running("heal", provisioner={"loss": loss})
    assert 0 == (await release.job()).code

    async with application(release) as client:
        await changed(client, "ORDERS", max_msgs=100)
        await changed(client, "KV_sessions", max_age=0)
        for _ in range(20):
            await client.jetstream().publish("orders.new", b"x")
        refused = await release.drift()

        assert 3 == refused.code
        assert "repeat the upgrade with --set provisioner.consent.ORDERS=c-" in refused.text
        assert 20 == (await client.jetstream().stream_info("ORDERS")).state.messages
        assert 0 == await setting(client, "KV_sessions", "max_age")


async def test_healing_takes_no_consent_that_is_left_in_the_values(
    running: Callable[..., Installed], tmp_path: Path
) -> None:
    """The very word that a person's run would take."""
    release = running("heal")
    assert 0 == (await release.job()).code

    async with application(release) as client:
        await changed(client, "ORDERS", max_msgs=100)
        for _ in range(20):
            await client.jetstream().publish("orders.new", b"x")
        word = (await release.drift()).text.partition("provisioner.consent.ORDERS=")[2].split(";")[0].strip()
        consenting = tmp_path / "consent.yaml"
        values = json.loads((tmp_path / "values.yaml").read_text())
        consenting.write_text(json.dumps({**values, "provisioner": {"consent": {"ORDERS": word}}}))
        desired = render([consenting]).one("ConfigMap", "-desired")["data"]["desired.yaml"]
        natsmith = release.natsmith()
        natsmith.write("desired.yaml", desired)

        assert word in desired
        assert 3 == (await natsmith(*arguments(drift_of(release.rendered), natsmith.home))).code
        assert 20 == (await client.jetstream().stream_info("ORDERS")).state.messages
        # Another file than the pod's, but the very same words without the two that a clock says in addition.
        assert 0 == (await natsmith("apply", "-f", "desired.yaml")).code
        assert 5 == (await client.jetstream().stream_info("ORDERS")).state.messages


async def test_healing_waits_for_whoever_holds_the_lock(running: Callable[..., Installed]) -> None:
    """The Job of an upgrade, or a person: it says for whom it waits, and goes on when they are done."""
    release = running("heal")
    assert 0 == (await release.job()).code
    async with application(release) as client:
        await changed(client, "KV_sessions", max_age=0)
        [connection] = from_file(release.natsmith().home / "connections.yaml").values()
        other = Holder(owner="default/dev", who="the Job", since="2026-01-01T00:00:00Z")
        async with await connect(connection, timeout=10, log=Log()) as server:
            async with lease.held(server, other, log=Log(), timeout=5):
                process = await started(release, drift_of(release.rendered))
                assert process.stderr
                line = await asyncio.wait_for(process.stderr.readline(), timeout=30)

                assert b"lock.waiting" in line
                assert b"the Job" in line
                assert 0 == await setting(client, "KV_sessions", "max_age")
            stdout, _ = await at_once(process)

        assert 0 == process.returncode
        assert b"1 change applied" in stdout
        assert 300 * 10**9 == await setting(client, "KV_sessions", "max_age")


async def test_healing_and_a_job_that_moves_do_not_disturb_each_other(
    running: Callable[..., Installed], tmp_path: Path
) -> None:
    """Both begin at once: one moves, the other waits and finds nothing to do, and every entry is there once."""
    release = running("heal", provisioner={"onImmutable": "move"})
    assert 0 == (await release.job()).code

    async with application(release) as client:
        bucket = await client.jetstream().key_value("sessions")
        for number in range(200):
            await bucket.put(f"k{number}", b"x")
        values = json.loads((tmp_path / "values.yaml").read_text())
        values["buckets"]["sessions"]["storage"] = "memory"
        (tmp_path / "values.yaml").write_text(json.dumps(values))
        desired = render([tmp_path / "values.yaml"]).one("ConfigMap", "-desired")["data"]["desired.yaml"]
        natsmith = release.natsmith()
        natsmith.write("desired.yaml", desired)
        job = release.rendered.one("Job")["spec"]["template"]["spec"]
        runs = [await natsmith.start(*arguments(pod, natsmith.home)) for pod in (job, drift_of(release.rendered))]
        ends = await asyncio.gather(*(at_once(each) for each in runs))

        assert [0, 0] == [each.returncode for each in runs], ends
        assert "memory" == await setting(client, "KV_sessions", "storage")
        assert 200 == (await client.jetstream().stream_info("KV_sessions")).state.messages


async def test_healing_begins_no_move_that_may_outlast_its_pod(running: Callable[..., Installed]) -> None:
    """It says which setting gives it more time."""
    release = running("heal", provisioner={"onImmutable": "move"}, drift={"enabled": True, "mode": "heal"})
    assert 0 == (await release.job()).code
    natsmith = release.natsmith()
    words = arguments(drift_of(release.rendered), natsmith.home)
    words[words.index("--within") + 1] = "1"

    refused = await natsmith(*words, "--set", "buckets.sessions.storage=memory")
    assert 3 == refused.code
    assert "on a clock with drift.deadlineSeconds: " in refused.text
