"""What cannot change in place moves in an upgrade while a pod writes, and a rollback moves it back or says how."""

from __future__ import annotations

import json

from e2e.cluster import Manifest
from e2e.release import MakeRelease, Release
from waiting import eventually

DESIRED = "/etc/natsmith/desired.yaml"
KEYS = 20
MANY = 220_000
"""So many entries may take longer to move than a Job has whose deadline is the shortest."""

WRITER = """
import asyncio, json, os, nats

async def main():
    password = open("/credentials/app.app.password").read().strip()
    client = await nats.connect(os.environ["SERVER"], user="app", password=password)
    stop = await client.subscribe("stop")
    number = 0
    while stop.pending_msgs == 0:
        number += 1
        key = f"k{number % KEYS}"
        while True:
            try:
                answer = await client.request(f"$KV.sessions.{key}", str(number).encode(), timeout=2)
                ack = json.loads(answer.data)
                break
            except Exception as error:  # sent again, as an application would
                print(json.dumps({"refused": repr(error)}), flush=True)
                await asyncio.sleep(0.001)
        print(json.dumps({"key": key, "number": number, **ack}), flush=True)
    await (await stop.next_msg()).respond(b"")
    await client.drain()

asyncio.run(main())
"""
"""Writes until it is told to stop, and logs every acknowledgement."""


def sets(storage: str) -> list[str]:
    """Return the values of one revision."""
    return [f"buckets.sessions.storage={storage}", "provisioner.onImmutable=move"]


async def stopped(release: Release) -> list[Manifest]:
    """Tell the writer to stop, and return what it was acknowledged, in order."""
    async with release.client() as client:
        await client.request("stop", timeout=10)
    release.namespace.wait("pod/writer", "jsonpath={.status.phase}=Succeeded")
    lines = [json.loads(line) for line in release.namespace.kubectl("logs", "writer").out.splitlines()]
    return [line for line in lines if "seq" in line]


async def config(release: Release, stream: str = "KV_sessions") -> Manifest:
    """Return a stream's configuration."""
    async with release.client() as client:
        answer: Manifest = json.loads((await client.request(f"$JS.API.STREAM.INFO.{stream}", timeout=10)).data)
    found: Manifest = answer["config"]
    return found


async def kept(release: Release) -> dict[str, tuple[int, int]]:
    """Return the revision and the value of each key."""
    async with release.client() as client:
        bucket = await client.jetstream().key_value("sessions")
        entries = [await bucket.get(f"k{number}") for number in range(KEYS)]
    return {each.key: (each.revision or 0, int(each.value or b"0")) for each in entries}


async def test_an_upgrade_and_a_rollback_move_a_bucket_under_a_writer(release: MakeRelease) -> None:
    """From memory to file and back: nothing that the pod was acknowledged is lost, and no revision comes twice."""
    dev = release()
    dev.installed("dev.yaml", sets=sets("memory"))
    dev.namespace.apply(dev.application("writer", WRITER.replace("KEYS", str(KEYS))))
    dev.namespace.wait("pod/writer", "condition=Ready")

    upgraded = dev.installed("dev.yaml", sets=sets("file"))
    assert "move bucket sessions: storage memory -> file" in upgraded.text
    assert "file" == (await config(dev))["storage"]

    rolled_back = dev.run("rollback", dev.name, "1", "--wait-for-jobs", "--wait")
    assert 0 == rolled_back.code, rolled_back.text
    assert "memory" == (await config(dev))["storage"]

    acknowledged = await stopped(dev)
    sequences = [each["seq"] for each in acknowledged]
    assert len(acknowledged) > 100
    assert sorted(set(sequences)) == sequences
    newest = {each["key"]: (each["seq"], each["number"]) for each in acknowledged}
    assert newest == {key: entry for key, entry in (await kept(dev)).items() if key in newest}
    assert "0 changes" in dev.natsmith("plan", "-f", DESIRED).out


async def test_a_rollback_that_may_not_move_says_how(release: MakeRelease) -> None:
    """The older values know of no move: the rollback fails and prints what to set; that moves it back."""
    dev = release()
    dev.installed("dev.yaml", sets=["buckets.sessions.storage=memory"])
    refused = dev.upgrade("dev.yaml", sets=["buckets.sessions.storage=file"])
    assert 0 != refused.code
    assert "set buckets.sessions.onImmutable: move to keep entries" in dev.outcome()["problems"][0]

    dev.installed("dev.yaml", sets=["buckets.sessions.storage=file", "buckets.sessions.onImmutable=move"])
    back = dev.run("rollback", dev.name, "1", "--wait-for-jobs")
    assert 0 != back.code
    assert "file" == (await config(dev))["storage"]


async def test_a_move_that_does_not_fit_into_the_hook_is_run_outside_of_it(release: MakeRelease) -> None:
    """Refused before anything is changed; the toolbox, which has the new values, does it, and the upgrade follows."""
    dev = release()
    dev.installed("dev.yaml", sets=sets("memory"))
    async with dev.client() as client:
        for number in range(MANY):
            await client.publish(f"$KV.sessions.n{number}", b"x")
        await client.flush()

    refused = dev.upgrade(
        "dev.yaml", sets=[*sets("file"), "provisioner.deadlineSeconds=60", "provisioner.backoffLimit=0"]
    )
    assert 0 != refused.code
    assert "provisioner.deadlineSeconds" in dev.outcome()["problems"][0]
    assert "memory" == (await config(dev))["storage"]

    async def there() -> bool:
        return "move bucket sessions" in dev.natsmith("plan", "-f", DESIRED, may_fail=True).out

    await eventually(there, within=150)  # a kubelet brings changed ConfigMaps to pods once a minute
    dev.natsmith("apply", "-f", DESIRED)
    assert "file" == (await config(dev))["storage"]
    assert "Nothing to do" in dev.installed("dev.yaml", sets=sets("file")).text
