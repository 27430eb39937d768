"""The chart renders, alike with every Helm and alike each time."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from chart import CHART, KUBERNETES, helms
from releases import EVERY_HELM, EVERY_SHAPE, FILES, SHAPES, shaped, without_passwords


@EVERY_HELM
@EVERY_SHAPE
def test_it_renders(shape: str, helm: Path) -> None:
    """Each values file gives objects, of which one says what is desired."""
    assert shaped(shape, helm).one("ConfigMap", "-desired")


@EVERY_HELM
@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_lint_has_nothing_to_say(file: Path, helm: Path) -> None:
    """`helm lint --strict` passes with each values file."""
    # Without a version, a Helm that takes an old Kubernetes for granted refuses the chart.
    flags = ("--strict", "--quiet", "--kube-version", KUBERNETES)
    done = subprocess.run([helm, "lint", CHART, *flags, "-f", file], capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stderr), done.stdout


@EVERY_SHAPE
def test_every_helm_makes_the_same_of_it(shape: str) -> None:
    """What one Helm renders, the others render too, but for generated passwords."""
    first, *others = [without_passwords(shaped(shape, helm)) for helm in helms()]

    assert [first] * len(others) == others


@EVERY_HELM
@EVERY_SHAPE
def test_a_second_run_changes_only_generated_passwords(shape: str, helm: Path) -> None:
    """Rendering again gives the same, but for the data of the Secret of generated passwords."""
    runs = [shaped(shape, helm, again=run) for run in range(2)]

    assert without_passwords(runs[0]) == without_passwords(runs[1])


def test_only_one_secret_is_ever_made() -> None:
    """What differs between two runs is in one object, whose name ends in -credentials."""
    made = {each["metadata"]["name"] for shape in SHAPES for each in shaped(shape).all("Secret")}

    assert {"dev-natsmith-credentials"} == made


@EVERY_HELM
@EVERY_SHAPE
def test_generated_passwords_are_long_and_each_another(shape: str, helm: Path) -> None:
    """No two users share a generated password, and nobody guesses one."""
    release = shaped(shape, helm)
    made = [
        release.secret_files[f"{key}.password"]
        for each in release.all("Secret")
        for key in each["metadata"]["annotations"]["natsmith/generated"].split()
    ]

    assert len(set(made)) == len(made)
    assert {32} >= {len(each) for each in made}
