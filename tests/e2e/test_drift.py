"""A CronJob finds what somebody changed on the server, and fails so that Kubernetes sees it; or it restores it."""

from __future__ import annotations

import json
from typing import Any

from nats.aio.client import Client

from e2e.cluster import Manifest
from e2e.release import MakeRelease, Release

SESSIONS_SECONDS = 300
"""What values/dev.yaml says of the bucket `sessions`."""


def sets(mode: str) -> list[str]:
    """Return values of a release that is compared by a CronJob, which only a test runs."""
    return [
        "drift.enabled=true",
        f"drift.mode={mode}",
        # Once a year: a test does not wait for a clock.
        "drift.schedule=0 0 1 1 *",
        "nats.networkPolicy.clients[0].podSelector.matchLabels.nats=client",
    ]


def ran(dev: Release, job: str, condition: str) -> Manifest:
    """Make a Job of the CronJob, as NOTES tell it, and return how its container ended."""
    dev.namespace.kubectl("create", "job", f"--from=cronjob/{dev.fullname}-drift", job)
    dev.namespace.wait(f"job/{job}", f"condition={condition}")
    [pod] = dev.namespace.all("pods", f"batch.kubernetes.io/job-name={job}")
    found: Manifest = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    return found


async def config(client: Client) -> dict[str, Any]:
    """Return how the bucket's stream is configured."""
    answer = await client.request("$JS.API.STREAM.INFO.KV_sessions", b"", timeout=5)
    found: dict[str, Any] = json.loads(answer.data)["config"]
    return found


async def keeps_for_ever(client: Client) -> None:
    """Take the time to live away, as an application's own set-up does."""
    told = json.dumps({**await config(client), "max_age": 0}).encode()
    answer = await client.request("$JS.API.STREAM.UPDATE.KV_sessions", told, timeout=5)
    assert "error" not in json.loads(answer.data)


async def test_a_report_fails_where_something_differs_and_healing_restores_it(release: MakeRelease) -> None:
    """As long as all is as the values say a report succeeds; nothing restarts when it begins to heal."""
    dev = release()
    notes = dev.installed("dev.yaml", sets=sets("report")).out
    assert f"--from=cronjob/{dev.fullname}-drift" in notes
    assert 0 == ran(dev, "same", "complete")["exitCode"]
    servers = [each["metadata"]["uid"] for each in dev.pods("nats")]

    async with dev.client() as client:
        await keeps_for_ever(client)

        ended = ran(dev, "differs", "failed")
        assert 4 == ended["exitCode"]
        assert f"update bucket sessions: ttlSeconds 0 -> {SESSIONS_SECONDS}; drift" in ended["message"]
        assert 0 == (await config(client))["max_age"]

        # The Job of this upgrade would restore it, so it is taken away again afterwards.
        dev.installed("dev.yaml", sets=sets("heal"))
        assert servers == [each["metadata"]["uid"] for each in dev.pods("nats")]
        await keeps_for_ever(client)

        assert 0 == ran(dev, "heal", "complete")["exitCode"]
        assert SESSIONS_SECONDS * 10**9 == (await config(client))["max_age"]
    ran(dev, "again", "complete")
    assert "Nothing to do" in dev.namespace.kubectl("logs", "job/again").out


async def test_healing_fails_where_it_would_lose_something(release: MakeRelease) -> None:
    """The pod says which loss, and nothing is touched."""
    dev = release()
    dev.installed("dev.yaml", sets=[*sets("heal"), "streams.MESSAGES.maxMessages=5"])
    async with dev.client() as client:
        answer = await client.request("$JS.API.STREAM.INFO.MESSAGES", b"", timeout=5)
        told = json.dumps({**json.loads(answer.data)["config"], "max_msgs": 100}).encode()
        answer = await client.request("$JS.API.STREAM.UPDATE.MESSAGES", told, timeout=5)
        assert "error" not in json.loads(answer.data)
        for _ in range(20):
            await client.jetstream().publish("messages.ingest.orders", b"order")

        ended = ran(dev, "heal", "failed")

        assert 3 == ended["exitCode"]
        assert "provisioner.consent.MESSAGES=c-" in ended["message"]
        assert 20 == (await client.jetstream().stream_info("MESSAGES")).state.messages
