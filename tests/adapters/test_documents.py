"""How YAML is read: what is ambiguous, what is refused, and what an error shows of it."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

import pytest
import yaml

from natsmith.adapters.documents import DEEPEST, FASTEST, Parser, read_documents
from natsmith.adapters.values import load
from natsmith.errors import WrongValues
from natsmith.model.units import Ambiguous, Json


@pytest.fixture(params=[FASTEST, yaml.SafeLoader], ids=["libyaml", "python"])
def parser(request: pytest.FixtureRequest) -> Parser:
    """Return each parser that an installation of PyYAML can have."""
    found: Parser = request.param
    return found


def read(text: str | bytes, parser: Parser = FASTEST) -> Json:
    documents = read_documents(text if isinstance(text, bytes) else text.encode(), "f.yaml", parser=parser)
    assert len(documents) == 1
    return documents[0]


def problem(text: str | bytes, parser: Parser = FASTEST) -> str:
    with pytest.raises(WrongValues) as caught:
        read(text, parser)
    return str(caught.value)


@pytest.mark.parametrize(
    "word", ["yes", "No", "ON", "off", "y", "N", "12:30", "0o17", "017", "08", "1_000", ".inf", ".nan"]
)
def test_a_bare_word_that_readers_take_for_different_things_is_ambiguous(word: str, parser: Parser) -> None:
    value = read(f"a: {word}", parser)["a"]

    assert (Ambiguous, word) == (type(value), value)


def test_an_ambiguous_key_is_marked_as_well(parser: Parser) -> None:
    assert [Ambiguous, str, str, str] == [type(key) for key in read("on: 1\n'off': 2\ntrue: 3\n12: 4", parser)]


def test_quoted_scalars_are_always_text(parser: Parser) -> None:
    assert read("a: 'yes'\nb: \"12\"\nc: 'null'", parser) == {"a": "yes", "b": "12", "c": "null"}
    assert [str] * 3 == [type(value) for value in read("a: 'yes'\nb: \"12\"\nc: 'null'", parser).values()]


def test_plain_tags_say_what_a_scalar_is(parser: Parser) -> None:
    text = (
        "a: !!str 12\nb: !!int '3'\nc: !!float 1.5\nd: !!bool 'true'\ne: !!null ''\nf: ! 12\ng: !!map {}\nh: !!seq []"
    )

    expected = {"a": "12", "b": 3, "c": 1.5, "d": True, "e": None, "f": "12", "g": {}, "h": []}
    assert expected == read(text, parser)


def test_a_tag_does_not_make_an_ambiguous_word_clear() -> None:
    assert Ambiguous is type(read("a: !!bool yes")["a"])


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system [ls]",
        "a: !foo 3",
        "a: !!binary aGVsbG8=",
        "a: !!timestamp 2026-01-31",
        "a: !!set {b}",
        "a: !!map 3",
        "a: !!str {b: 1}",
    ],
)
def test_other_tags_are_refused(text: str, parser: Parser) -> None:
    expected = (
        "f.yaml, line 1, column 4: the tag here is none that natsmith reads: "
        "remove it, or put text that begins with ! in quotes"
    )
    assert expected == problem(text, parser)


@pytest.mark.parametrize("text", ["a: !!int x", "a: !!int 1.5", "a: !!null x", "a: !!bool 1", "a: !!float true"])
def test_a_tag_that_its_value_contradicts_is_refused(text: str) -> None:
    assert "the value here is not written like what its tag says: remove the tag" in problem(text)


@pytest.mark.parametrize("text", ["? [1]\n: 2", "? {a: 1}\n: 2", "a: &x 1\n*x : 3"])
def test_a_key_must_be_text(text: str, parser: Parser) -> None:
    assert "a key is a map, a list or an alias, but must be text: write it out" in problem(text, parser)


@pytest.mark.parametrize("text", ["~: 1", "null: 1", "? \n: 1"])
def test_a_null_key_is_refused(text: str, parser: Parser) -> None:
    assert problem(text, parser) == "f.yaml, line 1: a key is empty or null: name it, or put it in quotes"


def test_json_is_yaml_too(parser: Parser) -> None:
    value = {"a": [1, 1.5, True, None, "x\n\u00e9\\"], "b": {"c": "yes"}}

    assert value == read(json.dumps(value), parser)
    assert "the key a is written again" in problem('{"a": 1, "a": 2}', parser)


# Duplicates, aliases, depth


def test_a_key_written_twice_is_refused_with_both_lines(parser: Parser) -> None:
    text = "a:\n  ttl: 1\n  history: 1\n  ttl: 2\n"

    assert problem(text, parser) == "f.yaml, line 4: the key ttl is written again, first in line 2: remove one of them"


def test_the_same_key_in_different_maps_is_fine(parser: Parser) -> None:
    assert read("a: {b: 1}\nb: {b: 2}", parser) == {"a": {"b": 1}, "b": {"b": 2}}


def test_aliases_repeat_and_merge_keys_are_overridden(parser: Parser) -> None:
    text = "a: &x {b: 1, c: 2}\nd: *x\ne: {<<: *x, b: 5}\nf: {<<: [{b: 7}, *x]}"

    expected = {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 2}, "e": {"b": 5, "c": 2}, "f": {"b": 7, "c": 2}}
    assert expected == read(text, parser)


def test_a_quoted_merge_key_is_a_key() -> None:
    assert read("a: {'<<': {b: 1}}") == {"a": {"<<": {"b": 1}}}


@pytest.mark.parametrize("text", ["a: {<<: 3}", "a: {<<: [{b: 1}, 3]}", "a: {<<: null}"])
def test_a_merge_key_takes_maps_only(text: str) -> None:
    assert "the merge key << takes a map or a list of maps: give it one, or put << in quotes" in problem(text)


def test_an_alias_must_stand_for_something_else(parser: Parser) -> None:
    expected = (
        "f.yaml, line 1, column 4: the alias here stands for nothing: "
        "write its anchor before it, or put text that begins with * in quotes"
    )
    assert expected == problem("a: *x", parser)
    assert "column 8: the alias here stands for what it is a part of: write it out" in problem("a: &x [*x]", parser)


def test_anchors_end_with_their_document() -> None:
    assert "stands for nothing" in problem("a: &x 1\n---\nb: *x")


def test_an_alias_bomb_is_refused_without_expanding_it(parser: Parser) -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    begun = time.perf_counter()

    assert "the aliases stand for more than 500000 values in all: use fewer of them" in problem(
        "\n".join(lines), parser
    )
    assert time.perf_counter() - begun < 1


def test_merging_the_same_defaults_many_times_is_fine() -> None:
    lines = ["d: &d {history: 1, ttlSeconds: 5}", *(f"b{n}: {{<<: *d, history: 2}}" for n in range(20_000))]

    assert read("\n".join(lines))["b19999"] == {"history": 2, "ttlSeconds": 5}


def test_too_deep_nesting_is_refused(parser: Parser) -> None:
    assert read("[" * DEEPEST + "]" * DEEPEST, parser)
    expected = f"more than {DEEPEST} maps and lists are inside each other here: flatten them"
    assert expected in problem("[" * 5000 + "]" * 5000, parser)


def test_aliases_cannot_hide_nesting() -> None:
    lines = ["a0: &a0 []", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 500))]

    assert "are inside each other here: flatten them" in problem("\n".join(lines))


def test_bytes_that_are_not_utf8_are_refused(parser: Parser) -> None:
    assert (
        problem(b"a: 1\nb: \xe9", parser)
        == "f.yaml, line 2: holds bytes that are not UTF-8: save the file anew as UTF-8"
    )
    assert problem("a: 1".encode("utf-16"), parser) == "f.yaml is UTF-16 text, but must be UTF-8: save it anew as UTF-8"


def test_a_byte_order_mark_is_no_part_of_the_first_key(parser: Parser) -> None:
    assert read("\ufeffa: 1", parser) == {"a": 1}


def test_a_control_character_is_refused(parser: Parser) -> None:
    assert "f.yaml holds a control character, which YAML forbids" in problem("a: \x07b", parser)


def test_half_a_surrogate_pair_is_refused(parser: Parser) -> None:
    assert "f.yaml, line 1" in problem('a: "\\ud83d"', parser)
    assert "f.yaml, line 1" in problem('"\\ud83d": a', parser)


def test_a_tab_is_named(parser: Parser) -> None:
    assert problem("a:\n\tb: 1", parser) == "f.yaml, line 2: is indented by a tab, which YAML forbids: use spaces"
    assert (
        problem("a:\n  b: 1\n\tc: 1", parser) == "f.yaml, line 3: is indented by a tab, which YAML forbids: use spaces"
    )


def test_another_version_of_yaml_is_refused_as_by_helm(parser: Parser) -> None:
    assert "the text asks for another YAML than 1.1" in problem("%YAML 1.2\n---\na: 1", parser)
    assert read("%YAML 1.1\n---\na: 1", parser) == {"a": 1}


def test_a_syntax_error_names_its_place() -> None:
    expected = (
        "f.yaml, line 2, column 9: is not YAML: mapping values are not allowed in this context. "
        "Check the indentation, the quotes and the colons of this line and the one above"
    )
    assert expected == problem("a: word\n  secret: x")


SECRET = "hunter2"
BROKEN = [
    f"password: {SECRET}\n  b: {SECRET}",
    f"password: '{SECRET}",
    f'password: "{SECRET}\\q"',
    f"password: [{SECRET}",
    f"password: {{{SECRET}",
    f"password: !{SECRET[:2]} {SECRET}",
    f"password: @{SECRET}",
    f"password: *{SECRET}",
    f"password: !{SECRET}",
    f"password: !!{SECRET}",
    f"password: !{SECRET}!x",
    f"password: !<{SECRET}>",
    f"password: !!int{SECRET} 3",
    f"password: &{SECRET} [*{SECRET}]",
    f"&{SECRET} password: 3",
    f"password: &{SECRET} !x",
    f"%{SECRET}",
    f"%TAG !{SECRET}! a\n%TAG !{SECRET}! a\n---\nb: 1",
    f"\tpassword: {SECRET}",
    f"password: &x {SECRET}\nb: *y\nc: {SECRET}",
    f"password: !!int {SECRET}",
    f"password: {SECRET}\npassword: {SECRET}",
    f"password: {SECRET}\n---\nb: {SECRET}",
    f"- {SECRET}",
    SECRET,
    f"a: |\n {SECRET}\n{SECRET}\nb: 1",
    f"password: {SECRET}\x07",
]


@pytest.mark.parametrize("text", BROKEN)
def test_an_error_never_shows_what_the_file_holds(text: str, parser: Parser, tmp_path: Path) -> None:
    """Values may hold passwords, and errors end in logs."""
    (tmp_path / "values.yaml").write_text(text)
    with pytest.raises(WrongValues) as caught:
        load([str(tmp_path / "values.yaml")], stdin=io.BytesIO())
    assert SECRET not in str(caught.value)
    assert SECRET not in (said(text, parser) or "")


def said(text: str, parser: Parser) -> str | None:
    try:
        read_documents(text.encode(), "f.yaml", parser=parser)
    except WrongValues as error:
        return str(error)
    return None
