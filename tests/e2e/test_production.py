"""docs/production.md: every command on it, in its order, on three servers of values/production.yaml."""

from __future__ import annotations

import json
from pathlib import Path

from e2e.certificates import certificate
from e2e.page import every_command
from e2e.release import MakeRelease
from e2e.test_overlays import SMALL


def test_every_command_of_the_page_works(release: MakeRelease, tmp_path: Path) -> None:
    """Who types the page in its order ends with five servers, everything as the values say, and its settings in a file."""
    production = release("prod")
    small = tmp_path / "small.json"
    small.write_text(json.dumps(SMALL))
    certificate(tmp_path, production.fullname, production.namespace.name)

    found = every_command("production.md", production, tmp_path, small)

    assert 12 < len(found)
    servers = production.pods("nats")
    probes = {each["spec"]["containers"][0]["startupProbe"]["httpGet"]["path"] for each in servers}
    assert (5, {"/healthz"}) == (len(servers), probes), "the last upgrade no longer says that nobody waits"
    assert "MESSAGES" in (tmp_path / "settings.yaml").read_text()
