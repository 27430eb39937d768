"""promtool, which judges alerts as Prometheus does: the one on PATH, or built once from the Go module beside this file."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from alerts.promtool import Promtool
from chart import CHART
from releases import WATCHED, rendered

ROOT = CHART.parent.parent
MODULE = Path(__file__).parent / "gomod"
BUILT = ROOT / ".cache/promtool/promtool"
PACKAGE = "github.com/prometheus/prometheus/cmd/promtool"


def built(go: str) -> Path:
    """Return promtool of the version that go.mod pins, built unless it is there; go.sum checks what comes."""
    BUILT.parent.mkdir(parents=True, exist_ok=True)
    with (BUILT.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other workers wait for the one that builds
        pinned = BUILT.with_suffix(".mod")
        wanted = (MODULE / "go.mod").read_text()
        if not (BUILT.exists() and pinned.exists() and pinned.read_text() == wanted):
            # Two minutes, and five with all the clouds that Prometheus can ask what to scrape. Go keeps it in its own caches.
            command = [go, "build", "-mod=readonly", "-trimpath", "-tags", "remove_all_sd", "-o", str(BUILT), PACKAGE]
            environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
            done = subprocess.run(
                command, cwd=MODULE, env=environment, capture_output=True, text=True, check=False, timeout=1500
            )
            assert done.returncode == 0, done.stderr
            pinned.write_text(wanted)
    return BUILT


@pytest.fixture(scope="session")
def promtool_here() -> Path:
    """Give promtool, or say what it takes to have it."""
    found = shutil.which("promtool")
    if found:
        return Path(found)
    go = shutil.which("go")
    if go is None:
        pytest.skip("neither promtool nor go is on PATH: install one, such as Debian's golang or prometheus")
    return built(go)


@pytest.fixture
def promtool(promtool_here: Path, tmp_path: Path) -> Promtool:
    """Give promtool in a directory with the rules that the chart renders."""
    [spec] = [each["spec"] for each in rendered(WATCHED).all("PrometheusRule")]
    return Promtool(promtool_here, tmp_path, spec)
