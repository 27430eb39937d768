"""How values are read: files over each other, --set over all, rendered documents, and every refusal."""

from __future__ import annotations

import io
import json
import os
import re
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from natsmith.adapters.documents import DEEPEST, FASTEST, Parser, read_documents
from natsmith.adapters.files import LARGEST
from natsmith.adapters.values import load
from natsmith.errors import WrongValues
from natsmith.model.units import Ambiguous, Json

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a values file and returns its path."""

    def write(content: str | bytes, name: str = "values.yaml") -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def loaded(*files: str, sets: tuple[str, ...] = (), stdin: str = "") -> Json:
    return load(files, sets, stdin=io.BytesIO(stdin.encode()))


def refused(*files: str, sets: tuple[str, ...] = (), stdin: str = "") -> str:
    with pytest.raises(WrongValues) as caught:
        loaded(*files, sets=sets, stdin=stdin)
    return str(caught.value)


# Overlays


def test_maps_merge_and_lists_are_replaced(write: Write) -> None:
    base = write("buckets: {a: {ttlSeconds: 1, history: 2}}\nstreams: {S: {subjects: [a, b]}}", "base.yaml")
    over = write("buckets: {a: {ttlSeconds: 5}, b: {}}\nstreams: {S: {subjects: [c]}}", "over.yaml")

    expected = {
        "buckets": {"a": {"ttlSeconds": 5, "history": 2}, "b": {}},
        "streams": {"S": {"subjects": ["c"]}},
    }
    assert expected == loaded(base, over)


def test_a_null_removes_what_an_earlier_file_said(write: Write) -> None:
    base = write("buckets: {a: {history: 2}, b: {}}", "base.yaml")
    over = write("buckets: {a: {history: null}, b: null, c: {ttlSeconds: ~}}", "over.yaml")

    assert loaded(base, over) == {"buckets": {"a": {}, "c": {}}}


def test_a_later_file_brings_back_what_a_null_removed(write: Write) -> None:
    files = [write("a: {b: 1}", "1"), write("a: null", "2"), write("a: {c: 2}", "3")]

    assert loaded(*files) == {"a": {"c": 2}}


def test_a_null_in_a_list_stays(write: Write) -> None:
    """A list has no keys that a null could remove, so it is left to the model."""
    assert loaded(write("a: [1, null, {b: null}]")) == {"a": [1, None, {"b": None}]}


def test_a_map_and_a_scalar_replace_each_other(write: Write) -> None:
    base = write("a: {b: 1}\nc: 3", "base.yaml")
    over = write("a: 2\nc: {d: 4}", "over.yaml")

    assert loaded(base, over) == {"a": 2, "c": {"d": 4}}


def test_an_empty_file_is_an_empty_map(write: Write) -> None:
    for nothing in ("", "# a comment\n", "---\n", "null", "{}"):
        assert loaded(write(nothing)) == {}


def test_no_file_at_all_is_an_empty_map() -> None:
    assert loaded() == {}


def test_a_dash_is_standard_input(write: Write) -> None:
    base = write("a: {b: 1}")

    assert loaded(base, "-", stdin="a: {c: 2}") == {"a": {"b": 1, "c": 2}}


def test_standard_input_can_be_read_only_once() -> None:
    assert (
        refused("-", "-", stdin="a: 1") == "-f - is given twice, but standard input can be read only once: give it once"
    )


def test_every_wrong_file_is_named_at_once(write: Write) -> None:
    first, second = write("a: 1\na: 2", "1.yaml"), write("- x", "2.yaml")

    problems = refused(first, second, sets=("x",)).splitlines()

    assert [first, second, "--set x"] == [re.split(r"[,:] | is a", each)[0] for each in problems]


# --set


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a.b=1", {"a": {"b": 1}}),
        ("a=true", {"a": True}),
        ("a=False", {"a": False}),
        ("a=-5", {"a": -5}),
        ("a=0", {"a": 0}),
        ("a=017", {"a": "017"}),
        ("a=1.5", {"a": "1.5"}),
        ("a=yes", {"a": "yes"}),
        ("a=9223372036854775808", {"a": "9223372036854775808"}),
        ("a=", {"a": ""}),
        ("a=b=c", {"a": "b=c"}),
        (r"a\.b=1", {"a.b": 1}),
        (r"a=x\,y", {"a": "x,y"}),
        ("a=[1]", {"a": "[1]"}),
    ],
)
def test_set_types_a_value_as_helm_does(given: str, expected: Json) -> None:
    assert expected == loaded(sets=(given,))


def test_set_wins_over_files_and_null_removes(write: Write) -> None:
    file = write("buckets: {a: {ttlSeconds: 1}, b: {}}")

    expected = {"buckets": {"a": {"ttlSeconds": 60}}}
    assert expected == loaded(file, sets=("buckets.a.ttlSeconds=60", "buckets.b=null"))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a={1,2}", "--set a: natsmith does not read lists here: write it into a file and give that with -f"),
        ("a[0]=1", "--set a: natsmith does not read [ in a path: write it into a file and give that with -f"),
        ("a,b=1", "--set a: natsmith does not read , in a path: write it into a file and give that with -f"),
        (
            "a=1,b=2",
            "--set a: natsmith reads one value and no commas: give --set again, or write \\, for a comma",
        ),
        ("a", "--set a: is not a path and a value: write it as buckets.sessions.ttlSeconds=60"),
        ("a..b=1", "--set a..b: is not a path and a value: write it as buckets.sessions.ttlSeconds=60"),
        ("=1", "--set : is not a path and a value: write it as buckets.sessions.ttlSeconds=60"),
        ("z.q.r=1", "--set z.q.r: z is 3, which has no keys: set z itself"),
    ],
)
def test_set_refuses_what_it_does_not_read(write: Write, given: str, expected: str) -> None:
    assert expected == refused(write("z: 3"), sets=(given,))


def test_a_set_is_no_deeper_than_a_file() -> None:
    expected = f"--set a.a.a...: has 3000 parts, but at most {DEEPEST} maps are inside each other: check the path"
    assert expected == refused(sets=(".".join("a" * 3000) + "=1",))
    assert loaded(sets=(".".join("a" * DEEPEST) + "=1",))


def test_a_set_of_bytes_that_are_no_text_is_refused() -> None:
    """Python keeps such bytes of a command line as halves of surrogate pairs, which no server takes."""
    assert "--set x.description: holds bytes that are not UTF-8: write it as UTF-8" == refused(
        sets=("x.description=\udcff",)
    )


def test_a_refused_set_never_shows_its_value() -> None:
    assert "hunter2" not in refused(sets=("password={hunter2}", "password=hunter2,hunter2"))


# Rendered documents

DESIRED = """
apiVersion: v1
kind: ConfigMap
metadata: {name: demo-natsmith}
data:
  desired.yaml: |
    owner: default/demo
    buckets: {a: {ttlSeconds: 5}}
