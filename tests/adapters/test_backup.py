"""Directories that a backup is read from, before any server is asked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from natsmith.adapters.backup import read
from natsmith.errors import DecisionNeeded, Exit, WrongValues

NOBODY = 65534


@contextmanager
def nobody() -> Iterator[None]:
    """Be somebody whom permissions keep out, as they do not root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the root of a disk, with a directory that only root may enter."""
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)  # nobody may not enter what is above it
    (tmp_path / "b" / "lost+found").mkdir(parents=True)
    (tmp_path / "b" / "lost+found").chmod(0)
    return Path("b")


def test_a_disk_without_a_backup_is_told(place: Path) -> None:
    with nobody(), pytest.raises(WrongValues, match="b holds no backup: ") as caught:
        read(place)
    assert Exit.WRONG_VALUES == caught.value.code


def test_what_may_not_be_entered_is_not_left_out_without_a_word(place: Path) -> None:
    (place / "S").mkdir()
    (place / "S" / "backup.json").write_text('{"config": {"name": "S"}}')
    (place / "T").mkdir()
    (place / "T").chmod(0)
    with nobody(), pytest.raises(WrongValues, match="b/T may not be entered by this user"):
        read(place)


def test_what_a_disk_has_of_its_own_is_passed_over_beside_streams(place: Path) -> None:
    """Its stream is read, of which only the description is there."""
    (place / "S").mkdir()
    (place / "S" / "backup.json").write_text('{"config": {"name": "S"}}')
    with nobody(), pytest.raises(DecisionNeeded, match=r"damaged at b/S/stream\.tar\.s2: it is not there"):
        read(place)


def test_what_a_disk_has_of_its_own_is_passed_over_beside_accounts(place: Path) -> None:
    (place / "APP" / "S").mkdir(parents=True)
    (place / "APP" / "S" / "backup.json").write_text("{}")
    with nobody(), pytest.raises(WrongValues, match=r"natsmith restore b/APP$"):
        read(place)
