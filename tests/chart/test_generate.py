"""The chart's schema and table follow from values.yaml and its comments, or a sentence says why they cannot."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

import generate
from natsmith.errors import WrongValues
from natsmith.model.schema import json_schema
from natsmith.model.units import Json

MARKED = "# A chart\n\n<!-- values: begin -->\nold\n<!-- values: end -->\n\nThe end.\n"


def schema(text: str) -> dict[str, Json]:
    """Return the whole schema that follows from a values.yaml."""
    result: dict[str, Json] = generate.schema(generate.read(text, "values.yaml"))
    return result


def schema_of(text: str, key: str = "a") -> Json:
    return schema(text)["properties"][key]


def rows(text: str) -> list[str]:
    """Return the lines of the table below its head."""
    lines: list[str] = generate.table(generate.read(text, "values.yaml")).splitlines()
    return lines[2:]


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(WrongValues) as caught:
        generate.read(text, "values.yaml")
    return caught.value.problems


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    (tmp_path / "values.yaml").write_text("# -- How many.\na: 1\n")
    (tmp_path / "README.md").write_text(MARKED)
    return tmp_path


@pytest.mark.parametrize(
    ("default", "expected"),
    [
        ("text", "string"),
        ('"1"', "string"),
        ("1", "integer"),
        ("1.5", "number"),
        ("true", "boolean"),
        ("[]", "array"),
        ("{}", "object"),
    ],
)
def test_the_type_follows_from_the_default(default: str, expected: str) -> None:
    assert expected == schema_of(f"# -- It.\na: {default}\n")["type"]


def test_a_map_has_the_keys_inside_it_and_no_others() -> None:
    expected = {
        "type": "object",
        "additionalProperties": False,
        "required": ["b"],
        "properties": {"b": {"description": "It.", "type": "integer"}},
    }

    assert expected == schema_of("a:\n  # -- It.\n  b: 1\n")


def test_an_empty_map_may_hold_anything() -> None:
    assert schema_of("# -- It.\na: {}\n")["additionalProperties"] is True


def test_a_description_goes_on_over_lines() -> None:
    assert schema_of("# A heading.\n# -- It goes\n#\n# on.\na: 1\n")["description"] == "It goes on."


def test_a_comment_is_not_a_description_of_a_key_below_a_blank_line() -> None:
    assert "has no description" in problems("# -- It.\n\na: 1\n")[0]


def test_a_line_of_a_text_is_not_a_comment() -> None:
    assert "a has no description" in problems("b:\n  # -- It.\n  c: |\n    # -- Not a comment.\na: 1\n")[0]


def test_what_schema_says_is_laid_over_the_type() -> None:
    expected = {"description": "It.", "type": ["integer", "string"], "minimum": 3}

    assert expected == schema_of("# -- It.\n# @schema {type: [integer, string], minimum: 3}\na: 30\n")


def test_what_schema_says_of_one_property_keeps_the_others() -> None:
    found = schema_of("# @schema {properties: {c: {type: string}}}\na:\n  # -- It.\n  b: 1\n")

    assert sorted(found["properties"]) == ["b", "c"]


def test_a_schema_can_be_a_block_and_the_description_goes_on_after_it() -> None:
    text = "# -- By\n# @schema\n#   additionalProperties:\n#     type: object\n#     required: [x]\n# name.\na: {}\n"
    expected = {
        "description": "By name.",
        "type": "object",
        "additionalProperties": {"type": "object", "required": ["x"]},
    }

    assert expected == schema_of(text)


def test_a_bare_no_in_a_schema_is_the_word() -> None:
    assert schema_of("# -- It.\n# @schema {enum: [no, yes]}\na: 'no'\n")["enum"] == ["no", "yes"]


def test_an_opaque_map_may_hold_anything() -> None:
    expected = {"description": "It.", "type": "object", "additionalProperties": True}

    assert expected == schema_of("# -- It.\n# @schema {opaque: true}\na: {limits: {cpu: 1}}\n")


@pytest.mark.parametrize("section", ["buckets", "streams", "objectStores"])
def test_objects_have_the_schema_of_natsmith(section: str) -> None:
    text = f"# -- Ours.\n# @schema {{from: {section}}}\n{section}: {{}}\n"

    assert json_schema()["properties"][section] == schema_of(text, section)


def test_a_key_inside_provisioner_has_the_schema_of_natsmith() -> None:
    text = "provisioner:\n  # -- Ours.\n  # @schema {from: provisioner.onImmutable}\n  onImmutable: refuse\n"
    expected = json_schema()["properties"]["provisioner"]["properties"]["onImmutable"]

    assert expected == schema_of(text, "provisioner")["properties"]["onImmutable"]


def test_a_parent_chart_may_set_global_and_enabled_and_nothing_else() -> None:
    validator = jsonschema.Draft7Validator(schema("# -- It.\na: 1\n"))

    assert [True, False] == [
        validator.is_valid({"a": 1, each: True, "global": {"x": 1}}) for each in ("enabled", "enable")
    ]


def test_a_default_that_is_taken_away_is_missed() -> None:
    """Only somebody's null does that, and templates would meet it."""
    validator = jsonschema.Draft7Validator(schema("# -- It.\na: 1\n"))

    assert [] != list(validator.iter_errors({}))


