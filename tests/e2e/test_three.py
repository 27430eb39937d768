"""Three servers: what clients see while they are changed, what becomes of five, and what two that are gone leave."""

from __future__ import annotations

import json
from pathlib import Path

from e2e.cluster import Manifest
from e2e.page import blocks, typed
from e2e.release import MakeRelease, Release
from soak.place import VALUES, using

MOST = 5.0
"""Seconds that a writer may wait: `make soak` asks for 2, with nothing else on the machine."""


def three(release: MakeRelease, folder: Path) -> tuple[Release, str]:
    """Install three servers with the objects of a soak."""
    values = folder / "my.yaml"
    values.write_text(json.dumps(VALUES))
    made = release("three")
    made.installed(str(values))
    made.namespace.kubectl("rollout", "status", f"statefulset/{made.fullname}", "--timeout=120s")
    return made, str(values)


def identities(release: Release) -> set[str]:
    """Return who the servers' pods are: another one has another identity."""
    return {each["metadata"]["uid"] for each in release.pods("nats")}


def held(found: Manifest) -> None:
    """Judge what clients were told while something happened that nobody should notice."""
    assert ([], 0, 0) == (found["lost"], found["unseen"], found["undelivered"])
    assert not [each for each in found["counts"] if each.endswith("gave up")], found["counts"]
    assert MOST > max(found["gaps"]["writer"], found["gaps"]["publisher"]), found


def test_servers_are_changed_under_clients(release: MakeRelease, tmp_path: Path) -> None:
    """An upgrade and its rollback replace all three, each when the one before is current; no client is refused or loses a write."""
    dev, values = three(release, tmp_path)
    before = identities(dev)

    with using(dev, 256) as clients:
        dev.installed(values, sets=["nats.podLabels.tier=one"], more=["--wait"])
        up, upgraded = clients.ask("end"), identities(dev)
        clients.ask("begin")
        back = dev.run("rollback", dev.name, "1", "--wait")
        assert 0 == back.code, back.text
        down, rolled_back = clients.ask("end"), identities(dev)

    assert (3, 9) == (len(upgraded), len(before | upgraded | rolled_back)), "each change replaces every server"
    held(up)
    held(down)
    assert 0 == up["settled"], "the last one was current when Kubernetes called it ready"


def test_three_become_five_and_three_again(release: MakeRelease, tmp_path: Path) -> None:
    """No server restarts for it, everything stays, and streams can have five replicas then; the way back is the page's alone."""
    dev, values = three(release, tmp_path)
    before = identities(dev)

    with using(dev, 256) as clients:
        dev.installed(values, sets=["nats.replicas=5"], more=["--wait"])
        grown = clients.ask("end")
        dev.installed(values, sets=["nats.replicas=5", "buckets.soak.replicas=5"])
        spread = clients.ask("end")
        shrunk = dev.upgrade(values)
        five = dev.exported()["buckets"]["soak"]["replicas"], identities(dev)
        with dev.namespace.forwarded(f"pod/{dev.fullname}-0", 4222) as port:
            who = {"NATS_USER": "sys", "NATS_PASSWORD": dev.password("_SYS.sys")}
            [block] = blocks("From five servers to three")
            walked = typed(dev, block, tmp_path, {"NATS_URL": f"nats://127.0.0.1:{port}", **who})
        assert 0 == walked.code, walked.text
        dev.namespace.kubectl("rollout", "status", f"statefulset/{dev.fullname}", "--timeout=180s")
        three_again = clients.ask("end")

    held(grown)
    held(spread)
    held(three_again)
    assert (5, 5) == (five[0], len(five[1]))
    assert before < five[1], "the three did not restart"
    assert (3, 3) == (dev.exported()["buckets"]["soak"]["replicas"], len(identities(dev)))
    assert 3 == len(dev.namespace.all("pvc"))
    assert 0 != shrunk.code
    assert "nats.replicas is 3, but this release has 5 servers" in shrunk.text


async def test_passwords_are_renewed_under_clients(release: MakeRelease, tmp_path: Path) -> None:
    """A new generation restarts no server and disconnects nobody; the end of the overlap leaves the new login alone."""
    dev, values = three(release, tmp_path)
    before, old = identities(dev), dev.password("app.app")

    with using(dev, 256) as clients:
        dev.installed(values, sets=["credentials.generation=2,credentials.overlap=true"], more=["--wait"])
        begun = clients.ask("end")
    async with dev.client("app.2") as client:
        await client.jetstream().key_value("soak")
    dev.installed(values, sets=["credentials.generation=2"], more=["--wait"])

    held(begun)
    assert not [each for each in begun["counts"] if each.endswith("again")], begun["counts"]
    assert before == identities(dev)
    assert not await dev.logs_in("app", old)
    assert await dev.logs_in("app.2", dev.password("app.app.2"))


def test_without_a_quorum_nothing_is_written(release: MakeRelease, tmp_path: Path) -> None:
    """Two of three servers are gone: the provisioner says so within its time; when they are back, all is as it was."""
    dev, _ = three(release, tmp_path)
    document = dev.namespace.get("configmap", f"{dev.fullname}-desired")["data"]["desired.yaml"]
    changed = document.replace("history: 64", "history: 32")
    assert changed != document
    toolbox = ["exec", "-i", f"deploy/{dev.fullname}-toolbox", "--", "natsmith"]

    dev.namespace.kubectl("scale", f"statefulset/{dev.fullname}", "--replicas=1")
    for number in (1, 2):
        dev.namespace.wait(f"pod/{dev.fullname}-{number}", "delete")
    refused = dev.namespace.kubectl(*toolbox, "apply", "-f", "-", "--timeout", "10", stdin=changed, may_fail=True)
    dev.namespace.kubectl("scale", f"statefulset/{dev.fullname}", "--replicas=3")
    dev.namespace.kubectl("rollout", "status", f"statefulset/{dev.fullname}", "--timeout=120s")

    assert 75 == refused.code, refused.text
    assert "More than half of the cluster's servers must run" in refused.text
    assert 64 == dev.exported()["buckets"]["soak"]["history"]
    assert "0 changes, 3 unchanged" in dev.namespace.kubectl(*toolbox, "plan", "-f", "-", stdin=document).out


def test_a_broken_stream_stops_a_rolling_change_and_one_value_lets_servers_serve(
    release: MakeRelease, tmp_path: Path
) -> None:
    """No server that restarted becomes ready while a stream cannot be read on it; nats.waitForCurrent: false is the way out."""
    dev, values = three(release, tmp_path)
    for pod in dev.pods("nats"):
        store = "/data/cluster/jetstream/app/streams/EVENTS/msgs"
        dev.namespace.kubectl("exec", pod["metadata"]["name"], "-c", "nats", "--", "chmod", "0", store)
    every = "app.kubernetes.io/instance=three,app.kubernetes.io/component=nats"

    dev.namespace.kubectl("delete", "pod", "-l", every)
    stopped = dev.namespace.kubectl("wait", "pod", "-l", every, "--for=condition=Ready", "--timeout=30s", may_fail=True)
    told = dev.namespace.kubectl("get", "events", "--field-selector", "type=Warning").out
    served = dev.upgrade(values, sets=["nats.waitForCurrent=false"], more=["--no-hooks"])
    dev.namespace.kubectl("rollout", "status", f"statefulset/{dev.fullname}", "--timeout=120s")

    assert (1, 0) == (stopped.code, served.code), stopped.text + served.text
    assert "Startup probe failed: HTTP probe failed with statuscode: 503" in told
