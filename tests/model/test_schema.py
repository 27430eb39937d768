"""The JSON Schema and the page of settings say what reading does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from natsmith.model.fields import Field, Group, Groups
from natsmith.model.kind import Kind
from natsmith.model.reading import DEAD_LETTER_SETTINGS, POLICY, read
from natsmith.model.resources import BUCKET, CONSUMER, KINDS, OBJECT_STORE, PROFILES, STREAM
from natsmith.model.schema import json_schema, markdown, wishes
from natsmith.model.units import Count, Flag, Json, Number, Seconds, SecondsList, Size, Type
from natsmith.model.words import Choice, Labels, Text, Texts, Time

SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
EXAMPLES = sorted((Path(__file__).parents[2] / "values").glob("*.yaml"))
# Deterministic, so that a run on a slow machine is like any other.
steady = settings(deadline=None, derandomize=True, database=None, max_examples=150)


def accepted_by_schema(document: Json) -> bool:
    return bool(VALIDATOR.is_valid(document))


def accepted_by_reading(document: Json) -> bool:
    return not read(document)[1]


def test_the_schema_is_itself_valid() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_the_schema_stands_alone() -> None:
    """A chart embeds it under a schema of its own, where a $ref would point elsewhere."""
    assert "$ref" not in json.dumps(SCHEMA)


def test_every_key_of_the_schema_is_described() -> None:
    def undescribed(schema: Json, path: str) -> Iterator[str]:
        for name, each in schema.get("properties", {}).items():
            if not each.get("description"):
                yield f"{path}.{name}"
            yield from undescribed(each, f"{path}.{name}")
        for inner in ("additionalProperties", "items"):
            if isinstance(schema.get(inner), dict):
                yield from undescribed(schema[inner], f"{path}.*")

    assert [] == list(undescribed(SCHEMA, ""))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_accepted(example: Path) -> None:
    document = yaml.safe_load(example.read_text())

    assert (True, []) == (accepted_by_schema(document), read(document)[1])


def test_keys_of_the_chart_are_left_alone() -> None:
    document = {"nats": {"enabled": True}, "global": {}, "enabled": True, "provisioner": {"mode": "hook", "image": {}}}

    assert accepted_by_schema(document)
    assert accepted_by_reading(document)


def test_null_takes_out_every_entry_and_every_setting() -> None:
    """An overlay removes what an earlier file said."""
    for kind in KINDS:
        body: dict[str, Json] = dict.fromkeys([*(each.name for each in kind.fields if not each.pinned), *wishes(kind)])
        document: Json = {kind.section: {"A": body, "B": None}}
        if kind is CONSUMER:
            document = {"streams": {"S": {"subjects": ["s"], **document}}}
        assert (True, True) == (accepted_by_schema(document), accepted_by_reading(document))
    document = {
        "provisioner": {**dict.fromkeys(POLICY), "consent": {"a": None}},
        "buckets": None,
        "accounts": None,
        "owner": None,
    }
    assert (True, True) == (accepted_by_schema(document), accepted_by_reading(document))


# Generated settings


def right(type_: Type) -> st.SearchStrategy[Json]:
    """Return right values of *type_*."""
    simple: dict[type, st.SearchStrategy[Json]] = {
        Flag: st.booleans(),
        Text: st.sampled_from(["", "a word", "1Gi"]),
        Texts: st.lists(st.sampled_from(["a", "b.>", "yes"]), max_size=3),
        Labels: st.dictionaries(st.sampled_from(["a", "team/x"]), st.sampled_from(["b", "12", None])),
        Time: st.sampled_from(["", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00.123456789+01:00"]),
        SecondsList: st.lists(st.integers(1, 100), max_size=3),
    }
    match type_:
        case Choice(words):
            return st.sampled_from(words)
        case Seconds() | Number() | Count():
            bounds = type_.schema()
            return st.integers(bounds["minimum"], bounds["maximum"])
        case Size(most):
            return st.integers(0, most) | st.sampled_from(["0", "512Ki", "1Mi", "1000"])
        case Group(fields):
            return st.fixed_dictionaries({}, optional={each.name: right(each.type) | st.none() for each in fields})
        case Groups(group):
            return st.lists(right(group), max_size=2)
    return simple[type(type_)]


def wrong(type_: Type) -> st.SearchStrategy[Json]:
    """Return values whose form is wrong for *type_*."""
    never = [True] if not isinstance(type_, Flag) else [1]
    numbers: list[Json] = ["5", "x", "1h", [], {}, -1, 1.5, *never]
    texts: list[Json] = [5, 1.5, [], {}, *never]
    choices: dict[type, list[Json]] = {
        Flag: ["yes", "true", 0, 1, [], {}],
        Text: texts,
        Texts: ["a", 5, {}, [5], [None], *never],
        Labels: ["a", [], {"a": 5}, {"natsmith.x": "y"}, {"_nats.x": "y"}],
        Time: [5, "yesterday", "2026-01-31", "2026-01-31 12:00:00Z", "2026-01-31T12:00:00"],
        SecondsList: [5, "5", ["5"], [0], [-1], {}],
        Choice: ["", "nothing", 5, [], *never],
        Size: ["5G", "x", "1.5Gi", "-1", "5 Gi", [], {}, -1, 1.5, *never],
    }
    match type_:
        case Group():
            return st.sampled_from([5, "x", [], {"nothing": 1}, *never])
        case Groups():
            return st.sampled_from([5, "x", {}, [5], [{"nothing": 1}]])
    return st.sampled_from(choices.get(type(type_), numbers))


SETTINGS = [(kind, each) for kind in KINDS for each in kind.fields if not each.pinned]


def holding(kind: Kind, name: str, value: Json) -> Json:
    document = {kind.section: {"A": {name: value}}}
    return {"streams": {"S": document}} if kind is CONSUMER else document


@steady
@given(st.data(), st.sampled_from(SETTINGS))
def test_right_settings_are_accepted_by_both(data: st.DataObject, setting: tuple[Kind, Field]) -> None:
    kind, field = setting
    document = holding(kind, field.name, data.draw(right(field.type)))

    assert (True, []) == (accepted_by_schema(document), read(document)[1])


@steady
@given(st.data(), st.sampled_from(SETTINGS))
def test_wrong_settings_are_refused_by_both(data: st.DataObject, setting: tuple[Kind, Field]) -> None:
    kind, field = setting
    document = holding(kind, field.name, data.draw(wrong(field.type)))
    problems = read(document)[1]

    assert (False, 1) == (accepted_by_schema(document), len(problems))
    assert field.name in problems[0]


WRONG_FORMS: dict[str, Json] = {
    "buckets is a list": {"buckets": []},
    "a bucket is a text": {"buckets": {"a": "x"}},
    "an unknown setting": {"buckets": {"a": {"ttl": 5}}},
    "a pinned field": {"buckets": {"a": {"subjects": ["x"]}}},
    "a name with a dot": {"buckets": {"a.b": {}}},
    "a name with a space": {"streams": {"a b": {}}},
    "a long name": {"buckets": {"a" * 253: {}}},
    "a name of natsmith's own": {"buckets": {"natsmith_state": {}}},
    "a name of natsmith's own, as a stream": {"streams": {"KV_natsmith_state": {}}},
    "an unknown profile": {"buckets": {"a": {"profile": "none"}}},
    "a profile of a stream": {"streams": {"A": {"profile": "sessionCache"}}},
    "a renamedFrom that is no name": {"buckets": {"a": {"renamedFrom": "b.c"}}},
    "an adopt that is a word": {"buckets": {"a": {"adopt": "please"}}},
    "an onImmutable that nobody knows": {"buckets": {"a": {"onImmutable": "never"}}},
    "a config that is a list": {"buckets": {"a": {"config": []}}},
    "a config with a name": {"streams": {"A": {"config": {"name": "B"}}}},
    "an account that is a number": {"accounts": {"a": {}}, "buckets": {"b": {"account": 5}}},
    "accounts as a list": {"accounts": ["a"]},
    "an owner that is a number": {"owner": 5},
    "consumers of a bucket": {"buckets": {"a": {"consumers": {}}}},
    "consumers as a list": {"streams": {"A": {"consumers": []}}},
    "a consumer with an illegal name": {"streams": {"A": {"consumers": {"a.b": {}}}}},
    "an account of a consumer": {"streams": {"A": {"consumers": {"b": {"account": "app"}}}}},
    "an unknown setting of a dead letter": {"streams": {"A": {"consumers": {"b": {"deadLetter": {"subjects": []}}}}}},
    "a dead letter that is true": {"streams": {"A": {"consumers": {"b": {"deadLetter": True}}}}},
    "a dead letter with a number for a name": {"streams": {"A": {"consumers": {"b": {"deadLetter": {"stream": 5}}}}}},
    "a policy that is a list": {"provisioner": []},
    "a prune that is a word": {"provisioner": {"prune": "yes"}},
    "a loss that nobody knows": {"provisioner": {"loss": "some"}},
    "a consent that is none": {"provisioner": {"consent": {"a": "yes"}}},
    "consents as a list": {"provisioner": {"consent": ["c-1"]}},
}


@pytest.mark.parametrize("document", WRONG_FORMS.values(), ids=WRONG_FORMS)
def test_a_wrong_form_is_refused_by_both_with_one_problem(document: Json) -> None:
    assert (False, 1) == (accepted_by_schema(document), len(read(document)[1]))


def test_helm_understands_the_schema(tmp_path: Path) -> None:
    """Helm's validators compile patterns as Go does and know no lookahead."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: t\nversion: 0.1.0\n")
    (tmp_path / "templates" / "x.yaml").write_text("a: b\n")
    (tmp_path / "values.schema.json").write_text(json.dumps(SCHEMA))

    def helm(document: Json) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "v.json"
        file.write_text(json.dumps(document))
        command = [
            str(each) for each in (Path(sys.executable).with_name("helm"), "template", "t", tmp_path, "-f", file)
        ]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    for example in EXAMPLES:
        assert (0, "") == ((run := helm(yaml.safe_load(example.read_text()))).returncode, run.stderr)
    # All at once, since each helm costs 50 ms: every one of these keys is named.
    named = ["ttlSeconds", "a.b", "natsmith_x", "natsmith.y", "startTime"]
    buckets: dict[str, Json] = {
        "a": {"ttlSeconds": "x"},
        "a.b": {},
        "natsmith_x": {},
        "c": {"metadata": {"natsmith.y": "z"}},
    }
    consumers = {"w": {"startTime": "yesterday"}}
    refused = helm({"buckets": buckets, "streams": {"S": {"consumers": consumers}}})
    assert (1, []) == (refused.returncode, [each for each in named if each not in refused.stderr])


