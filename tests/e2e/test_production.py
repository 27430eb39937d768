"""docs/production.md: every command on it, in its order, on three servers of values/production.yaml."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

from e2e.certificates import certificate
from e2e.cluster import run
from e2e.release import ROOT, MakeRelease, Release, images
from e2e.test_overlays import SMALL

PAGE = ROOT / "docs" / "production.md"


def commands(page: str) -> list[str]:
    """Return every command of a page."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def typed(command: str, production: Release, small: Path) -> str:
    """Return a command of the page as somebody types it here: another namespace, images and sizes of this cluster."""
    command = command.replace("-n messaging", f"-n {production.namespace.name}")
    command = command.replace("--namespace messaging", f"--namespace {production.namespace.name}")
    command = re.sub(r"\bhelm\b", production.helm, command, count=1)
    more = f"-f values/production.yaml -f {small} {' '.join(images())}"
    # A Helm that was built without its version takes an old Kubernetes for granted: docs/cluster.md.
    command = command.replace(" template prod ", " template --kube-version 1.34 prod ")
    return command.replace("-f values/production.yaml", more, 1) if " charts/natsmith " in command else command


def test_every_command_of_the_page_works(release: MakeRelease, tmp_path: Path) -> None:
    """Who types the page in its order ends with five servers, everything as the values say, and its settings in a file."""
    production = release("prod")
    small = tmp_path / "small.json"
    small.write_text(json.dumps(SMALL))
    certificate(tmp_path, production.fullname, production.namespace.name)
    (tmp_path / "charts").symlink_to(ROOT / "charts")
    (tmp_path / "values").symlink_to(ROOT / "values")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    found = commands(PAGE.read_text())

    for command in found:
        ran = run(
            ["env", "-C", str(tmp_path), "bash", "-c", f"set -o pipefail; {typed(command, production, small)}"],
            environment={"PATH": path},
        )
        assert 0 == ran.code, f"{command}\n{ran.text}"

    assert 12 < len(found)
    servers = production.pods("nats")
    probes = {each["spec"]["containers"][0]["startupProbe"]["httpGet"]["path"] for each in servers}
    assert (5, {"/healthz"}) == (len(servers), probes), "the last upgrade no longer says that nobody waits"
    assert "MESSAGES" in (tmp_path / "settings.yaml").read_text()
