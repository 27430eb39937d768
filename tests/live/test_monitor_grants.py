"""What the chart grants its monitor: what SECURITY.md says, and values on demand only."""

from __future__ import annotations

import re
from pathlib import Path

from granting import ALLOWED, INBOX, rights

ROOT = Path(__file__).parents[2]


def test_security_md_says_the_same_rights() -> None:
    """Who grants them by hand grants what the chart grants."""
    text = (ROOT / "SECURITY.md").read_text().partition("## The rights that a monitor needs")[2].partition("\n## ")[0]
    named = {each for each in re.findall(r"`([^` ]+)`", text) if each.startswith("$")}
    generic = {re.sub("KV_(service_registry|elections)", "KV_<bucket>", each) for each in ALLOWED["publish"]["allow"]}

    assert {*generic, *ALLOWED["subscribe"]["allow"]} - {f"{INBOX}.>", "$JS.API.STREAM.MSG.GET.S_w_dead"} == named - {
        "$JS.API.STREAM.MSG.GET.*"
    }


def test_values_are_read_on_demand_only() -> None:
    """With `monitor.showValues` it may read messages one by one, and is otherwise as before."""
    shown = set(rights("monitor.showValues=true")["publish"]["allow"])

    assert {"$JS.API.STREAM.MSG.GET.*"} == shown - set(ALLOWED["publish"]["allow"])
