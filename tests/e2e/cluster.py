"""A namespace of any Kubernetes, through kubectl: what a person would type, and what it printed."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

Manifest: TypeAlias = dict[str, Any]

RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"


@dataclass(frozen=True)
class Ran:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """All of it, as a terminal shows it; what Helm 4 folds into one escaped line is unfolded."""
        return self.out + re.sub(r'\\([n"])', lambda each: "\n" if each[1] == "n" else '"', self.err)


def run(words: Sequence[str], *, stdin: str | None = None, seconds: float = 300, environment: Any = None) -> Ran:
    """Run a command to its end."""
    # Commands are those of the tests.
    done = subprocess.run(
        list(words),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Namespace:
    """A namespace of its own, in which only what passes the restricted Pod Security Standard may run."""

    name: str

    def kubectl(self, *words: str, stdin: str | None = None, may_fail: bool = False) -> Ran:
        """Run kubectl in this namespace."""
        ran = run(["kubectl", "--namespace", self.name, *words], stdin=stdin)
        assert may_fail or ran.code == 0, f"kubectl {' '.join(words)}: {ran.err}"
        return ran

    def get(self, kind: str, name: str) -> Manifest:
        """Return one object."""
        found: Manifest = json.loads(self.kubectl("get", kind, name, "-o", "json").out)
        return found

    def all(self, kind: str, selector: str = "") -> list[Manifest]:
        """Return objects of a kind, oldest first."""
        words = ("get", kind, "-o", "json", *(("-l", selector) if selector else ()))
        items: list[Manifest] = json.loads(self.kubectl(*words, "--sort-by=.metadata.creationTimestamp").out)["items"]
        return items

    def apply(self, *manifests: Manifest) -> None:
        """Create or change objects."""
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))

    def wait(self, what: str, condition: str, *, seconds: int = 120) -> None:
        """Return when a condition holds; Kubernetes tells when."""
        self.kubectl("wait", what, f"--for={condition}", f"--timeout={seconds}s")

    @contextmanager
    def forwarded(self, what: str, port: int) -> Iterator[int]:
        """Give a local port that leads to *port* of a pod or a Service for a block."""
        words = ["kubectl", "--namespace", self.name, "port-forward", what, f":{port}"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout
                line = process.stdout.readline()
                found = re.search(r"127\.0\.0\.1:(\d+)", line)
                assert found, f"kubectl port-forward {what} said {line!r}"
                yield int(found[1])
            finally:
                process.terminate()

    def told(self) -> str:
        """Return what a person would look at after a failure: pods, events and logs."""
        pods = self.kubectl("get", "pods", "-o", "wide", may_fail=True)
        events = self.kubectl("get", "events", "--sort-by=.lastTimestamp", may_fail=True)
        parts = [pods.text, events.text]
        for pod in self.all("pods"):
            name = pod["metadata"]["name"]
            parts.append(f"--- {name}\n{self.kubectl('logs', name, '--tail=60', may_fail=True).text}")
        return "\n".join(parts)


@contextmanager
def namespace() -> Iterator[Namespace]:
    """Make a namespace for a block."""
    made = Namespace(f"natsmith-{secrets.token_hex(4)}")
    run(["kubectl", "create", "namespace", made.name])
    run(["kubectl", "label", "namespace", made.name, RESTRICTED])
    try:
        yield made
    finally:
        run(["kubectl", "delete", "namespace", made.name, "--wait=false"])
