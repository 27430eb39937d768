"""Whole plans, told as files: what is wanted, what is there, and the lines that a reader gets."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from builders import desired, observed, planned
from natsmith.views import text

CASES = sorted((Path(__file__).parent.parent / "cases").glob("*.yaml"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_a_plan_reads_as_the_case_says(case: Path) -> None:
    """Each file in tests/cases begins with the truth that it shows."""
    told = yaml.safe_load(case.read_text())
    there = observed(
        told.get("there", {}),
        owner=told.get("owner", "local"),
        applied=told.get("applied"),
        counts=told.get("counts"),
        **told.get("holding", {}),
    )
    plan = planned(desired(told["wanted"]), there, owner=told.get("run", "local"))

    assert told["plan"] == [row.sentence for row in text.rows(plan)]
    assert told.get("blocked", 0) == len(plan.blocked)


def test_there_are_cases() -> None:
    """An empty folder would pass silently."""
    assert len(CASES) >= 5
