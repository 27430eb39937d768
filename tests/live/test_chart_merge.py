"""The examples of docs/config-merge.md: each is rendered, and every version of the server takes it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

import chart
from installed import certificate
from merging import *  # noqa: F403  # its fixture
from merging import EXAMPLES, with_openssl
from versions import binary


@with_openssl
@pytest.mark.parametrize("place", range(len(EXAMPLES)))
def test_every_server_version_takes_every_example(release: str, place: int, tmp_path: Path) -> None:
    """As the page has it, with its ports."""
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps(EXAMPLES[place]))
    others = [certificate(tmp_path / "certificate", name="dev-tls")]
    server = chart.server(chart.render([file]), tmp_path, others=others)

    command = [str(binary(release)), "-t", "-c", str(server.config)]
    environment = {**os.environ, **server.environment}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert "is valid" in done.stderr, done.stderr
    assert 0 == done.returncode
