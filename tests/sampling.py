"""Half of the tests that repeat one for each server or each Helm, where SAMPLE=1 asks for it: another half for another test."""

from __future__ import annotations

import os
import zlib
from collections import defaultdict
from collections.abc import Iterable

import pytest


def asked() -> bool:
    """Return whether less than everything is to be tried."""
    return os.environ.get("SAMPLE", "") not in ("", "0")


def half(config: pytest.Config, items: list[pytest.Item], parameter: str, *, but: str = "") -> None:
    """Leave out every other one of the values of *parameter* that a test has, *but* where its module begins so."""
    if not asked():
        return
    groups: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if not but or not item.path.name.startswith(but):
            groups[_without(item, parameter)].append(item)
    left_out = {item for name, group in groups.items() for item in _left_out(name, group)}
    config.hook.pytest_deselected(items=[item for item in items if item in left_out])
    items[:] = [item for item in items if item not in left_out]


def _without(item: pytest.Item, parameter: str) -> str:
    """Name a test with all that it is repeated for, but for *parameter*."""
    called = getattr(item, "callspec", None)
    if called is None or parameter not in called.params:
        return item.nodeid
    test, _, values = item.nodeid.partition("[")
    return f"{test}[{values.replace(str(called.params[parameter]), '*', 1)}"


def _left_out(name: str, group: list[pytest.Item]) -> Iterable[pytest.Item]:
    """Return every other one of a test's repetitions; its name says with which of the first two it begins."""
    return group[zlib.crc32(name.encode()) % 2 :: 2] if len(group) > 1 else ()
