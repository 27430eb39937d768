"""The loader held against Helm's own reading: equal, or marked as ambiguous."""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from adapters.bare import SCALARS, same
from natsmith.adapters.documents import read_documents
from natsmith.adapters.scalars import resolve
from natsmith.adapters.values import load
from natsmith.errors import WrongValues
from natsmith.model.units import Ambiguous, Json

HELM = Path(sys.executable).with_name("helm")
TEMPLATE = '{"values": {{ toJson .Values }} }\n'


@pytest.fixture
def helm(tmp_path: Path) -> Callable[..., Json]:
    """Return a function that gives ``.Values`` as a template of a chart sees them."""
    chart = tmp_path / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: t\nversion: 0.1.0\n")
    (chart / "templates" / "values.json").write_text(TEMPLATE)
    env = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}

    def values(files: Sequence[str], sets: Sequence[str] = ()) -> Json:
        options = [part for file in files for part in ("-f", file)] + [
            part for each in sets for part in ("--set", each)
        ]
        run = subprocess.run(
            [HELM, "template", "t", chart, *options], capture_output=True, text=True, check=False, env=env
        )
        if run.returncode:
            raise WrongValues(run.stderr)
        return json.loads(run.stdout[run.stdout.index('{"values"') :])["values"]

    return values


def without_nulls(value: Json) -> Json:
    """Return *value* without the entries of maps that are null."""
    if isinstance(value, Mapping):
        return {key: without_nulls(each) for key, each in value.items() if each is not None}
    return value


def loaded(*files: str, sets: Sequence[str] = ()) -> Json:
    return load(files, sets, stdin=io.BytesIO())


def test_every_bare_scalar_is_what_helm_reads_or_ambiguous(tmp_path: Path, helm: Callable[..., Json]) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("".join(f"k{index}: {scalar}\n" for index, scalar in enumerate(SCALARS)))

    helms = helm([str(file)])
    ours = read_documents(file.read_bytes(), "values.yaml")[0]

    differing = [
        (scalar, ours[f"k{index}"], helms[f"k{index}"])
        for index, scalar in enumerate(SCALARS)
        if not isinstance(ours[f"k{index}"], Ambiguous) and not same(ours[f"k{index}"], helms[f"k{index}"])
    ]
    assert differing == []


def test_every_bare_key_is_what_helm_reads_or_ambiguous(tmp_path: Path, helm: Callable[..., Json]) -> None:
    # Helm refuses keys that are null or need the 64th bit.
    refused = ("<<", "9223372036854775808", "18446744073709551615")
    keys = [scalar for scalar in SCALARS if resolve(scalar) is not None and scalar not in refused]
    file = tmp_path / "values.yaml"
    file.write_text("".join(f"m{index}:\n  {key}: 1\n" for index, key in enumerate(keys)))

    helms = helm([str(file)])
    ours = read_documents(file.read_bytes(), "values.yaml")[0]

    differing = [
        (key, helms[f"m{index}"])
        for index, key in enumerate(keys)
        if not any(isinstance(each, Ambiguous) for each in ours[f"m{index}"])
        and ours[f"m{index}"] != helms[f"m{index}"]
    ]
    assert differing == []


STRUCTURES = [
    "a: &x {b: 1}\nc: *x",
    "a: &x {b: 1}\nc: {<<: *x, b: 2}",
    "a: &x {b: 1}\nc: {b: 2, <<: *x}",
    "a: &x {b: 1}\nd: &y {b: 3, e: 1}\nc: {<<: [*x, *y]}",
    "a: &x {b: 1}\nd: &y {b: 3, e: 1}\nc:\n  <<: *x\n  <<: *y",
    "a: &x {b: {c: 1}}\nd: {<<: *x, b: {e: 2}}",
    "a: {'<<': {b: 1}}",
    "a: {<<: {b: 1}}",
    "a: &x 1\nb: &x 2\nc: *x",
    "a: &x\nb: *x",
    "a: !!str 12\nb: !!int '3'\nc: !!float 3\nd: !!bool 'true'\ne: !!null ''\nf: ! 12\ng: !!str ~\nh: !!str",
    "a: !!map {b: 1}\nc: !!seq [1]\nd: !<tag:yaml.org,2002:str> 12\ne: !!int 0x1F\nf: !!float 1e3",
    "a: |\n  x\n  y\nb: >-\n  x\n  y\nc: 'x\n  y'\nd: x\n  y\ne: \"x\\ty\\u00e9\"\nf: 12\n  3",
    "a: [1, null, {b: null}]\nc: {d: }\ne: []\nf: {}\n? g\n: 1",
    '{"a": 1.0, "b": 1e3, "c": [true, null, "x\\ny"], "d": {"e": -0.5}}',
]


