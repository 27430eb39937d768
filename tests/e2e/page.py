"""The commands of a page, run as somebody types them: with this Helm, these images, this release and its namespace."""

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

SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(title: str, page: str = "upgrade.md") -> list[str]:
    """Return the shell blocks of a page's section, without those of the sections in it."""
    text = (ROOT / "docs" / page).read_text()
    section = re.split(rf"^#+ {re.escape(title)}\n", text, maxsplit=1, flags=re.MULTILINE)[1]
    section = re.split(r"^##+ ", section, maxsplit=1, flags=re.MULTILINE)[0]
    return SHELL.findall(section)


def every_command(page: str, release: Release, folder: Path, over: Path) -> list[str]:
    """Type a page from its beginning to its end, with the values *over* for this cluster; return its commands, of which none failed."""
    text = (ROOT / "docs" / page).read_text()
    commands = [line for block in SHELL.findall(text) for line in block.splitlines()]
    for command in commands:
        ran = typed(release, command, folder, over=over)
        assert 0 == ran.code, f"{command}\n{ran.text}"
    return commands


def typed(
    release: Release,
    block: str,
    folder: Path,
    environment: dict[str, str] | None = None,
    *,
    over: Path | None = None,
) -> Ran:
    """Run a block that is about a release in a folder, until its first command that fails; files that it names are there."""
    for name in ("charts", "values"):
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    programs = _programs(release, folder / "bin", over)
    block = block.replace("messaging", release.namespace.name)
    block = block.replace("dev-natsmith", release.fullname).replace(" dev ", f" {release.name} ")
    block = block.replace("nats:2.15.1-alpine", os.environ["NATS_IMAGE"])
    path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    words = ["env", "-C", str(folder), "bash", "-eo", "pipefail", "-c", block]
    return run(words, seconds=420, environment={"PATH": path, **(environment or {})})


def _programs(release: Release, place: Path, over: Path | None) -> Path:
    """Put into a folder what is typed as `helm` and `nats`, and return it."""
    here = shlex.join([*(["-f", str(over)] if over else []), *images()])
    # A Helm that was built without its version takes an old Kubernetes for granted: docs/cluster.md.
    verbs = f'upgrade) set -- "$@" {here};; template) set -- "$@" --kube-version 1.34 {here};;'
    place.mkdir(exist_ok=True)
    for name, words in (
        ("helm", f'case "$1" in {verbs} esac; exec {shlex.quote(release.helm)} "$@"'),
        ("nats", f'exec {shlex.quote(sys.executable)} -c {shlex.quote(STAND_IN)} "$@"'),
    ):
        (place / name).write_text(f"#!/bin/sh\n{words}\n")
        (place / name).chmod(0o755)
    return place
