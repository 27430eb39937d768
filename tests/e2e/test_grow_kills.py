"""Growth goes on where it was killed, over TLS: what is brought is whole, and no write that was acknowledged is lost."""

from __future__ import annotations

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from e2e.certificates import trusted
from e2e.cluster import Manifest
from e2e.conftest import HELMS
from e2e.page import blocks, typed
from e2e.release import USERS, MakeRelease, Release
from e2e.test_grow import GROW, values

LARGE = 200
"""So many messages of a million bytes take seconds to bring: long enough to be met in the middle of it."""

WRITER = """
import asyncio, os, ssl
import nats

async def told(_):
    pass

async def main():
    client = await nats.connect(
        os.environ["SERVER"].replace("nats:", "tls:"), user="app", password=open("/credentials/app.app.password").read(),
        tls=ssl.create_default_context(cadata=AUTHORITY), max_reconnect_attempts=-1, reconnect_time_wait=0.1, error_cb=told,
    )
    stream = client.jetstream()
    for number in range(LARGE):
        await stream.publish("large.a", b"%d" % number + b"." * 1_000_000, timeout=10)
    print("begun", flush=True)
    written, asked = 0, asyncio.Event()

    async def stop(message):
        asked.set()
        await message.respond(b"%d" % written)

    await client.subscribe("writer.stop", cb=stop)
    while not asked.is_set():
        try:
            await stream.publish("messages.ingest.w", b"%d" % written, timeout=1)
            written += 1
        except Exception:
            pass
        # A pace, so that the stream keeps all of them.
        await asyncio.sleep(0.01)

asyncio.run(main())
"""
"""Fills the stream LARGE, then writes numbers, each again until it is acknowledged, until it is asked how many these are."""


def heard(dev: Release, pod: str, words: str) -> list[str]:
    """Follow the log of a pod until a line has these words; return the lines until then."""
    lines: list[str] = []
    command = ["kubectl", "--namespace", dev.namespace.name, "logs", "--follow", pod]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            lines.append(line)
            if words in line:
                process.terminate()
                return lines
    raise AssertionError(f"{pod} ended without {words!r}: {''.join(lines)}")


def attempt(dev: Release, seen: set[str]) -> str:
    """Return the next pod of the Job that is none of *seen*, when it runs."""
    give_up = time.monotonic() + 180
    while time.monotonic() < give_up:
        for pod in dev.pods("provisioner"):
            name = str(pod["metadata"]["name"])
            if name not in seen and pod["status"]["phase"] != "Pending":
                seen.add(name)
                return name
        # Nobody knows beforehand what a Job's pods are called, so `kubectl wait` cannot wait for one.
        time.sleep(0.1)
    raise AssertionError(f"the Job made no pod but {seen} within three minutes")


def kill(dev: Release, pod: str) -> None:
    """Kill a pod."""
    dev.namespace.kubectl("delete", "pod", pod, "--force", "--grace-period=0", "--wait=false")


async def large(dev: Release) -> Manifest:
    """Return what the stream LARGE holds."""
    async with dev.client() as client:
        state: Manifest = json.loads((await client.request("$JS.API.STREAM.INFO.LARGE", b"", timeout=10)).data)["state"]
    return {each: state[each] for each in ("messages", "bytes", "first_seq", "last_seq", "first_ts", "last_ts")}


@pytest.mark.parametrize("helm", [*HELMS, "no helm"][:1], indirect=True)
async def test_growth_goes_on_where_it_was_killed(release: MakeRelease, tmp_path: Path) -> None:
    """The Job's pod is killed while a stream comes, then the pod of the first server, from where it comes."""
    dev, files = release("grow"), values(tmp_path)
    dev = replace(dev, trusts=trusted(dev, tmp_path, "grow-tls"))
    over = {"nats": {"tls": {"existingSecret": "grow-tls"}}, "streams": {"LARGE": {"subjects": ["large.>"]}}}
    (tmp_path / "tls.json").write_text(json.dumps(over))
    files.append(str(tmp_path / "tls.json"))
    dev.installed(files)
    before = await dev.filled()
    authority = json.dumps((tmp_path / "ca.crt").read_text())
    program = WRITER.replace("AUTHORITY", authority).replace("LARGE", str(LARGE))
    dev.namespace.apply(dev.application("writer", program))
    dev.namespace.wait("pod/writer", "condition=Ready")
    heard(dev, "writer", "begun")
    stored = await large(dev)

    seen = {each["metadata"]["name"] for each in dev.pods("provisioner")}
    with ThreadPoolExecutor() as pool:
        helm = pool.submit(dev.upgrade, files, sets=GROW)
        first = attempt(dev, seen)
        heard(dev, first, "bring stream=LARGE")
        kill(dev, first)
        second = attempt(dev, seen)
        # LARGE again, or what comes after it where the first was killed a moment later.
        heard(dev, second, "bring stream=")
        # Where all has been sent it only waits for the former server; else there is a third attempt.
        kill(dev, f"{dev.fullname}-0")
        grown = helm.result()

    assert 0 == grown.code, grown.text
    last = dev.namespace.kubectl("logs", str(dev.pods("provisioner")[-1]["metadata"]["name"])).text
    assert "0 left out." in last
    assert " 0 brought before" not in last, "what came before the first kill came again"
    dev.namespace.kubectl("rollout", "status", f"statefulset/{dev.fullname}", "--timeout=120s")
    assert stored == await large(dev)
    held = await dev.held()
    assert {key: before[key] for key in USERS} == {key: held[key] for key in USERS}
    async with dev.client() as client:
        left, written = 0, int((await client.request("writer.stop", b"", timeout=10)).data)
        read = await client.jetstream().subscribe("messages.ingest.w", stream="MESSAGES", ordered_consumer=True)
        numbers: list[int] = []
        while not numbers or left:
            each = await read.next_msg(timeout=10)
            numbers, left = [*numbers, int(each.data)], each.metadata.num_pending
    assert 100 < written
    assert not set(range(written)) - set(numbers), "acknowledged, and not there"

    # The way back by hand: what the one server had, and nothing of what the three got.
    [block] = blocks("When growing failed for good")
    back = typed(dev, block, tmp_path)
    assert 0 == back.code, back.text
    assert stored == await large(dev)
    held = await dev.held()
    assert {key: before[key] for key in USERS} == {key: held[key] for key in USERS}
    assert [f"data-{dev.fullname}-0"] == [each["metadata"]["name"] for each in dev.namespace.all("pvc")]
