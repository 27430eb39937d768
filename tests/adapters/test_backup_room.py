"""A disk on which a backup cannot even begin."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

NATSMITH = Path(sys.executable).parent / "natsmith"
DISK = 'mount -t tmpfs -o nr_inodes=$0 disk disk && exec "$@"'
"""A disk of its own with so many names, on which a shell then runs its words; the disk goes with them."""


def on_a_disk(names: int, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command where disk is one that takes few names."""
    (cwd / "disk").mkdir(exist_ok=True)
    return subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", DISK, str(names), *words],
        cwd=cwd,
        env={**os.environ, "TMPDIR": str(cwd / "disk"), "NATS_URL": "nats://127.0.0.1:1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where disks may be mounted."""
    if on_a_disk(1, "true", cwd=tmp_path).returncode:
        pytest.skip("this machine lets nobody mount a disk of their own")
    return tmp_path


@pytest.mark.parametrize("names", [2, 3])
def test_a_tar_without_names_on_its_way_names_what_to_set(place: Path, names: int) -> None:
    """One for the disk itself and one for the temporary directory; then one more."""
    ran = on_a_disk(names, str(NATSMITH), "backup", "-", cwd=place)

    assert 3 == ran.returncode, ran.stderr
    assert f"does not fit into {place}/disk/natsmith-backup-" in ran.stderr
    assert "make room, or have TMPDIR name a directory where there is more" in ran.stderr
    assert "or name a directory for the backup instead of -" in ran.stderr


@pytest.mark.parametrize("names", [1, 2])
def test_a_directory_without_names_is_to_be_another_one(place: Path, names: int) -> None:
    ran = on_a_disk(names, str(NATSMITH), "backup", "disk/b", cwd=place)

    assert 3 == ran.returncode, ran.stderr
    assert "does not fit into disk/b: No space left on device. Nothing of it was kept: make room, or name" in ran.stderr
