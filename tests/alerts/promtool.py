"""Prometheus's own judge of rules, and rules for it to judge."""

from __future__ import annotations

import copy
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Promtool:
    """promtool, and a directory with rules."""

    binary: Path
    home: Path
    rules: dict[str, Any]

    def names(self) -> list[str]:
        """Return the names of all alerts."""
        return [each["alert"] for group in self.rules["groups"] for each in group["rules"]]

    def rule(self, name: str) -> dict[str, Any]:
        """Return an alert."""
        [found] = [each for group in self.rules["groups"] for each in group["rules"] if each["alert"] == name]
        return dict(found)

    def check(self) -> str:
        """Return what it says about the rules themselves; nothing where they are right."""
        return self._run("check", "rules", "--lint=all", "--lint-fatal", self._write(self.rules))

    def test(self, cases: Path | dict[str, Any], **instead: str) -> str:
        """Return what it says of *cases*, nothing where all is as expected; *instead* are other expressions of alerts."""
        rules = copy.deepcopy(self.rules)
        for group in rules["groups"]:
            for each in group["rules"]:
                each["expr"] = instead.get(each["alert"], each["expr"])
        self._write(rules)
        file = self.home / "cases.yaml"
        file.write_text(cases.read_text() if isinstance(cases, Path) else yaml.safe_dump(cases, sort_keys=False))
        return self._run("test", "rules", str(file))

    def _write(self, rules: dict[str, Any]) -> str:
        file = self.home / "rules.yaml"
        file.write_text(yaml.safe_dump(rules, sort_keys=False))
        return str(file)

    def _run(self, *words: str) -> str:
        done = subprocess.run(
            [str(self.binary), *words], cwd=self.home, capture_output=True, text=True, check=False, timeout=60
        )
        return "" if done.returncode == 0 else done.stdout + done.stderr
