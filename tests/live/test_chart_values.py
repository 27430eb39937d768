"""From a values file through Helm to natsmith: nothing is another thing afterwards."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import chart
from natsmith.adapters.values import load
from natsmith.model.desired import Desired
from natsmith.model.reading import read

WORDS = (
    # What readers of YAML take for numbers, times, dates, truth or nothing.
    *(
        "12:30",
        "1:2:3",
        "1e6",
        "1E6",
        "+1",
        "-0",
        "0o17",
        "017",
        "0x1F",
        "0b1",
        "1_000",
        "1.",
        ".5",
        "1.0",
        ".inf",
        "NaN",
    ),
    *(
        "2024-01-01",
        "2024-01-01T00:00:00Z",
        "no",
        "No",
        "yes",
        "on",
        "off",
        "y",
        "n",
        "true",
        "TRUE",
        "null",
        "Null",
        "~",
    ),
    # What they cut off, or take for their own signs.
    *(
        " x ",
        " ",
        "",
        "- x",
        "-",
        "? x",
        "x: y",
        "x #y",
        "#",
        "&a",
        "*a",
        "!!str x",
        "|",
        ">",
        "%",
        "@",
        "`",
        "{}",
        "[]",
    ),
    *(
        "'",
        '"',
        "'x'",
        '"x"',
        "\\",
        "\\n",
        "\\u003e",
        "a\\",
        "---",
        "--- x",
        "...",
    ),
    # What templates and servers take for their own.
    *("{{ .Values }}", "{{", "}}", "$HOME", "${x}", "<>&", "include x", "_nats"),
    # Lines and letters.
    *("a\nb", "a\n", "\na", "a\n\n b\n", "a\r\nb", "a\tb", "é", "e\u0301", "漢字", "🔑", "\u00a0", "x" * 1000),
)
NUMBERS = (0, 1, 1000000, 10**7, 1073741824, 123456789012, 2**53)
NAMES = ("1e6", "0o17", "true", "no", "null", "y", "123", "12", "-", "0", "1_000", "NaN", "on")
"""Names of objects, accounts and users that bare would be something else."""


class Quoted(yaml.SafeDumper):
    """Writes every text in quotes: what is bare is a number or a truth."""


Quoted.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def through_helm(document: dict[str, Any], directory: Path) -> tuple[Desired, Desired]:
    """Return what natsmith reads from a values file, and from what Helm makes of that file."""
    file, rendered = directory / "values.yaml", directory / "rendered.yaml"
    file.write_text(yaml.dump(document, Dumper=Quoted), newline="\n")
    rendered.write_text(chart.render([file]).text, newline="\n")
    return desired(file), desired(rendered)


def desired(file: Path) -> Desired:
    found, problems = read(load([str(file)], stdin=io.BytesIO()))
    assert [] == problems
    return found


def buckets(words: Sequence[str]) -> dict[str, Any]:
    """Return a bucket for each word, which is its description and stands in its metadata."""
    return {
        f"b{number}": {"description": word, "metadata": {"said": word, f"_{word}": "x"}, "config": {"some": [word]}}
        for number, word in enumerate(words)
    }


def differing(direct: Desired, rendered: Desired) -> list[Any]:
    """Return what is not the same, in pairs; Helm sorts what the author did not."""
    pairs = zip(*(sorted(each.resources, key=lambda one: one.id) for each in (direct, rendered)), strict=True)
    return [(one, other) for one, other in pairs if one != other]


def test_text_stays_the_same_text(tmp_path: Path) -> None:
    assert [] == differing(*through_helm({"buckets": buckets(WORDS)}, tmp_path))


def test_subjects_stay_the_same_subjects(tmp_path: Path) -> None:
    tokens = [word for word in WORDS if re.fullmatch(r"[^\s.*>\x00-\x1f]+", word)]
    streams = {
        f"s{number}": {"subjects": [token, f"{number}.*.>"], "consumers": {"c": {"filterSubjects": [token]}}}
        for number, token in enumerate(tokens)
    }
    assert {"12:30", "1e6", "null", "~", "漢字"} < set(tokens)

    assert [] == differing(*through_helm({"streams": streams}, tmp_path))


def test_numbers_stay_the_same_numbers(tmp_path: Path) -> None:
    """Helm reads numbers as floating point, and writes large ones with an exponent where nobody takes care."""
    streams = {
        f"s{number}": {
            "subjects": [f"s{number}"],
            "maxBytes": number,
            "maxMessages": number,
            "config": {"some": number, "list": [number, number + 0.5, -number, True, None]},
        }
        for number in NUMBERS
    }
    direct, rendered = through_helm({"streams": streams}, tmp_path)

    assert [] == differing(direct, rendered)
    assert set(NUMBERS) == {each.config["some"] for each in rendered.resources}
    assert {int} == {type(each.config["some"]) for each in rendered.resources}


def test_names_stay_the_same_names(tmp_path: Path) -> None:
    """Names of objects, and of the accounts that they are in."""
    accounts: dict[str, Any] = {name: {"users": {f"{name}-user": {}}} for name in NAMES if name != "-"}
    document = {
        "accounts": accounts,
        "buckets": {name: {"account": account} for name, account in zip(NAMES, [*accounts, "on"], strict=True)},
        "streams": {f"s{name}": {"subjects": [f"s{name}"], "account": "no"} for name in NAMES},
    }
    direct, rendered = through_helm(document, tmp_path)

    assert [] == differing(direct, rendered)
    assert set(direct.accounts) == set(rendered.accounts) == set(accounts)


def test_the_policy_stays_the_same_policy(tmp_path: Path) -> None:
    policy = {"onImmutable": "replace", "prune": True, "loss": "allow", "consent": {"1e6": "c-123456", "no": "c-1e6"}}
    direct, rendered = through_helm({"buckets": {"1e6": {}, "no": {}}, "provisioner": policy}, tmp_path)

    assert direct.policy == rendered.policy


def test_a_rendered_document_knows_its_owner(tmp_path: Path) -> None:
    """Nobody has to tell natsmith in whose name a release provisions."""
    _, rendered = through_helm({}, tmp_path)

    assert "default/dev" == rendered.owner


@pytest.mark.parametrize("word", ["=", "<<"])
def test_a_word_that_helm_writes_bare_is_refused_and_not_misread(tmp_path: Path, word: str) -> None:
    """Of all texts Helm forgets the quotes around these two."""
    with pytest.raises(AssertionError, match="bare word"):
        through_helm({"buckets": {"b": {"description": word}}}, tmp_path)


@settings(max_examples=10, deadline=None, derandomize=True, database=None)
@given(words=st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"])), min_size=20, max_size=40))
def test_any_text_stays_the_same_text(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> None:
    assert [] == differing(*through_helm({"buckets": buckets(words)}, tmp_path_factory.mktemp("values")))
