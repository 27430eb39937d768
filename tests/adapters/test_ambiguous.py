"""What is marked as ambiguous, and that no more is than has to be."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from adapters.bare import REFUSED_BY_HELM, SCALARS, same
from natsmith.adapters.documents import read_documents
from natsmith.adapters.scalars import resolve
from natsmith.model.units import Ambiguous, Json


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
