"""Where a soak happens: a release of three servers in a namespace of its own, its clients, and hands on its nodes."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from e2e.cluster import Manifest, Namespace, namespace, run
from e2e.release import Release
from natsmith.views.secret import routes_file

HERE = Path(__file__).parent
KUBELET = 180.0
"""Seconds that the kubelet may take to bring a changed Secret to the pods."""

ROUTES = "routes"
VALUES = {
    "accounts": {"app": {"users": {"app": {}}}},
    "toolbox": {"enabled": True},
    "nats": {
        "replicas": 3,
        "jetstream": {"memory": "64Mi", "storage": {"size": "2Gi"}},
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
    },
    # Each key is put once; its history is for tries whose answer was lost.
    "buckets": {"soak": {"history": 64, "replicas": 3}},
    "streams": {
        "EVENTS": {"subjects": ["soak.events"], "maxBytes": "512Mi", "replicas": 3, "consumers": {"workers": {}}}
    },
}


@dataclass(frozen=True)
class Clients:
    """The program client.py, which runs in a pod and is asked by lines."""

    process: subprocess.Popen[str]

    def ask(self, line: str) -> Any:
        """Ask, and return the answer."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"the clients ended at {line!r}: {self._errors()}"
        return json.loads(answer)

    def _errors(self) -> str:
        stream: IO[str] | None = self.process.stderr
        return stream.read()[-2000:] if stream else ""


@dataclass(frozen=True)
class Place:
    """A release with its clients."""

    release: Release
    chart: Path
    values: str
    clients: Clients
    hands: Namespace
    sets: list[str]
    """What every upgrade says, so that none takes back what an earlier one began."""

    fill: int
    """Mebibytes that a server with an empty volume has to get from the others."""

    def upgrade(self, *sets: str, image: str) -> None:
        """Let Helm change the release, and wait until its servers are what they should be."""
        ran = self.release.upgrade(self.values, chart=self.chart, sets=[*self.sets, *sets], more=named(image))
        assert ran.code == 0, ran.text
        self.rolled_out()

    def loaded(self, file: str, holds: str) -> None:
        """Return when the kubelet has brought a file with some content to every server, and all have loaded it."""
        names = [each["metadata"]["name"] for each in self.release.pods("nats")]
        until = time.monotonic() + KUBELET
        while not all(holds in self.release.namespace.kubectl("exec", each, "--", "cat", file).out for each in names):
            assert time.monotonic() < until, f"{file} was not brought to all of {names} within {KUBELET:g} s"
            # Nothing announces that a mounted file has changed; the time above bounds the loop.
            time.sleep(2)
        self.release.natsmith("reload", "--connections", "/etc/natsmith/reloader.yaml", "--servers", str(len(names)))

    def rolled_out(self) -> None:
        """Return when Kubernetes says that all servers are new and ready."""
        words = ("rollout", "status", f"statefulset/{self.release.fullname}", "--timeout=600s")
        self.release.namespace.kubectl(*words)

    def keep(self, folder: Path, name: str) -> None:
        """Keep what each server wrote since it began, and what kept Kubernetes busy, in files of this name."""
        folder.mkdir(parents=True, exist_ok=True)
        for each in self.release.pods("nats"):
            pod = each["metadata"]["name"]
            log = self.release.namespace.kubectl("logs", pod, "-c", "nats", "--timestamps", may_fail=True)
            (folder / f"{name}-{pod}.log").write_text(log.text)
        (folder / f"{name}-namespace.log").write_text(self.release.namespace.told())

    def leader(self) -> str:
        """Return the pod that leads the bucket."""
        return str(self.clients.ask("leader"))

    def server(self, pod: str) -> Manifest:
        """Return a server's pod."""
        return self.release.namespace.get("pod", pod)

    def by_hand(self, pod: str, *words: str) -> None:
        """Do something to a server on its node: hands.py says what."""
        server = self.server(pod)
        [container] = [each for each in server["status"]["containerStatuses"] if each["name"] == "nats"]
        identity = re.sub(r"^.*//", "", container["containerID"])
        hand = f"hand-{server['spec']['nodeName']}".replace(".", "-")[:60]
        self.hands.apply(hand_of(hand, server["spec"]["nodeName"]))
        self.hands.wait(f"pod/{hand}", "condition=Ready")
        program = (HERE / "hands.py").read_text()
        self.hands.kubectl("exec", hand, "--", "python3", "-c", program, identity, *words)


def hand_of(name: str, node: str) -> Manifest:
    """Return a pod that may do anything on a node."""
    container = {
        "name": "hand",
        "image": os.environ["NATSMITH_IMAGE"],
        "command": ["python3", "-c", "import signal; signal.pause()"],
        "securityContext": {"privileged": True, "runAsUser": 0, "runAsNonRoot": False},
    }
    spec = {
        "nodeName": node,
        "hostPID": True,
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "tolerations": [{"operator": "Exists"}],
        "containers": [container],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def named(image: str) -> list[str]:
    """Return the Helm arguments for another image of the server."""
    repository, _, tag = image.rpartition(":")
    return ["--set-string", f"nats.image.repository={repository},nats.image.tag={tag}"]


def routes(password: str, fullname: str) -> Manifest:
    """Return the Secret with what three servers say to each other."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": ROUTES},
        "stringData": routes_file(fullname, 3, password),
    }


@contextmanager
def using(release: Release, size: int) -> Iterator[Clients]:
    """Begin to use a release that has the objects of VALUES, from a pod, for a block."""
    client = release.application("clients", "import signal; signal.pause()")
    client["spec"]["terminationGracePeriodSeconds"] = 0
    release.namespace.apply(client)
    release.namespace.wait("pod/clients", "condition=Ready")
    program = (HERE / "client.py").read_text()
    words = ["kubectl", "--namespace", release.namespace.name, "exec", "-i", "clients", "--"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*words, "python3", "-c", program, str(size)], text=True, stdin=pipe, stdout=pipe, stderr=pipe
    ) as process:
        try:
            clients = Clients(process)
            clients.ask("begin")
            yield clients
        finally:
            process.terminate()


@contextmanager
def placed(chart: Path, folder: Path, *, image: str, size: int, fill: int, sets: Sequence[str]) -> Iterator[Place]:
    """Install three servers and begin to use them, for a block."""
    helm = shutil.which("helm")
    assert helm, "there is no helm on PATH"
    values = folder / "soak.json"
    values.write_text(json.dumps(VALUES))
    with namespace() as space, privileged() as hands:
        release = Release(helm, space, "soak")
        release.namespace.apply(routes(secrets.token_hex(16), release.fullname))
        sets = [f"nats.cluster.existingSecret={ROUTES}", *sets]
        release.installed(str(values), chart=chart, sets=sets, more=named(image))
        with using(release, size) as clients:
            place = Place(release, chart, str(values), clients, hands, sets, fill)
            place.rolled_out()
            yield place


@contextmanager
def privileged() -> Iterator[Namespace]:
    """Make a namespace whose pods may do anything, for a block."""
    made = Namespace(f"natsmith-hands-{secrets.token_hex(4)}")
    run(["kubectl", "create", "namespace", made.name])
    run(["kubectl", "label", "namespace", made.name, "pod-security.kubernetes.io/enforce=privileged"])
    try:
        yield made
    finally:
        run(["kubectl", "delete", "namespace", made.name, "--wait=false"])
