"""Writes the chart's values.schema.json and its README's table from values.yaml and the comments in it.

Directly above a key and at its column, ``# -- text`` describes it, the lines after it go on, and ``# @schema {…}``,
or ``# @schema`` over lines indented by three spaces, is laid over the schema that its default implies. Two words are
ours: ``opaque: true`` is a map with keys of somebody else's choice, and ``from: buckets`` is that part of `natsmith schema`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import yaml
from jsonschema import Draft7Validator, SchemaError

from natsmith.adapters.files import read_bytes
from natsmith.adapters.values import read_map
from natsmith.errors import Exit, WrongValues
from natsmith.model.schema import json_schema
from natsmith.model.units import Ambiguous, Json, described

CHART = Path(__file__).parent / "natsmith"
FILES = ("values.yaml", "README.md", "values.schema.json")
BEGIN, END = "<!-- values: begin -->", "<!-- values: end -->"
TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array"}
OURS = {"opaque", "from"}
NATSMITHS: Json = json_schema()
WORDS = frozenset(Draft7Validator.META_SCHEMA["properties"]) - {"$ref", "$id", "$schema", "definitions"}
"""What an annotation can say; a reference would point elsewhere once a parent chart embeds the schema."""
PARENTS = {
    "global": {"description": "What a parent chart gives all its charts; not read here.", "type": "object"},
    "enabled": {"description": "For the condition of a parent chart; not read here.", "type": "boolean"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key of values.yaml, what the comment above it says, and the keys inside it."""

    name: str
    path: str
    default: Json
    description: str
    said: Mapping[str, Json]
    """The annotation: what is laid over the schema that follows from the default, and our own two words."""
    children: tuple[Key, ...] = ()


def read(text: str, file: str) -> tuple[Key, ...]:
    """Return the keys in *text*, the values.yaml called *file*, or say all that is wrong with it."""
    values = read_map(text.encode(), file)
    root = next(yaml.compose_all(text, Loader=yaml.SafeLoader), None)
    if not isinstance(root, yaml.MappingNode):
        return ()
    reader = _Reader(file, text.splitlines())
    keys = reader.keys(root, values, "")
    for error in () if reader.problems else Draft7Validator(schema(keys)).iter_errors(values):
        path = ".".join(map(str, error.absolute_path)) or "a key at the top"
        reader.problems.append(f"{file}: {path}: the default breaks the schema: {error.message}: change either")
    if reader.problems:
        raise WrongValues(*reader.problems)
    return keys


def schema(keys: Sequence[Key]) -> dict[str, Json]:
    """Return the JSON Schema, draft 7, of a chart with *keys*; it holds no ``$ref``."""
    own = {key.name: _schema(key) for key in keys}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "The values of the natsmith chart",
        "type": "object",
        "additionalProperties": False,
        "required": _needed(keys),
        "properties": {**own, **{name: each for name, each in PARENTS.items() if name not in own}},
    }


def table(keys: Sequence[Key]) -> str:
    """Return the Markdown table of *keys*, one row for each that has a default of its own."""
    rows = [("key", "default", "what it does"), ("---", "---", "---"), *_rows(keys)]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in rows)


def with_table(page: str, new: str, file: str) -> str:
    """Return *page*, the text of *file*, with the table *new* between its markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise WrongValues(f"{file} lacks {BEGIN} or, after it, {END}: add these lines where the table belongs")
    return f"{before}{BEGIN}\n\n{new}\n{END}{after}"


class _Reader:
    """Goes through the nodes of a file, whose lines hold the comments that YAML drops, and collects its problems."""

    def __init__(self, file: str, lines: Sequence[str]) -> None:
        self.file = file
        self.lines = lines
        self.problems: list[str] = []

    def keys(self, node: yaml.MappingNode, values: Mapping[str, Json], prefix: str) -> tuple[Key, ...]:
        # A merge key is not among the values; what it brings is then refused as a default that nothing explains.
        found = (self.key(each, inner, values, prefix) for each, inner in node.value if each.value in values)
        return tuple(each for each in found if each)

    def key(self, node: yaml.Node, inner: yaml.Node, values: Mapping[str, Json], prefix: str) -> Key | None:
        path = f"{prefix}{node.value}"
        where = f"{self.file}, line {node.start_mark.line + 1}: {path}"
        default = values[node.value]
        try:
            description, said = _comment(self.above(node.start_mark.line, node.start_mark.column), where)
        except WrongValues as error:
            self.problems += error.problems
            return None
        children: tuple[Key, ...] = ()
        whole = OURS & said.keys() or isinstance(said.get("additionalProperties"), dict)
        if isinstance(inner, yaml.MappingNode) and default and not whole:
            children = self.keys(inner, default, f"{path}.")
        elif not description:
            self.problems.append(f"{where} has no description: write `# -- …` directly above it, at its column")
        if default is None and not said:
            self.problems.append(f"{where} is null, which implies no type: add `# @schema {{type: …}}`, or a default")
        if isinstance(default, Ambiguous):
            self.problems.append(f"{where} is {described(default)}, which readers take for different things: quote it")
        return Key(name=node.value, path=path, default=default, description=description, said=said, children=children)

    def above(self, line: int, column: int) -> list[str]:
        """Return what the comments directly above *line* say after their ``#``, which stands at *column*."""
        first = line
        while first and re.match(rf" {{{column}}}#", self.lines[first - 1]):
            first -= 1
        return [each[column + 1 :].rstrip() for each in self.lines[first:line]]


