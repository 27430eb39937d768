"""A larger volume, by the commands of docs/upgrade.md, as far as the StorageClass goes along."""

from __future__ import annotations

import shlex

from e2e.cluster import run
from e2e.release import ROOT, MakeRelease, Release, images

PAGE = ROOT / "docs" / "upgrade.md"


def commands(dev: Release) -> list[list[str]]:
    """Return the commands of the page's section, with this namespace, this Helm and these images."""
    section = PAGE.read_text().partition("\n## A larger volume\n")[2].partition("\n## ")[0]
    block = section.partition("```sh\n")[2].partition("```")[0]
    typed = []
    for line in block.replace("messaging", dev.namespace.name).splitlines():
        words = shlex.split(line, comments=True)
        typed.append([dev.helm, *words[1:], *images()] if words[0] == "helm" else words)
    return typed


async def test_the_commands_of_the_page_keep_everything(release: MakeRelease) -> None:
    """Where the StorageClass lets no volume grow Kubernetes says so; all else is tried here in any case."""
    dev = release()
    dev.installed("dev.yaml")
    before = await dev.filled()
    grow, remove, upgrade = commands(dev)

    grown = run(["env", "-C", str(ROOT), *grow])
    assert 0 == grown.code or "must support resize" in grown.text, grown.text
    for command in (remove, upgrade):
        ran = run(["env", "-C", str(ROOT), *command], seconds=300)
        assert 0 == ran.code, f"{command}\n{ran.text}"
    dev.namespace.kubectl("rollout", "status", f"statefulset/{dev.fullname}", "--timeout=120s")

    claim = dev.namespace.get("statefulset", dev.fullname)["spec"]["volumeClaimTemplates"][0]
    assert "20Gi" == claim["spec"]["resources"]["requests"]["storage"]
    conf = dev.namespace.get("configmap", f"{dev.fullname}-config")["data"]["nats.conf"]
    assert f'"max_file_store": {20 * 2**30 * 9 // 10}' in conf
    assert before == await dev.held()
