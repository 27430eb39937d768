"""docs/backup.md in the cluster: every command on it, in its order, and what was stored is there again."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

from e2e.cluster import run
from e2e.release import ROOT, MakeRelease, Release, images
from e2e.test_production import commands

PAGE = ROOT / "docs" / "backup.md"
SMALL = {
    "nats": {"resources": {"requests": {"cpu": "50m", "memory": "64Mi"}}},
    "buckets": {"sessions": {"ttlSeconds": 3600}},
}


def typed(command: str, release: Release, small: Path) -> str:
    """Return a command of the page as somebody types it here."""
    command = re.sub(
        r"\bhelm\b", release.helm, command.replace("-n messaging", f"-n {release.namespace.name}"), count=1
    )
    return command.replace("-f values/dev.yaml", f"-f values/dev.yaml -f {small} {' '.join(images())}")


async def test_every_command_of_the_page_works(release: MakeRelease, tmp_path: Path) -> None:
    """A backup goes out of one release, and another one has all of it; a provisioner may restore only where it is told to."""
    dev, drill = release("dev"), release("drill")
    small = tmp_path / "small.json"
    small.write_text(json.dumps(SMALL))
    (tmp_path / "charts").symlink_to(ROOT / "charts")
    (tmp_path / "values").symlink_to(ROOT / "values")
    dev.installed(["dev.yaml", str(small)])
    before = await dev.filled()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    found = commands(PAGE.read_text())
    for command in found:
        ran = run(
            ["env", "-C", str(tmp_path), "bash", "-c", f"set -o pipefail; {typed(command, dev, small)}"],
            environment={"PATH": path},
        )
        assert 0 == ran.code, f"{command}\n{ran.text}"
    assert 5 == len(found)
    assert before == await drill.held()

    # Who may only back up is told which right is missing.
    dev.natsmith("backup", "/tmp/x")  # noqa: S108  (in the pod)
    copied = 'cp -r /tmp/x/app/MESSAGES /tmp/y && sed -i \'s/"MESSAGES"/"NEW"/\' /tmp/y/backup.json && natsmith restore /tmp/y'
    refused = dev.namespace.kubectl("exec", f"deploy/{dev.fullname}-toolbox", "--", "sh", "-c", copied, may_fail=True)
    assert 3 == refused.code, refused.text
    assert "grant that user publish on $JS.API.STREAM.RESTORE.*" in refused.text
