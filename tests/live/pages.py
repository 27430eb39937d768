"""Runs the console blocks of a page and compares what they print; … in a page stands for anything on its line."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Step:
    """A command of a page, and what the page says that it prints."""

    command: str
    expected: list[str] = field(default_factory=list)


def steps(page: str) -> Iterator[Step]:
    """Yield the commands of a page's console blocks."""
    for block in re.findall(r"^```console\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        step: Step | None = None
        for line in block.splitlines():
            if line.startswith("$ "):
                if step:
                    yield step
                step = Step(line[2:])
            elif step and line.startswith("> ") and not step.expected:
                step.command += "\n" + line[2:]
            elif step:
                step.expected.append(line)
        if step:
            yield step


def run(page: str, where: Path, environment: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Run a page's commands in one shell and return those that print something else: command, expected, printed."""
    listed = list(steps(page))
    mark = "---next-command---"
    script = f"\necho {mark}\n".join(step.command for step in listed)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=where,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    printed = [part.strip("\n") for part in done.stdout.split(mark)]
    wrong = []
    for step, output in zip(listed, printed, strict=True):
        expected = "\n".join(step.expected).strip("\n")
        if not re.fullmatch(_pattern(step.expected), output):
            wrong.append((step.command, expected, output))
    return wrong


def _pattern(expected: list[str]) -> str:
    """Return what output must match; a line that is only … stands for any lines."""
    parts = []
    for line in expected:
        if line == "…":
            parts.append(r"(?:.*\n)*?.*")
        else:
            parts.append(re.escape(line).replace("…", ".*"))
    return "\n".join(parts).strip("\n")
