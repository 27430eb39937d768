"""docs/backup.md in the cluster: every command on it, in its order, and what was stored is there again."""

from __future__ import annotations

import json
from pathlib import Path

from e2e.page import every_command
from e2e.release import MakeRelease

SMALL = {
    "nats": {"resources": {"requests": {"cpu": "50m", "memory": "64Mi"}}},
    "buckets": {"sessions": {"ttlSeconds": 3600}},
}


async def test_every_command_of_the_page_works(release: MakeRelease, tmp_path: Path) -> None:
    """A backup goes out of one release, and another one has all of it; a provisioner may restore only where it is told to."""
    dev, drill = release("dev"), release("drill")
    small = tmp_path / "small.json"
    small.write_text(json.dumps(SMALL))
    dev.installed(["dev.yaml", str(small)])
    before = await dev.filled()
    assert 5 == len(every_command("backup.md", dev, tmp_path, small))
    assert before == await drill.held()

    # Who may only back up is told which right is missing.
    dev.natsmith("backup", "/tmp/x")  # noqa: S108  (in the pod)
    copied = 'cp -r /tmp/x/app/MESSAGES /tmp/y && sed -i \'s/"MESSAGES"/"NEW"/\' /tmp/y/backup.json && natsmith restore /tmp/y'
    refused = dev.namespace.kubectl("exec", f"deploy/{dev.fullname}-toolbox", "--", "sh", "-c", copied, may_fail=True)
    assert 3 == refused.code, refused.text
    assert "grant that user publish on $JS.API.STREAM.RESTORE.*" in refused.text