"""
SERVICE = "\napiVersion: v1\nkind: Service\nmetadata: {name: demo}\n"


def test_a_rendered_chart_gives_its_desired_document() -> None:
    rendered = f"---\n# Source: a\n{SERVICE}---\n# Source: nothing\n---{DESIRED}"

    assert loaded("-", stdin=rendered) == {"owner": "default/demo", "buckets": {"a": {"ttlSeconds": 5}}}


def test_values_can_be_laid_over_a_rendered_chart() -> None:
    assert loaded("-", stdin=DESIRED, sets=("buckets.a.ttlSeconds=7",))["buckets"]["a"]["ttlSeconds"] == 7


def test_a_rendered_chart_without_a_desired_document_is_refused() -> None:
    expected = (
        "standard input is rendered by Helm and holds 1 ConfigMap, 2 Service, but no ConfigMap with the key "
        "desired.yaml: render the natsmith chart with its provisioner on"
    )
    other = DESIRED.replace("desired.yaml", "nats.conf")
    assert expected == refused("-", stdin=f"{SERVICE}---{SERVICE}---{other}")


def test_two_desired_documents_are_refused() -> None:
    second = DESIRED.replace("demo-natsmith", "other")

    assert "2 ConfigMaps with the key desired.yaml (demo-natsmith, other)" in refused(
        "-", stdin=f"{DESIRED}---{second}"
    )


def test_a_mistake_inside_a_desired_document_names_its_place() -> None:
    expected = (
        "standard input: desired.yaml in ConfigMap demo-natsmith, line 3: "
        "the key buckets is written again, first in line 2: remove one of them"
    )
    assert expected == refused("-", stdin=f"{DESIRED}    buckets: {{}}\n")


def test_several_plain_documents_are_refused(write: Write) -> None:
    """Helm reads the first one and loses the others without a word."""
    file = write("a: 1\n---\nb: 2")

    assert f"{file} holds several YAML documents, of which Helm reads only the first" in refused(file)
    assert loaded(write("a: 1\n---\n")) == {"a": 1}


# Scalars and keys


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


def test_an_ambiguous_key_of_an_overlay_stays_marked(write: Write) -> None:
    base, over = write("'on': 1", "base.yaml"), write("on: 2", "over.yaml")

    assert [Ambiguous] == [type(key) for key in loaded(base, over)]


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


# Files that cannot be read


def test_a_missing_file_is_refused() -> None:
    assert refused("no/such.yaml") == "no/such.yaml does not exist: check its name and the directory you are in"


def test_a_directory_is_refused(tmp_path: Path) -> None:
    assert f"{tmp_path} is a directory, but must be a file: name the file in it" == refused(str(tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_refused(write: Write) -> None:
    file = write("a: 1")
    Path(file).chmod(stat.S_IWUSR)

    assert f"{file} may not be read by this user: change its permissions" == refused(file)


def test_a_name_that_is_no_name_is_refused() -> None:
    assert refused("a\0b") == "'a\\x00b' cannot be read: its name holds a null character"


def test_a_large_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "large.yaml"
    with file.open("wb") as sparse:
        sparse.truncate(2**40)

    expected = (
        f"{file} has 1099511627776 bytes, but at most 4194304 are read (4 MiB): "
        "split it into several -f files, or render less"
    )
    assert expected == refused(str(file))


def test_a_large_pipe_is_refused_after_its_first_part() -> None:
    assert "standard input has more than 4194304 bytes" in refused("-", stdin="#" * (LARGEST + 1))


def test_standard_input_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "closed").open("wb") as closed, pytest.raises(WrongValues) as caught:
        load(["-"], stdin=closed)

    assert str(caught.value) == "standard input cannot be read: it is closed"


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
def test_an_error_never_shows_what_the_file_holds(text: str, parser: Parser, write: Write) -> None:
    """Values may hold passwords, and errors end in logs."""
    assert SECRET not in refused(write(text))
    assert SECRET not in (said(text, parser) or "")


def said(text: str, parser: Parser) -> str | None:
    try:
        read_documents(text.encode(), "f.yaml", parser=parser)
    except WrongValues as error:
        return str(error)
    return None


@pytest.mark.parametrize("text", ["- a", "3", "text", "'x'"])
def test_values_must_be_a_map(text: str, write: Write) -> None:
    file = write(text)

    assert refused(file).startswith(f"{file} is a")
    assert refused(file).endswith("but must be a map of values such as buckets: {}")


# Speed


def test_a_thousand_buckets_are_read_in_a_blink(write: Write) -> None:
    """10 ms on a laptop; the bound only catches a loader that has become slow by its nature."""
    body = "".join(
        f"  b{n}: {{profile: sessionCache, ttlSeconds: {n}, history: 1, maxValue: 1Mi}}\n" for n in range(1000)
    )
    file = write(f"buckets:\n{body}")
    seconds = []
    for _ in range(3):
        begun = time.perf_counter()
        assert len(loaded(file)["buckets"]) == 1000
        seconds.append(time.perf_counter() - begun)

    assert min(seconds) < (0.1 if yaml.__with_libyaml__ else 1.5)
