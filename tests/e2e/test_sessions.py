"""Row D: a workflow engine's NATS, with ports on every node; what people do with it is in the header of its values."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import socket
import subprocess
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Any

import nats
import pytest

from e2e.cluster import Manifest, Ran, run
from e2e.release import ROOT, MakeRelease, Release, images

NODE = os.environ.get("NODE_ADDRESS", "127.0.0.1")
CLIENT, MONITOR = 30422, 30822
GIB = 2**30


@pytest.fixture(scope="module")
def ports() -> Iterator[IO[bytes]]:
    """Give a file that stands for the ports: they are there once in a cluster, whichever workers run the tests."""
    with (Path(tempfile.gettempdir()) / f"natsmith-e2e-{CLIENT}-{MONITOR}").open("ab") as file:
        yield file


@pytest.fixture
def engine(release: MakeRelease, ports: IO[bytes]) -> Iterator[Release]:
    """Give the release that values/sessions.yaml names, when nobody has its ports any more."""
    fcntl.flock(ports, fcntl.LOCK_EX)
    try:
        for each in json.loads(run(["kubectl", "get", "services", "-A", "-o", "json"]).out)["items"]:
            if {CLIENT, MONITOR} & {port.get("nodePort") for port in each["spec"]["ports"]}:
                # That of the test before, whose namespace is being deleted.
                space, name = each["metadata"]["namespace"], each["metadata"]["name"]
                gone = ["kubectl", "wait", "-n", space, f"service/{name}", "--for=delete", "--timeout=60s"]
                assert run(gone).code == 0, f"{space}/{name} has the ports {CLIENT} and {MONITOR}"
        yield release("nats")
    finally:
        fcntl.flock(ports, fcntl.LOCK_UN)


def documented() -> dict[str, str]:
    """Return the commands of the file's header by their remarks, which stand in one column; the first has none."""
    lines = (ROOT / "values" / "sessions.yaml").read_text().splitlines()
    shown = [line.removeprefix("#   ") for line in lines if line.startswith("#   ")]
    column = shown[1].index("deployed?")
    return {line[column:].strip() or "deploy": line[:column].strip() for line in shown}


@pytest.fixture
def typed(engine: Release, helm: str, tmp_path: Path) -> Callable[[str], list[str]]:
    """Give a function that makes a documented command one for this test: its namespace, its Helm, its node."""
    config = tmp_path / "kubeconfig"
    config.write_text(run(["kubectl", "config", "view", "--raw", "--minify"]).out)
    context = ["config", "set-context", "--current", f"--namespace={engine.namespace.name}"]
    assert 0 == run(["kubectl", "--kubeconfig", str(config), *context]).code

    def words(command: str) -> list[str]:
        found = shlex.split(command.replace("127.0.0.1", NODE))
        if found[0] == "helm":
            found = [helm, *found[1:], *images()]
        return ["env", f"KUBECONFIG={config}", *found]

    return words


def ran(words: list[str]) -> Ran:
    """Run a command in the repository, where a reader is; it must succeed."""
    done = run(["env", "-C", str(ROOT), *words])
    assert done.code == 0, f"{words}: {done.text}"
    return done


def monitored(path: str) -> Any:
    """Ask the monitoring port of the node."""
    with urllib.request.urlopen(f"http://{NODE}:{MONITOR}{path}", timeout=10) as answer:
        return json.load(answer)


def test_each_action_is_one_documented_command(engine: Release, typed: Callable[[str], list[str]]) -> None:
    """Deploy, status, toolbox, health, streams, logs and port-forward, as the file's own header says."""
    commands = documented()
    asked = (
        "deploy",
        "deployed?",
        "what is provisioned?",
        "healthy?",
        "which streams?",
        "what does it say?",
        "from a laptop",
    )
    assert list(asked) == list(commands)
    deploy, status, toolbox, health, streams, logs, forward = (commands[each] for each in asked)

    assert "create bucket sessions: ttlSeconds 300" in ran(typed(deploy)).text
    assert "complete" in ran(typed(status)).out
    engine.namespace.wait(f"deployment/{engine.fullname}-toolbox", "condition=Available")
    assert "bucket sessions" in ran(typed(toolbox)).out
    assert {"status": "ok"} == json.loads(ran(typed(health)).out)
    (account,) = json.loads(ran(typed(streams)).out)["account_details"]
    assert "NOETL" == account["name"]
    assert "KV_sessions" in {each["name"] for each in account["stream_detail"]}
    assert "Server is ready" in ran(typed(logs)).text

    # The laptop of the test may have a server of its own at that port: any free one.
    assert forward.endswith(" 4222:4222")
    anywhere = typed(forward.replace("4222:4222", ":4222"))
    with subprocess.Popen(anywhere, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            found = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
            assert found
            with closing(socket.create_connection(("127.0.0.1", int(found[1])), timeout=10)) as connection:
                assert connection.recv(4) == b"INFO"
        finally:
            process.terminate()


async def test_the_node_has_what_the_row_asks_for(engine: Release) -> None:
    """Ports, account, limits, bucket, volume and resources; the toolbox runs what needs a place to run."""
    notes = engine.installed("sessions.yaml").out
    name, space = engine.fullname, engine.namespace

    assert "nats-natsmith-0" == monitored("/varz")["server_name"]
    assert {"status": "ok"} == monitored("/healthz")
    found: Manifest = monitored("/jsz?acc=NOETL&streams=true&config=true")
    assert (GIB, 5 * GIB) == (found["config"]["max_memory"], found["config"]["max_storage"])
    assert Path("/data/jetstream") in Path(found["config"]["store_dir"]).parents
    buckets = {each["name"]: each["config"] for each in found["account_details"][0]["stream_detail"]}
    assert 300 * 10**9 == buckets["KV_sessions"]["max_age"]

    client = await nats.connect(f"nats://{NODE}:{CLIENT}", user="noetl", password="noetl", allow_reconnect=False)
    try:
        bucket = await client.jetstream().key_value("sessions")
        await bucket.put("alice", b"token")
        assert b"token" == (await bucket.get("alice")).value
    finally:
        await client.close()

    claim = space.get("pvc", f"data-{name}-0")
    assert ("Bound", "5Gi") == (claim["status"]["phase"], claim["status"]["capacity"]["storage"])
    (container,) = space.get("pod", f"{name}-0")["spec"]["containers"]
    assert {"cpu": "200m", "memory": "200Mi"} == container["resources"]["requests"] == container["resources"]["limits"]

    space.wait(f"deployment/{name}-toolbox", "condition=Available")
    look = re.search(r"Look at what is there:\n\n  (.*)\n", notes)
    assert look
    shown = ran(shlex.split(look[1])).out
    assert "sessions" in shown
    assert "Account NOETL" in shown