# The page


def test_the_page_names_every_setting_and_every_wish() -> None:
    page = markdown()
    names = {each.name for kind in KINDS for each in kind.fields if not each.pinned}
    names |= (
        {wish for kind in KINDS for wish in wishes(kind)}
        | set(PROFILES)
        | set(POLICY)
        | {"consent", *DEAD_LETTER_SETTINGS}
    )

    assert [] == sorted(name for name in names if f"`{name}`" not in page)


def test_the_page_names_no_pinned_setting_of_a_kind() -> None:
    bucket = markdown().partition("## `buckets")[2].partition("## `streams")[0]

    assert "`allowDirect`" not in bucket


@pytest.mark.parametrize(
    ("kind", "setting", "expected"),
    [
        (BUCKET, "ttlSeconds", "| seconds | `0` | yes; less expires what is older |"),
        (BUCKET, "history", "| number, 1 to 64 | `1` | yes; less drops the oldest of each subject |"),
        (BUCKET, "storage", "| `file` or `memory` | `file` | no: a store cannot be converted in place |"),
        (OBJECT_STORE, "maxBytes", "| size | `0` | yes; can drop the oldest, unless discard is new |"),
        (
            STREAM,
            "denyPurge",
            "| `true` or `false` | `false`, or as other settings need | on only: the server never takes it back |",
        ),
    ],
)
def test_the_page_says_whether_a_setting_changes_in_place(kind: Kind, setting: str, expected: str) -> None:
    section = markdown().partition(f"## `{kind.section}.<name>`")[2]

    assert f"| `{setting}` {expected}" in section


def test_every_table_of_the_page_is_well_formed() -> None:
    for block in markdown().split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({row.replace("\\|", "").count("|") for row in rows}) <= 1
