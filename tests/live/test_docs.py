"""Every console block of the README and of docs/ is run, in order, on a server of its own."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

import pages
from embedded import nats_server

ROOT = Path(__file__).parents[2]
PAGES = [
    page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if list(pages.steps(page.read_text()))
]

# What a page's text says that an application did, as commands.
STAND_INS = {
    "publish": """
import asyncio, nats, os, sys
async def main():
    client = await nats.connect(os.environ["NATS_URL"])
    for _ in range(int(sys.argv[2])):
        await client.request(sys.argv[1], b"x", timeout=5)
    await client.close()
asyncio.run(main())
""",
    "lose": """
import asyncio, nats, os, sys
async def main():
    client = await nats.connect(os.environ["NATS_URL"])
    await client.request(f"$JS.API.STREAM.DELETE.{sys.argv[1]}", b"", timeout=5)
    await client.close()
asyncio.run(main())
""",
    "handmade": """
import asyncio, nats, os, sys
async def main():
    client = await nats.connect(os.environ["NATS_URL"])
    await client.request(
        f"$JS.API.STREAM.CREATE.KV_{sys.argv[2]}",
        b'{"name": "KV_%s", "subjects": ["$KV.%s.>"], "max_msgs_per_subject": 10, "discard": "new", "deny_delete": true,'
        b' "allow_rollup_hdrs": true, "allow_direct": true}' % (sys.argv[2].encode(), sys.argv[2].encode()),
        timeout=5,
    )
    await client.close()
asyncio.run(main())
""",
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_prints_what_it_says(page: Path, tmp_path: Path) -> None:
    """A reader who types what the page shows sees what the page shows."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, script in STAND_INS.items():
        program = programs / name
        program.write_text(f"#!{sys.executable}\n{script}")
        program.chmod(0o755)
    shutil.copytree(ROOT / "values", tmp_path / "values")
    shutil.copytree(ROOT / "demo" / "registry", tmp_path / "demo" / "registry")
    with nats_server() as server:
        path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {"PATH": path, "HOME": str(tmp_path), "NATS_URL": server.url, "NO_COLOR": "1"}
        wrong = pages.run(page.read_text(), tmp_path, environment)

    assert not wrong, "\n".join(
        f"$ {command}\n--- the page says\n{expected}\n--- it printed\n{printed}" for command, expected, printed in wrong
    )


def test_most_pages_show_something() -> None:
    """A page whose blocks are not found would pass silently."""
    assert len(PAGES) >= 8
