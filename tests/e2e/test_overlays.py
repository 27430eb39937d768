"""One release per environment: its own values file, and what only one place needs on top."""

from __future__ import annotations

import json
import ssl
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.certificates import trusted
from e2e.cluster import Manifest, run
from e2e.release import ROOT, MakeRelease, Release

SMALL = {
    "nats": {"resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": None}},
    "buckets": {"sessions": {"ttlSeconds": 600}},
}
"""Production on one node of a test: three servers there ask for less; one field of one object is another one."""


@pytest.fixture
def overlay(tmp_path: Path) -> Callable[[Manifest], str]:
    """Give a function that writes a values file."""

    def write(values: Manifest) -> str:
        path = tmp_path / "overlay.yaml"
        path.write_text(json.dumps(values))
        return str(path)

    return write


def prepared(production: Release, folder: Path) -> ssl.SSLContext:
    """Make the two Secrets that values/production.yaml asks for; return what a client trusts."""
    context = trusted(production, folder, "prod-tls")
    natsmith = str(Path(sys.executable).parent / "natsmith")
    words = ["credentials", "-f", str(ROOT / "values" / "production.yaml"), "--name", "prod-users"]
    words += ["--release", production.name, "--namespace", production.namespace.name]
    made = run([natsmith, *words])
    assert made.code == 0, made.err
    production.namespace.kubectl("apply", "-f", "-", stdin=made.out)
    return context


async def test_an_overlay_changes_one_field(release: MakeRelease, overlay: Callable[[Manifest], str]) -> None:
    """Maps merge by name: what the overlay does not name stays, and without it everything is as before."""
    dev = release()
    dev.installed("dev.yaml")
    before = await dev.filled()
    longer = overlay({"buckets": {"sessions": {"ttlSeconds": 600}}, "streams": {"MESSAGES": {"maxAgeSeconds": 7200}}})

    up = dev.installed(["dev.yaml", longer])
    back = dev.installed("dev.yaml")

    for ran, sessions, messages in ((up, "300 -> 600", "3600 -> 7200"), (back, "600 -> 300", "7200 -> 3600")):
        assert f"update bucket sessions: ttlSeconds {sessions}" in ran.text
        assert f"update stream MESSAGES: maxAgeSeconds {messages}" in ran.text
        assert "2 changes applied" in ran.text
    assert before == await dev.held()


async def test_servers_that_store_something_do_not_become_others(
    release: MakeRelease, overlay: Callable[[Manifest], str]
) -> None:
    """A cluster would delete what one server stored, and volumes do not change: refused before anything is touched."""
    dev = release()
    dev.installed("dev.yaml")
    before = await dev.filled()

    ran = dev.upgrade(["dev.yaml", overlay({"nats": {"replicas": 3, "jetstream": {"storage": {"size": "20Gi"}}}})])

    assert 0 != ran.code
    assert (
        "nats.replicas is 3, but this release has one server, and a cluster deletes what one server stored" in ran.text
    )
    assert "nats.jetstream.storage.size is 20Gi, but the volumes of this release were made with 1Gi" in ran.text
    assert before == await dev.held()
    dev.installed("dev.yaml")


async def test_production_is_three_servers_with_tls(
    release: MakeRelease, overlay: Callable[[Manifest], str], tmp_path: Path
) -> None:
    """Every object of development, on three servers that form a cluster, with what the overlay changes; `helm test` is green."""
    production = release("prod")
    context = prepared(production, tmp_path)

    small = overlay(SMALL)
    ran = production.installed(["production.yaml", small])

    assert "create bucket sessions: ttlSeconds 600, replicas 3" in ran.text
    assert f"tls://{production.fullname}.{production.namespace.name}.svc:4222" in ran.out
    production.namespace.kubectl("rollout", "status", f"statefulset/{production.fullname}", "--timeout=60s")
    async with production.client(secret="prod-users", tls=context) as client:
        stream = client.jetstream()
        for name in ("KV_sessions", "KV_service_registry", "MESSAGES", "MESSAGES_workers_dead", "OBJ_files"):
            info = await stream.stream_info(name)
            assert info.cluster
            assert (3, 2) == (info.config.num_replicas, len(info.cluster.replicas or []))
        bucket = await stream.key_value("sessions")
        await bucket.put("alice", b"token")
        assert b"token" == (await bucket.get("alice")).value

    with production.namespace.forwarded(f"svc/{production.fullname}", 8222) as port:
        routes = run(["curl", "-sS", f"http://127.0.0.1:{port}/routez"]).out
    found = json.loads(routes)
    assert {f"{production.fullname}-{number}" for number in range(3)} == {
        found["server_name"],
        *(each["remote_name"] for each in found["routes"]),
    }
    shrunk = production.upgrade(["production.yaml", small], sets=["nats.replicas=1"])
    assert "nats.replicas is 1, but this release has a cluster, and one server does not read" in shrunk.text
    tested = production.run("test", production.name, "--logs")
    assert 0 == tested.code, tested.text
    assert "holds bucket sessions: a canary" in tested.text
