"""How values are read: files over each other, --set over all, rendered documents, and every refusal."""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from natsmith.adapters.documents import DEEPEST
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


def test_an_ambiguous_key_of_an_overlay_stays_marked(write: Write) -> None:
    base, over = write("'on': 1", "base.yaml"), write("on: 2", "over.yaml")

    assert [Ambiguous] == [type(key) for key in loaded(base, over)]


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


@pytest.mark.parametrize("text", ["- a", "3", "text", "'x'"])
def test_values_must_be_a_map(text: str, write: Write) -> None:
    file = write(text)

    assert refused(file).startswith(f"{file} is a")
    assert refused(file).endswith("but must be a map of values such as buckets: {}")
