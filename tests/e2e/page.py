"""The commands of a page's section, run as somebody types them: with this Helm, these images, this release and its namespace."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

from e2e.cluster import Ran, run
from e2e.release import ROOT, Release, images

STAND_IN = """
import asyncio, os, sys
import nats

async def main():
    client = await nats.connect(os.environ["NATS_URL"], user=os.environ["NATS_USER"], password=os.environ["NATS_PASSWORD"])
    answer = await client.request(sys.argv[2], sys.argv[3].encode(), timeout=10)
    print(answer.data.decode())
    await client.close()
    sys.exit('"error"' in answer.data.decode())

asyncio.run(main())
"""
"""What `nats request` does; the nats CLI is not here."""


def blocks(title: str, page: str = "upgrade.md") -> list[str]:
    """Return the shell blocks of a page's section, without those of the sections in it."""
    text = (ROOT / "docs" / page).read_text()
    section = re.split(rf"^#+ {re.escape(title)}\n", text, maxsplit=1, flags=re.MULTILINE)[1]
    section = re.split(r"^##+ ", section, maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


def typed(dev: Release, block: str, folder: Path, environment: dict[str, str] | None = None) -> Ran:
    """Run a block that is about the release `dev` in a folder, until its first command that fails; files that it names are there."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    if not (folder / "charts").exists():
        (folder / "charts").symlink_to(ROOT / "charts")
    for name, words in (
        ("helm", f'case "$1" in upgrade) set -- "$@" {shlex.join(images())};; esac; exec {shlex.quote(dev.helm)} "$@"'),
        ("nats", f'exec {shlex.quote(sys.executable)} -c {shlex.quote(STAND_IN)} "$@"'),
    ):
        (programs / name).write_text(f"#!/bin/sh\n{words}\n")
        (programs / name).chmod(0o755)
    block = block.replace("messaging", dev.namespace.name)
    block = block.replace("dev-natsmith", dev.fullname).replace(" dev ", f" {dev.name} ")
    block = block.replace("nats:2.15.1-alpine", os.environ["NATS_IMAGE"])
    given = {"PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}", **(environment or {})}
    return run(["env", "-C", str(folder), "bash", "-ec", block], seconds=420, environment=given)
