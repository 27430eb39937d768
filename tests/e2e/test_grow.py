"""One server becomes three: all that it stored is there, on three replicas, and no way back serves what is old."""

from __future__ import annotations

import json
from pathlib import Path

from e2e.page import blocks, typed
from e2e.release import USERS, MakeRelease, Release

SMALL = {"requests": {"cpu": "50m", "memory": "64Mi"}}
THREE = ["nats.replicas=3", "buckets.sessions.replicas=3", "streams.MESSAGES.replicas=3"]
GROW = [*THREE, "nats.grow.fromOne=true"]


def values(folder: Path) -> list[str]:
    """Write what is laid over values/dev.yaml."""
    over = {"nats": {"resources": SMALL}, "toolbox": {"enabled": True}, "drift": {"enabled": True}}
    over["buckets"] = {"sessions": {"ttlSeconds": 3600}}
    (folder / "over.json").write_text(json.dumps(over))
    return ["dev.yaml", str(folder / "over.json")]


NEW = "buckets: {new: {ttlSeconds: 60}}"


async def positions(release: Release) -> dict[str, tuple[int, int, int]]:
    """Return where the consumers of MESSAGES are."""
    async with release.client() as client:
        answer = await client.request("$JS.API.CONSUMER.LIST.MESSAGES", b"", timeout=10)
        return {
            each["name"]: (each["delivered"]["stream_seq"], each["ack_floor"]["stream_seq"], each["num_pending"])
            for each in json.loads(answer.data)["consumers"]
        }


async def test_one_server_becomes_three(release: MakeRelease, tmp_path: Path) -> None:
    """The whole way: refused without the word, brought with it, held when a pod dies, ended, and no rollback to one server."""
    dev, files = release("grow"), values(tmp_path)
    dev.installed(files)
    before = await dev.filled()
    async with dev.client() as client:
        [consumer, *_] = await client.jetstream().consumers_info("MESSAGES")
        pulled = await client.jetstream().pull_subscribe_bind(consumer.name, stream="MESSAGES")
        for each in await pulled.fetch(5, timeout=10):
            await each.ack_sync()
    stood = await positions(dev)

    refused = dev.upgrade(files, sets=THREE)
    assert 0 != refused.code
    assert "Set nats.grow.fromOne: true" in refused.text

    grown = dev.installed(files, sets=GROW)
    assert "brought" in grown.text
    assert before == await dev.held()
    assert stood == await positions(dev)
    assert dev.namespace.get("cronjob", f"{dev.fullname}-drift")["spec"]["suspend"] is True
    replicas = dev.exported()
    assert (3, 3) == (replicas["buckets"]["sessions"]["replicas"], replicas["streams"]["MESSAGES"]["replicas"])
    dev.namespace.kubectl("rollout", "status", f"statefulset/{dev.fullname}", "--timeout=120s")

    # Where the former server is, a provisioner may read, and an application not even that.
    former = f"nats://{dev.fullname}-0.{dev.fullname}-headless.{dev.namespace.name}.svc:4223"
    # Not the file in the pod, which becomes what was installed some time later: three replicas are refused for another reason.
    applied = dev.natsmith("apply", "-f", "-", "--server", former, stdin=NEW, may_fail=True)
    assert 3 == applied.code, applied.text
    assert "may not publish on" in applied.text
    looked = dev.natsmith(
        "status", "--connections", "/etc/natsmith/applications.yaml", "--server", former, may_fail=True
    )
    assert 0 != looked.code
    assert "assword" in looked.text or "uthoriz" in looked.text, looked.text

    ended = dev.installed(files, sets=THREE, more=["--wait"])
    assert "0 changes applied" in ended.text or "unchanged" in ended.text
    containers = [one["name"] for pod in dev.pods("nats") for one in pod["spec"]["containers"]]
    assert ["nats"] * 3 == containers
    [_, remove] = blocks("From one server to three")
    removed = typed(dev, remove, tmp_path)
    assert 0 == removed.code, removed.text
    assert "former" not in dev.namespace.kubectl("exec", f"{dev.fullname}-0", "-c", "nats", "--", "ls", "/data").text
    dev.namespace.kubectl("delete", "pod", f"{dev.fullname}-0", "--wait=true")
    dev.namespace.kubectl("rollout", "status", f"statefulset/{dev.fullname}", "--timeout=120s")
    assert before == await dev.held()

    # Helm asks no template when it goes back: the one server does not start, and says why.
    back = dev.run("rollback", dev.name, "1", "--timeout", "60s")
    assert 0 != back.code
    log = dev.namespace.kubectl("logs", f"{dev.fullname}-0", "-c", "nats", may_fail=True).text
    log += dev.namespace.kubectl("logs", f"{dev.fullname}-0", "-c", "nats", "--previous", may_fail=True).text
    assert "not a directory" in log, log
    dev.run("rollback", dev.name, "3", "--timeout", "180s")
    dev.namespace.kubectl("rollout", "status", f"statefulset/{dev.fullname}", "--timeout=180s")
    assert {key: before[key] for key in USERS} == {
        key: each for key, each in (await dev.held()).items() if key in USERS
    }
