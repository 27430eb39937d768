"""Faults: whatever dies, the release converges, and what was acknowledged stays."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from e2e.cluster import Manifest, run
from e2e.release import MakeRelease, Release

MANY = 2000
"""So many buckets take seconds to make: long enough to be met in the middle of it."""

SOME = 100
"""So many are made before something dies."""

FORCE = ("--force", "--grace-period=0", "--wait=false")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Write values with many buckets."""
    path: Path = tmp_path_factory.mktemp("values") / "many.yaml"
    path.write_text(json.dumps({"buckets": {f"b{number:04}": {"ttlSeconds": 600} for number in range(MANY)}}))
    return str(path)


@contextmanager
def met_in_the_middle(dev: Release, many: str) -> Iterator[list[int]]:
    """Upgrade to many buckets; the block runs when some of them are there, and the list then gets Helm's exit code."""
    ended: list[int] = []
    with dev.namespace.forwarded(f"pod/{dev.fullname}-0", 8222) as port, ThreadPoolExecutor() as pool:
        helm = pool.submit(dev.upgrade, ["dev.yaml", many])
        give_up = time.monotonic() + 60
        while _streams(port) < SOME:
            assert time.monotonic() < give_up, "no bucket was made within a minute"
            # The server does not tell when streams appear, and they come within a second.
            time.sleep(0.02)
        yield ended
        ran = helm.result()
        print(ran.err)
        ended.append(ran.code)


def _streams(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/jsz", timeout=5) as answer:
        return int(json.load(answer)["streams"])


def replaced(dev: Release, pod: Manifest) -> None:
    """Return when the first server is another pod than *pod*, and ready."""
    name, give_up = pod["metadata"]["name"], time.monotonic() + 60
    while [pod["metadata"]["uid"]] == [each["metadata"]["uid"] for each in dev.pods("nats")]:
        assert time.monotonic() < give_up, f"{name} is still the same pod"
        # `kubectl wait` looks at one pod, and fails between the old and the new one of that name.
        time.sleep(0.2)
    dev.namespace.kubectl("rollout", "status", f"statefulset/{dev.fullname}", "--timeout=120s")
    dev.namespace.wait(f"pod/{name}", "condition=Ready")


def followed(dev: Release, job: Manifest) -> None:
    """Return when there is another Job than *job*."""
    give_up = time.monotonic() + 60
    while not {each["metadata"]["uid"] for each in dev.jobs()} - {job["metadata"]["uid"]}:
        assert time.monotonic() < give_up, "the upgrade made no Job of its own"
        # Between the two Jobs of that name there is none, and `kubectl wait` fails then.
        time.sleep(0.1)


def buckets(dev: Release) -> int:
    """Return how many buckets of `many` are there, as the values say."""
    found = dev.exported()["buckets"]
    return sum(found.get(f"b{number:04}", {}).get("ttlSeconds") == 600 for number in range(MANY))


async def test_the_server_is_killed_while_it_is_provisioned(release: MakeRelease, many: str) -> None:
    """The Job waits for the next one and goes on by itself; the upgrade succeeds."""
    dev = release()
    dev.installed("dev.yaml")
    before, password = await dev.filled(), dev.password("app.app")
    [server] = dev.pods("nats")

    with met_in_the_middle(dev, many) as ended:
        dev.namespace.kubectl("delete", "pod", server["metadata"]["name"], *FORCE)
    replaced(dev, server)

    first = json.loads(dev.pods("provisioner")[0]["status"]["containerStatuses"][0]["state"]["terminated"]["message"])
    assert (1, "stopped halfway") == (first["exitCode"], first["result"])
    assert ([0], "deployed", MANY) == (ended, dev.status, buckets(dev))
    assert (before, password) == (await dev.held(), dev.password("app.app"))


async def test_the_pod_of_the_job_is_killed(release: MakeRelease, many: str) -> None:
    """The next pod goes on when the lock of the killed one has run out; the upgrade succeeds."""
    dev = release()
    dev.installed("dev.yaml")
    before, password = await dev.filled(), dev.password("app.app")

    with met_in_the_middle(dev, many) as ended:
        dev.namespace.kubectl("delete", "pod", dev.pods("provisioner")[-1]["metadata"]["name"], *FORCE)

    assert ([0], "deployed", MANY) == (ended, dev.status, buckets(dev))
    assert 0 < dev.outcome()["changes"] < MANY, "the first pod was killed in the middle of its work"
    assert (before, password) == (await dev.held(), dev.password("app.app"))


async def test_the_job_is_deleted(release: MakeRelease) -> None:
    """An upgrade does not miss the last Job; it makes its own."""
    dev = release()
    dev.installed("dev.yaml")
    before, password = await dev.filled(), dev.password("app.app")

    dev.namespace.kubectl("delete", "job", f"{dev.fullname}-provisioner")
    dev.installed("dev.yaml", sets=["buckets.sessions.ttlSeconds=600"])

    assert ("deployed", 600) == (dev.status, dev.exported()["buckets"]["sessions"]["ttlSeconds"])
    assert (before, password) == (await dev.held(), dev.password("app.app"))


async def test_the_job_is_deleted_while_it_runs(release: MakeRelease) -> None:
    """Helm 4 says that it is gone, Helm 3 takes it for done; nothing was changed, and the next upgrade heals."""
    dev = release()
    dev.installed("dev.yaml")
    before, password = await dev.filled(), dev.password("app.app")
    [former] = dev.jobs()
    shorter = "buckets.sessions.ttlSeconds=200"

    with ThreadPoolExecutor() as pool:
        # No node is like that, so the Job runs until somebody ends it.
        held_up = [shorter, "provisioner.nodeSelector.no=where", "toolbox.enabled=false"]
        helm = pool.submit(dev.upgrade, "dev.yaml", sets=held_up, more=["--timeout", "20s"])
        followed(dev, former)
        dev.namespace.kubectl("delete", "job", f"{dev.fullname}-provisioner")
        ran = helm.result()

    major = run([dev.helm, "version", "--template", "{{.Version}}"]).out.lstrip("v")[0]
    assert {"3": (True, "deployed"), "4": (False, "failed")}[major] == (ran.code == 0, dev.status)
    async with dev.client() as client:
        assert 300 == (await (await client.jetstream().key_value("sessions")).status()).ttl
    dev.installed("dev.yaml", sets=[shorter])
    assert ("deployed", 200) == (dev.status, dev.exported()["buckets"]["sessions"]["ttlSeconds"])
    assert (before, password) == (await dev.held(), dev.password("app.app"))


async def test_the_server_is_restarted(release: MakeRelease) -> None:
    """Everything is there again afterwards, and the next upgrade neither changes nor restarts anything."""
    dev = release()
    dev.installed("dev.yaml")
    before, password = await dev.filled(), dev.password("app.app")
    [server] = dev.pods("nats")

    dev.namespace.kubectl("rollout", "restart", f"statefulset/{dev.fullname}")
    replaced(dev, server)
    restarted = dev.pods("nats")[0]["metadata"]["uid"]
    held = await dev.held()
    dev.installed("dev.yaml")

    assert (before, password) == (held, dev.password("app.app"))
    assert (0, 6) == (dev.outcome()["changes"], dev.outcome()["unchanged"])
    assert restarted == dev.pods("nats")[0]["metadata"]["uid"]