def test_a_map_by_name_may_be_null() -> None:
    """It is what remains when all of its entries are commented out."""
    text = "# -- It.\n# @schema {additionalProperties: {type: object, properties: {b: {type: string}}}}\na: {}\n"

    assert [] == list(jsonschema.Draft7Validator(schema(text)).iter_errors({}))


def test_a_key_without_description_is_named() -> None:
    expected = ("values.yaml, line 2: a.b has no description: write `# -- …` directly above it, at its column",)

    assert expected == problems("a:\n  b: 1\n")


def test_a_map_of_described_keys_needs_no_description() -> None:
    assert "description" not in schema_of("a:\n  # -- It.\n  b: 1\n")


def test_a_null_without_schema_is_named() -> None:
    assert "values.yaml, line 2: a is null, which implies no type" in problems("# -- It.\na: null\n")[0]


def test_a_null_with_a_schema_is_a_default() -> None:
    text = "# -- It.\n# @schema {type: [integer, 'null']}\na: null\n"

    assert (["integer", "null"], ["| `a` | `null` | It. |"]) == (schema_of(text)["type"], rows(text))


def test_a_bare_word_that_readers_differ_on_is_named() -> None:
    assert "a is the bare word no" in problems("# -- It.\na: no\n")[0]


def test_a_default_that_breaks_its_schema_is_named() -> None:
    assert problems("a:\n  # -- It.\n  # @schema {enum: [1, 3]}\n  b: 2\n")[0].startswith(
        "values.yaml: a.b: the default"
    )


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("# @schema {minium: 1}", "@schema says minium, which it cannot"),
        ("# @schema {items: {$ref: '#'}}", "@schema says $ref, which it cannot"),
        ("# @schema {type: strin}", "@schema is no JSON Schema"),
        ("# @schema {pattern: '['}", "@schema is no JSON Schema"),
        ("# @schema\n# type: string", "@schema says nothing"),
        ("# @schema {from: bucket}", "`natsmith schema` has no bucket"),
        ("# @schema {opaque: maybe}", "opaque is"),
        ("# @schema {type: [}", "is not YAML"),
        ("# @shema {}", "# @shema is no annotation"),
        ("# -- Again.", "# -- is there twice"),
        ("# @schema {minimum: 1}\n# @schema {maximum: 1}", "# @schema is there twice"),
    ],
)
def test_an_annotation_that_says_nothing_useful_is_named(comment: str, expected: str) -> None:
    found = problems(f"# -- It.\n{comment}\na: 1\n")[0]

    assert found.startswith("values.yaml, line ")
    assert expected in found


def test_a_property_may_be_called_like_anything() -> None:
    """Only words are checked, not the names of properties."""
    assert schema_of("# -- It.\n# @schema {properties: {from: {type: string}}}\na: {}\n")["properties"].keys() == {
        "from"
    }


def test_all_problems_are_told_at_once() -> None:
    assert len(problems("a: 1\nb:\n  c: null\n")) == 3


def test_each_leaf_has_a_row() -> None:
    text = "# -- Group.\na:\n  # -- One | two,\n  # three.\n  b: x|y\n  # -- Empty.\n  c: {}\n# -- List.\nd: [1, é]\n"

    assert [
        '| `a.b` | `"x\\|y"` | One \\| two, three. |',
        "| `a.c` | `{}` | Empty. |",
        '| `d` | `[1,"é"]` | List. |',
    ] == rows(text)


@pytest.mark.parametrize("said", ["opaque: true", "additionalProperties: {type: object}"])
def test_a_map_of_free_keys_is_one_row(said: str) -> None:
    text = f"# -- It.\n# @schema {{{said}}}\na: {{limits: {{cpu: 1}}}}\n"

    assert ['| `a` | `{"limits":{"cpu":1}}` | It. |'] == rows(text)


def test_the_table_goes_between_the_markers(chart: Path) -> None:
    assert generate.main([], chart) == 0

    before, after = MARKED.split("old")
    table = "\n| key | default | what it does |\n| --- | --- | --- |\n| `a` | `1` | How many. |\n\n"
    assert before + table + after.removeprefix("\n") == (chart / "README.md").read_text()


def test_the_schema_is_written_in_the_order_of_the_values(chart: Path) -> None:
    (chart / "values.yaml").write_text("# -- é.\nb: 1\n# -- It.\na: 1\n")
    generate.main([], chart)
    text = (chart / "values.schema.json").read_text()

    assert ["b", "a", "global", "enabled"] == list(json.loads(text)["properties"])
    assert '\n  "type": "object",\n' in text
    assert "é" in text
    assert text.endswith("}\n")


def test_check_names_what_is_stale_and_writes_nothing(chart: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--check"], chart) == 1

    lines = capsys.readouterr().out.splitlines()
    assert ["values.schema.json", "README.md"] == [Path(each.partition(" is stale")[0]).name for each in lines]
    assert MARKED == (chart / "README.md").read_text()
    assert not (chart / "values.schema.json").exists()


def test_check_is_content_with_what_was_just_written(chart: Path) -> None:
    generate.main([], chart)

    assert generate.main(["--check"], chart) == 0


def test_a_page_without_markers_is_refused_with_the_cure(chart: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (chart / "README.md").write_text("# A chart\n")

    assert generate.main([], chart) == 2
    assert "add these lines where the table belongs" in capsys.readouterr().err
    assert not (chart / "values.schema.json").exists()
