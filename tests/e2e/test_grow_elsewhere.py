"""Three servers become one as another release, by the commands of docs/upgrade.md."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from e2e.conftest import HELMS
from e2e.page import blocks, typed
from e2e.release import ROOT, MakeRelease

ADOPT = {
    "buckets": {"service_registry": {"adopt": True}, "sessions": {"adopt": True}},
    "streams": {"MESSAGES": {"adopt": True, "consumers": {"workers": {"adopt": True, "deadLetter": {"adopt": True}}}}},
    "objectStores": {"files": {"adopt": True}},
}


@pytest.mark.parametrize("helm", [*HELMS, "no helm"][:1], indirect=True)
async def test_three_servers_become_one_elsewhere(release: MakeRelease, tmp_path: Path) -> None:
    """Who types the page ends with one server that has everything, and a Job that finds nothing to do."""
    dev, one = release("dev"), release("one")
    values = yaml.safe_load((ROOT / "values" / "dev.yaml").read_text())
    values["nats"]["resources"] = {"requests": {"cpu": "50m", "memory": "64Mi"}}
    (tmp_path / "my.yaml").write_text(json.dumps(values))
    (tmp_path / "adopt.yaml").write_text(json.dumps(ADOPT))
    dev.installed(str(tmp_path / "my.yaml"), sets=["nats.replicas=3", "buckets.sessions.replicas=3"])
    before = await dev.filled()
    first, bring, upgrade = blocks("From three servers to one")[0].splitlines()

    installed = typed(one, first, tmp_path)
    assert 0 == installed.code, installed.text
    one.namespace.kubectl("rollout", "status", f"statefulset/{one.fullname}", "--timeout=120s")
    with (
        dev.namespace.forwarded(f"svc/{dev.fullname}", 4222) as old,
        one.namespace.forwarded(f"svc/{one.fullname}", 4222) as new,
    ):
        for name, port, side in (("old", old, dev), ("one", new, one)):
            (tmp_path / f"{name}.password").write_text(side.password("app.app"))
            way = {"app": {"user": "app", "passwordFile": f"{name}.password"}}
            (tmp_path / f"{name}.yaml").write_text(json.dumps({"server": f"nats://127.0.0.1:{port}", "accounts": way}))
        brought = typed(one, bring, tmp_path)
    assert 0 == brought.code, brought.text
    assert "0 left out." in brought.out
    adopted = typed(one, upgrade, tmp_path)
    assert 0 == adopted.code, adopted.text
    assert before == await one.held()
    again = one.installed(str(tmp_path / "my.yaml"))
    assert "Nothing to do" in again.text
