"""In a cluster users and passwords change while the server's pod stays, as soon as the kubelet has brought the files."""

from __future__ import annotations

import time

import nats
import pytest

from e2e.cluster import Manifest
from e2e.release import MakeRelease, Release


def pods(dev: Release) -> list[tuple[str, str, int]]:
    """Return what another pod, or a container that was started again, would have otherwise."""
    return sorted((each["metadata"]["uid"], *_started(each)) for each in dev.pods("nats"))


def _started(pod: Manifest) -> tuple[str, int]:
    [status] = pod["status"]["containerStatuses"]
    return status["state"]["running"]["startedAt"], status["restartCount"]


@pytest.mark.parametrize("replicas", [1, 3])
async def test_a_user_is_added_and_no_pod_restarts(release: MakeRelease, replicas: int) -> None:
    """Who is connected stays connected; the new user logs in when Helm returns. How long that took is printed."""
    dev = release()
    sets = [f"nats.replicas={replicas}", "accounts.app.users.app.nkey=", "toolbox.enabled=true"]
    dev.installed("dev.yaml", sets=sets, more=["--wait"])
    before = pods(dev)
    lost: list[str] = []

    async def note() -> None:
        lost.append("disconnected")

    with dev.namespace.forwarded(f"pod/{dev.fullname}-0", 4222) as port:
        where = f"nats://127.0.0.1:{port}"
        client = await nats.connect(where, user="app", password=dev.password("app.app"), disconnected_cb=note)
        began = time.monotonic()
        dev.installed("dev.yaml", sets=[*sets, "accounts.app.users.new.password=of-the-new-one"])
        took = time.monotonic() - began

        assert before == pods(dev)
        new = await nats.connect(where, user="new", password="of-the-new-one", allow_reconnect=False)
        await new.close()
        await client.flush()
        assert [] == lost
        await client.close()
    log = dev.namespace.kubectl("logs", f"job/{dev.fullname}-provisioner").text
    print(f"{replicas} servers: the upgrade took {took:.1f} s\n{log}")
    assert replicas == log.count("server.reloaded")

    began = time.monotonic()
    told = dev.natsmith("reload", "--connections", "/etc/natsmith/reloader.yaml", "--servers", str(replicas)).out
    assert f"{replicas} server" in told.splitlines()[-1]
    assert before == pods(dev)


async def test_another_upgrade_has_nothing_to_reload(release: MakeRelease) -> None:
    """It waits for no file, and the server is not asked."""
    dev = release()
    dev.installed("dev.yaml")
    before = pods(dev)
    dev.installed("dev.yaml", sets=["buckets.sessions.ttlSeconds=77"])

    assert before == pods(dev)
    assert "server." not in dev.namespace.kubectl("logs", f"job/{dev.fullname}-provisioner").text
