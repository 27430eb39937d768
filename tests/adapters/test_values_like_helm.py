"""The loader held against Helm's own reading: equal, or marked as ambiguous; and no more marked than needed."""

from __future__ import annotations

import io
import json
import os
import random
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from natsmith.adapters.documents import read_documents
from natsmith.adapters.scalars import resolve
from natsmith.adapters.values import load
from natsmith.errors import WrongValues
from natsmith.model.units import Ambiguous, Json

HELM = Path(sys.executable).with_name("helm")
TEMPLATE = '{"values": {{ toJson .Values }} }\n'

NASTY = """
yes Yes YES yEs no No NO n N nO y Y on On ON off Off OFF oFF true True TRUE tRue false False FALSE null Null NULL nULL ~
12:30 1:2:3 1:60 12:30:45.5 -1:30 00:30 08:30 1:30. 127.0.0.1:4222 0o17 0o18 -0o17 +0o17 0O17 017 018 08 0 00 -0 +0 -017 0777
1_000 _1 1__0 1_ -_1 0_17 .5_0 1_000.5 1e1_0 _ -_ 0x1F 0X1F 0xg -0x1F +0x1F 0x_1 0x 0xFFFFFFFFFFFFFFFFFF 0b11 0B11 -0b11 0b-1 0b2
1e3 1E3 1e+3 1.0e3 1.5e3 1e-3 .5 5. 5.e3 -.5 +.5 1.0 1.10 01.5 01e3 00.5 inf nan Infinity NaN +.nan 1e-400 1e400 -1e999
2026-01-31 2026-01-31T12:00:00Z 2001-12-14t21:59:43.10-05:00 2026-1-1 2026-13-45 99999-01-01 20260131 = << +12 -12 . .. + -- 1e 1e+ e3 .e3
9007199254740991 9007199254740992 9007199254740993 9223372036854775807 9223372036854775808 18446744073709551615
-9223372036854775809 99999999999999999999999 1e20 1e21 1000000000000000000000 123456 12345678901 0.1 123456789.5 0.0 -0.0
0777 1,000 1.2.3 4e5a abc 0xAp1 0x1p4 1.5:30 1i 100% 1Gi 10Mi 5m 3h a:b http://x $KV.b.> messages.> é 猫 a#b x=y
"""
REFUSED_BY_HELM = [".inf", "-.Inf", "+.INF", ".nan", ".NaN"]


def generated(count: int) -> list[str]:
    """Return bare scalars made of what numbers, times and booleans are made of."""
    chance = random.Random(7)  # noqa: S311 - a fixed seed makes the same scalars in every run
    found: set[str] = set()
    while len(found) < count:
        word = "".join(chance.choices("0123456789" * 2 + "01" * 3 + "+-._:eExXobOBTZnyf", k=chance.randint(1, 7)))
        if (
            word[-1] != ":"
            and word != "-"
            and not word.startswith("---")
            and word.lower().lstrip("+-") not in (".inf", ".nan")
        ):
            found.add(word)
    return sorted(found)


SCALARS = [*NASTY.split(), *generated(1500)]


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


def same(ours: Json, helms: Json) -> bool:
    """Tell whether both are the same JSON; Helm has one kind of number."""
    if isinstance(ours, bool) or isinstance(helms, bool):
        return ours is helms
    if isinstance(ours, int | float) and isinstance(helms, int | float):
        return float(ours) == float(helms)
    return type(ours) is type(helms) and bool(ours == helms)


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


def test_what_pyyaml_takes_for_something_else_is_ambiguous() -> None:
    """Only numbers that PyYAML alone takes for text, such as 1e3 and -.5, are read as the others read them."""
    differing = []
    for scalar in SCALARS:
        ours = resolve(scalar)
        if isinstance(ours, Ambiguous):
            continue
        theirs = yaml.safe_load(scalar)
        number = re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", scalar)
        if not same(ours, theirs) and not (number and theirs == scalar):
            differing.append((scalar, ours, theirs))
    assert differing == []


@pytest.mark.parametrize("scalar", REFUSED_BY_HELM)
def test_what_helm_cannot_read_is_ambiguous(scalar: str) -> None:
    assert isinstance(resolve(scalar), Ambiguous)


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


# No more is ambiguous than has to be.

steady = settings(deadline=None, derandomize=True, database=None)


@steady
@given(st.integers(-(2**53), 2**53))
def test_plain_integers_are_never_ambiguous(number: int) -> None:
    assert (int, number) == (type(resolve(str(number))), resolve(str(number)))


@steady
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_plain_floats_are_never_ambiguous(number: float) -> None:
    assert number == resolve(repr(number))


WORDS = {"yes", "no", "on", "off", "y", "n", "true", "false", "null"}


LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@steady
@given(st.sampled_from(LETTERS), st.text(LETTERS + "0123456789_.*>$-"))
def test_words_are_never_ambiguous(first: str, rest: str) -> None:
    word = first + rest
    assume(word.lower() not in WORDS)

    assert (str, word) == (type(resolve(word)), resolve(word))


@steady
@given(st.sampled_from(SCALARS + REFUSED_BY_HELM))
def test_quoted_scalars_are_never_ambiguous(scalar: str) -> None:
    for text in (json.dumps(scalar, ensure_ascii=False), f"'{scalar}'"):
        value = read_documents(text.encode(), "f.yaml")[0]
        assert (str, scalar) == (type(value), value)


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("+5", 5),
        ("0x1F", 31),
        ("1Gi", "1Gi"),
    ],
)
def test_what_everyone_reads_alike_is_never_ambiguous(scalar: str, value: Json) -> None:
    assert (type(value), value) == (type(resolve(scalar)), resolve(scalar))