def _comment(lines: Sequence[str], where: str) -> tuple[str, dict[str, Json]]:
    parts: dict[str, list[str]] = {}
    in_block = False
    for line in lines:
        text = line.strip()
        if in_block and line.startswith("   "):
            parts["@schema"].append(line)
            continue
        in_block = text == "@schema"
        mark = text.split(" ")[0]
        if mark == "--" or mark.startswith("@"):
            if mark in parts or mark not in ("--", "@schema"):
                cure = "there twice: keep one" if mark in parts else "no annotation: write # @schema"
                raise WrongValues(f"{where}: # {mark} is {cure}")
            parts[mark] = [text.removeprefix(mark)]
        elif "--" in parts:
            parts["--"].append(text)
    description = " ".join(" ".join(parts.get("--", [])).split())
    return description, _annotation("\n".join(parts["@schema"]), where) if "@schema" in parts else {}


def _annotation(text: str, where: str) -> dict[str, Json]:
    said = read_map(text.encode(), f"{where}: the text after @schema")
    if not said:
        raise WrongValues(f"{where}: @schema says nothing: follow it with {{…}}, or with lines indented by 3 spaces")
    pure = {word: each for word, each in said.items() if word not in OURS}
    if strangers := sorted(set(_strangers(pure))):
        raise WrongValues(f"{where}: @schema says {', '.join(strangers)}, which it cannot: check the spelling")
    if said.get("opaque", True) is not True:
        raise WrongValues(f"{where}: opaque is {described(said['opaque'])}: write opaque: true, or nothing")
    if "from" in said and not _natsmiths(said["from"]):
        raise WrongValues(f"{where}: `natsmith schema` has no {said['from']}: name a part of it, such as buckets")
    try:
        Draft7Validator.check_schema(pure)
    except SchemaError as error:
        raise WrongValues(f"{where}: @schema is no JSON Schema: {error.message}: correct it") from error
    return said


def _strangers(said: Mapping[str, Json]) -> Iterator[str]:
    """Yield the words in an annotation that JSON Schema does not have, which validators would silently pass over."""
    for word, value in said.items():
        if word not in WORDS:
            yield str(word)
        if word not in ("enum", "const", "default", "examples"):
            named = word in ("properties", "patternProperties") and isinstance(value, dict)
            for inner in value.values() if named else value if isinstance(value, list) else [value]:
                if isinstance(inner, dict):
                    yield from _strangers(inner)


def _natsmiths(path: Json) -> Json:
    return reduce(lambda part, name: part.get("properties", {}).get(name, {}), str(path).split("."), NATSMITHS)


def _schema(key: Key) -> dict[str, Json]:
    pure = {word: each for word, each in key.said.items() if word not in OURS}
    implied: dict[str, Json] = {}
    if "from" in key.said:
        implied = _natsmiths(key.said["from"])
    elif isinstance(key.default, dict) or "opaque" in key.said:
        implied = {"type": "object", "additionalProperties": not key.children}
        if key.children:
            implied["properties"] = {each.name: _schema(each) for each in key.children}
            implied["required"] = _needed(key.children)
    elif key.default is not None:
        implied = {"type": TYPES[type(key.default)]}
    return _over({**({"description": key.description} if key.description else {}), **implied}, pure)


def _needed(keys: Sequence[Key]) -> list[str]:
    """Return the keys that must be there: only somebody's null takes a default away, and templates would meet it.

    A map by name may be null: that is how one looks whose entries are all commented out.
    """
    of_objects = (each for each in keys if "properties" in (each.said.get("additionalProperties") or {}))
    free = {each.name for each in (*of_objects, *(each for each in keys if "from" in each.said))}
    return [each.name for each in keys if each.name not in free]


def _without_names(part: Json) -> Json:
    """Return a schema that says nothing about names: Helm 4 reports those at the wrong key, so templates check them."""
    if isinstance(part, list):
        return [_without_names(each) for each in part]
    if not isinstance(part, dict):
        return part
    return {word: _without_names(each) for word, each in part.items() if word != "propertyNames"}


def _over(below: Mapping[str, Json], above: Mapping[str, Json]) -> dict[str, Json]:
    both = {word for word in above if isinstance(above[word], dict) and isinstance(below.get(word), dict)}
    return {**below, **above, **{word: _over(below[word], above[word]) for word in both}}


def _rows(keys: Sequence[Key]) -> Iterator[tuple[str, str, str]]:
    for key in keys:
        if key.children:
            yield from _rows(key.children)
        else:
            default = json.dumps(key.default, ensure_ascii=False, separators=(",", ":"))
            yield f"`{key.path}`", f"`{default}`", key.description


def main(arguments: Sequence[str] | None = None, chart: Path = CHART) -> int:
    """Write what is stale in *chart*, or with ``--check`` only say so, and return the exit code."""
    parser = argparse.ArgumentParser(description="Write values.schema.json and the table of values in README.md.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is stale")
    check = parser.parse_args(arguments).check
    values, page, machine = (os.path.relpath(chart / each) for each in FILES)
    try:
        keys = read(read_bytes(values).decode(), values)
        wanted = {
            machine: (json.dumps(_without_names(schema(keys)), indent=2, ensure_ascii=False) + "\n").encode(),
            page: with_table(read_bytes(page).decode(), table(keys), page).encode(),
        }
    except WrongValues as error:
        print(error, file=sys.stderr)
        return Exit.WRONG_VALUES
    stale = [each for each in wanted if not Path(each).exists() or Path(each).read_bytes() != wanted[each]]
    for each in stale:
        if not check:
            Path(each).write_bytes(wanted[each])
        print(f"{each} is stale: run `python charts/generate.py`" if check else f"{each}: written")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
