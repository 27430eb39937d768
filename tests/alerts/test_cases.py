"""Each alert fires on the fault that it names, and on nothing that looks like it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from alerts.promtool import Promtool

CASES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))
BY_NAME = pytest.mark.parametrize("cases", CASES, ids=lambda file: file.stem)


def test_prometheus_takes_the_rules(promtool: Promtool) -> None:
    """Their syntax is right, and no two are the same."""
    assert "" == promtool.check()


def test_every_alert_has_its_cases(promtool: Promtool) -> None:
    """A file each, named after it."""
    assert sorted(promtool.names()) == [each.stem for each in CASES]


@BY_NAME
def test_it_fires_on_its_fault_and_on_nothing_else(promtool: Promtool, cases: Path) -> None:
    """At first it waits, then it fires with what it says to a person; what is no fault lasts for as long."""
    assert "" == promtool.test(cases)


@BY_NAME
def test_its_cases_tell_a_rule_that_never_fires_and_one_that_always_does(promtool: Promtool, cases: Path) -> None:
    """What no case would miss is no alert."""
    said = yaml.safe_load(cases.read_text())["tests"]
    fires = [bool(each.get("exp_alerts")) for case in said for each in case["alert_rule_test"]]

    assert {True, False} == set(fires)
    assert "FAILED" in promtool.test(cases, **{cases.stem: "vector(1) > 2"})
    assert "FAILED" in promtool.test(cases, **{cases.stem: f"({promtool.rule(cases.stem)['expr']}) or vector(1)"})