def test_structures_are_what_helm_reads(tmp_path: Path, helm: Callable[..., Json]) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("".join(f"s{index}:\n{textwrap.indent(text, '  ')}\n" for index, text in enumerate(STRUCTURES)))

    helms = helm([str(file)])
    ours = read_documents(file.read_bytes(), "values.yaml")[0]

    assert {f"s{index}": helms[f"s{index}"] for index in range(len(STRUCTURES))} == ours


def test_a_byte_order_mark_and_directives_are_what_helm_reads(tmp_path: Path, helm: Callable[..., Json]) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("\ufeff%YAML 1.1\n---\na: 1\n...\n")

    assert {"a": 1} == helm([str(file)]) == loaded(str(file))


@pytest.mark.parametrize(
    "text", ["a: [", "- a", "a: {<<: 1}", "a: *x", "~: 1", "%YAML 1.2\n---\na: 1", "a: &x [*x]", "a:\n\tb: 1"]
)
def test_what_helm_refuses_is_refused(tmp_path: Path, helm: Callable[..., Json], text: str) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(text)

    for read in (helm, load_files):
        with pytest.raises(WrongValues):
            read([str(file)])


def load_files(files: Sequence[str]) -> Json:
    return loaded(*files)


def overlay(chance: random.Random, depth: int = 3) -> Json:
    """Return a random value: mostly a map, with nulls, lists and scalars in it."""
    if depth == 0 or chance.random() < 0.3:
        return chance.choice([1, "x", None, True, [1, None], [], {}, [{"a": None}]])
    return {key: overlay(chance, depth - 1) for key in chance.sample("abcd", chance.randint(0, 3))}


def test_files_lie_over_each_other_as_with_helm(tmp_path: Path, helm: Callable[..., Json]) -> None:
    chance = random.Random(11)  # noqa: S311 - a fixed seed makes the same overlays in every run
    files = [tmp_path / f"{index}.yaml" for index in range(3)]
    for file in files:
        file.write_text(json.dumps({f"s{index}": overlay(chance) for index in range(300)}))
    names = [str(file) for file in files]

    assert without_nulls(helm(names)) == loaded(*names)


def test_set_lies_over_files_as_with_helm(tmp_path: Path, helm: Callable[..., Json]) -> None:
    chance = random.Random(13)  # noqa: S311 - a fixed seed makes the same overlays in every run
    file = tmp_path / "values.yaml"
    # Helm 3 fails where a path leads through a null; natsmith takes it for removed.
    file.write_text(json.dumps({f"s{index}": without_nulls(overlay(chance)) or {} for index in range(100)}))
    words = [
        "true",
        "FALSE",
        "null",
        "0",
        "00",
        "5",
        "-5",
        "+05",
        "017",
        "1.5",
        "1e3",
        "",
        "yes",
        "a=b",
        r"x\,y",
        r"\1",
        "9" * 19,
    ]
    sets: list[str] = []
    for index in range(100):
        path = [f"s{index}", *chance.choices(["a", "b", "c", r"d\.e"], k=chance.randint(1, 3))]
        each = f"{'.'.join(path)}={chance.choice(words)}"
        try:
            loaded(str(file), sets=[*sets, each])
        except WrongValues:
            continue  # a path through a scalar, which Helm refuses as well
        sets.append(each)

    assert len(sets) > 40
    assert without_nulls(helm([str(file)], sets)) == loaded(str(file), sets=sets)
