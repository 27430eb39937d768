"""A larger volume, by the commands of docs/upgrade.md, as far as the StorageClass goes along."""

from __future__ import annotations

from pathlib import Path

from e2e.page import blocks, typed
from e2e.release import MakeRelease


async def test_the_commands_of_the_page_keep_everything(release: MakeRelease, tmp_path: Path) -> None:
    """Where the StorageClass lets no volume grow Kubernetes says so; all else is tried here in any case."""
    dev = release()
    dev.installed("dev.yaml")
    before = await dev.filled()
    grow, remove, upgrade = blocks("A larger volume")[0].splitlines()

    grown = typed(dev, grow, tmp_path)
    assert 0 == grown.code or "must support resize" in grown.text, grown.text
    for command in (remove, upgrade):
        ran = typed(dev, command, tmp_path)
        assert 0 == ran.code, f"{command}\n{ran.text}"
    dev.namespace.kubectl("rollout", "status", f"statefulset/{dev.fullname}", "--timeout=120s")

    claim = dev.namespace.get("statefulset", dev.fullname)["spec"]["volumeClaimTemplates"][0]
    assert "20Gi" == claim["spec"]["resources"]["requests"]["storage"]
    conf = dev.namespace.get("configmap", f"{dev.fullname}-config")["data"]["nats.conf"]
    assert f'"max_file_store": {20 * 2**30 * 9 // 10}' in conf
    assert before == await dev.held()
