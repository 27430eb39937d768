"""``apply --outcome`` without a server: a line is written whatever happens, and only then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from natsmith.cli import main
from natsmith.errors import Exit


def outcome(file: Path) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(file.read_text())
    return written


@pytest.mark.parametrize(
    "words",
    [
        ("apply",),
        ("apply", "-f", "no/such.yaml"),
        ("apply", "-f", "no/such.yaml", "--output", "json"),
        ("apply", "-f", "x", "--expekt", "p-1"),
        ("apply", "-f", "x", "--timeout", "soon"),
        ("--log", "json", "apply", "-f", "x"),
    ],
)
def test_a_mistake_is_an_outcome_too(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "outcome"

    assert Exit.WRONG_VALUES == main([*words, "--outcome", str(file)])

    told = outcome(file)
    assert ("outcome", 2, "wrong values", 0, []) == tuple(
        told[key] for key in ("kind", "exitCode", "result", "changes", "changed")
    )
    errors = capsys.readouterr().err.splitlines()
    assert told["problems"] == [json.loads(each)["text"] if each[0] == "{" else each[7:] for each in errors]


def test_an_older_outcome_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "outcome"
    file.write_text("x" * 10_000)

    main(["apply", f"--outcome={file}", "-f", "no/such.yaml", "--owner", "ns/rel"])

    assert "ns/rel" == outcome(file)["owner"]


@pytest.mark.parametrize("name", ["", "no/such/file"], ids=["a directory", "nowhere"])
def test_a_failure_stays_what_it_is_where_its_outcome_cannot_be_written(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / name

    assert Exit.WRONG_VALUES == main(["apply", "-f", "no/such.yaml", "--outcome", str(file)])

    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(
        f"error: the run ended with exit code 2, but its outcome could not be written: {file} cannot be written: "
    )
    assert last.endswith(". Check that its directory is there and writable")


@pytest.mark.parametrize(
    "words",
    [
        ("apply", "--outcome", "{file}", "--help"),
        ("plan", "-f", "x", "--outcome", "{file}"),
        ("apply", "--outcome", "-f", "{file}"),
    ],
)
def test_nothing_is_written_where_no_apply_was_asked_for(words: tuple[str, ...], tmp_path: Path) -> None:
    """Nor over the file that follows an --outcome without a name."""
    file = tmp_path / "file"
    file.write_text("mine")

    main([each.format(file=file) for each in words])

    assert "mine" == file.read_text()
    assert [file] == [*tmp_path.iterdir()]
