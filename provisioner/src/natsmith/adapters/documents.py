"""YAML text to plain values as Helm reads it; every refusal names its place and never shows what a line holds."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import yaml
from yaml import events

from natsmith.adapters.scalars import resolve
from natsmith.errors import WrongValues
from natsmith.model.units import Ambiguous, Json

DEEPEST = 100
"""How many maps and lists may be inside each other."""

MOST_REPEATED = 500_000
"""How many nodes the aliases of a file may stand for; an alias bomb stands for billions in a few lines."""

Parser: TypeAlias = Callable[[bytes], Any]
"""Makes an object whose ``get_event`` returns the next event of YAML text."""

# libyaml is 12 times faster, but PyYAML can be installed without it.
FASTEST: Parser = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_documents(data: bytes, name: str, *, parser: Parser = FASTEST) -> list[Json]:
    """Return the YAML documents of the file called *name*; an empty one is None. JSON is YAML too."""
    text = _decoded(data, name)
    try:
        return _Reader(parser(text), name).documents()
    except yaml.YAMLError as error:
        raise WrongValues(_syntax_problem(error, text, name)) from error


def _decoded(data: bytes, name: str) -> bytes:
    data = data.removeprefix(b"\xef\xbb\xbf")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise WrongValues(f"{name} is UTF-16 text, but must be UTF-8: save it anew as UTF-8")
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise WrongValues(
            f"{name}, line {line}: holds bytes that are not UTF-8: save the file anew as UTF-8"
        ) from error
    return data


def _syntax_problem(error: yaml.YAMLError, text: bytes, name: str) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        return f"{name} holds a control character, which YAML forbids: remove it, or write it as an escape inside double quotes"
    lines = text.decode().splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())] or line[mark.column : mark.column + 1] == "\t":
        return f"{name}, line {mark.line + 1}: is indented by a tab, which YAML forbids: use spaces"
    what = getattr(error, "problem", None) or "it cannot be read"
    # A password that begins with ! is a tag to YAML, and PyYAML names tags.
    what = re.sub(r"(tag handle).*", r"\1", what, flags=re.DOTALL)
    return (
        f"{name}, line {mark.line + 1}, column {mark.column + 1}: is not YAML: {what}. "
        "Check the indentation, the quotes and the colons of this line and the one above"
    )


_OTHER_TAG = "the tag here is none that natsmith reads: remove it, or put text that begins with ! in quotes"


class _Merge:
    """Stands for the key ``<<``."""


_MERGE = _Merge()


class _Anchored(NamedTuple):
    """What an alias stands for, and how large it is with its own aliases written out."""

    value: Json
    nodes: int
    height: int


class _Reader:
    """Builds values from a parser's events, each node once."""

    def __init__(self, parser: Any, name: str) -> None:
        self.next = parser.get_event
        self.name = name
        self.values: dict[str, Json] = {}
        self.keys: dict[str, str | _Merge] = {}
        self.anchors: dict[str, _Anchored | None] = {}
        self.nodes = 0
        self.repeated = 0
        self.depth = 0
        self.deepest = 0

    def documents(self) -> list[Json]:
        result = []
        while not isinstance(event := self.next(), events.StreamEndEvent):
            if isinstance(event, events.DocumentStartEvent):
                if event.version not in (None, (1, 1)):
                    raise self.wrong(
                        event, "the text asks for another YAML than 1.1, which Helm refuses: remove the line %YAML"
                    )
                self.anchors.clear()
                result.append(self.node(self.next()))
        return result

    def wrong(self, event: Any, what: str) -> WrongValues:
        return WrongValues(f"{self.name}, line {event.start_mark.line + 1}: {what}")

    def hidden(self, event: Any, what: str) -> WrongValues:
        """Return the error about a name that is not shown: a password that begins with *, & or ! looks like one."""
        mark = event.start_mark
        return WrongValues(f"{self.name}, line {mark.line + 1}, column {mark.column + 1}: {what}")

    def node(self, event: Any) -> Json:
        kind = type(event)
        if kind is events.AliasEvent:
            return self.alias(event)
        self.nodes += 1
        if event.anchor is not None:
            return self.anchored(event)
        return self.written(event, kind)

    def written(self, event: Any, kind: type) -> Json:
        if kind is events.ScalarEvent:
            return self.scalar(event)
        return self.map(event) if kind is events.MappingStartEvent else self.list(event)

    def anchored(self, event: Any) -> Json:
        self.anchors[event.anchor] = None
        before, around = self.nodes, self.deepest
        self.deepest = self.depth
        value = self.written(event, type(event))
        self.anchors[event.anchor] = _Anchored(value, self.nodes - before + 1, self.deepest - self.depth)
        self.deepest = max(around, self.deepest)
        return value

    def reach(self, event: Any, depth: int) -> None:
        self.deepest = max(self.deepest, depth)
        if depth > DEEPEST:
            raise self.wrong(event, f"more than {DEEPEST} maps and lists are inside each other here: flatten them")

    def enter(self, event: Any, tag: str) -> None:
        self.depth += 1
        self.reach(event, self.depth)
        if event.tag is not None and event.tag != tag:
            raise self.hidden(event, _OTHER_TAG)

    def map(self, start: Any) -> dict[str, Json]:
        self.enter(start, "tag:yaml.org,2002:map")
        result: dict[str, Json] = {}
        lines: dict[str, int] = {}
        while type(event := self.next()) is not events.MappingEndEvent:
            key = self.key(event)
            if isinstance(key, _Merge):
                # Like Helm, in the order of the text: what comes later wins, be it a key or a merge.
                result.update(self.merged(self.next()))
                continue
            if key in lines:
                what = f"the key {_short(key)} is written again, first in line {lines[key]}: remove one of them"
                raise self.wrong(event, what)
            lines[key] = event.start_mark.line + 1
            result[key] = self.node(self.next())
        self.depth -= 1
        return result

    def list(self, start: Any) -> list[Json]:
        self.enter(start, "tag:yaml.org,2002:seq")
        result = []
        while type(event := self.next()) is not events.SequenceEndEvent:
            result.append(self.node(event))
        self.depth -= 1
        return result

    def alias(self, event: Any) -> Json:
        if event.anchor not in self.anchors:
            what = "the alias here stands for nothing: write its anchor before it, or put text that begins with * in quotes"
            raise self.hidden(event, what)
        anchored = self.anchors[event.anchor]
        if anchored is None:
            raise self.hidden(event, "the alias here stands for what it is a part of: write it out")
        # Aliases inside what is anchored count again, and are counted without being expanded.
        self.nodes += anchored.nodes
        self.repeated += anchored.nodes
        if self.repeated > MOST_REPEATED:
            raise self.wrong(event, f"the aliases stand for more than {MOST_REPEATED} values in all: use fewer of them")
        self.reach(event, self.depth + anchored.height)
        return anchored.value

    def merged(self, event: Any) -> dict[str, Json]:
        value = self.node(event)
        several = value if isinstance(value, list) else [value]
        result: dict[str, Json] = {}
        for each in reversed(several):
            if not isinstance(each, dict):
                raise self.wrong(
                    event, "the merge key << takes a map or a list of maps: give it one, or put << in quotes"
                )
            result.update(each)
        return result

    def key(self, event: Any) -> str | _Merge:
        if type(event) is not events.ScalarEvent:
            raise self.wrong(event, "a key is a map, a list or an alias, but must be text: write it out")
        if event.tag is None and event.implicit[0] and event.anchor is None:
            key = self.keys.get(event.value)
            if key is None:
                key = self.keys[event.value] = self.bare_key(event)
            return key
        if event.tag is not None or event.anchor is not None:
            raise self.hidden(event, "a key has a tag or an anchor, which natsmith does not read: remove it")
        return self.keep_text(event)

    def bare_key(self, event: Any) -> str | _Merge:
        text: str = event.value
        if text == "<<":
            return _MERGE
        value = resolve(text)
        if value is None:
            raise self.wrong(event, "a key is empty or null: name it, or put it in quotes")
        if isinstance(value, bool):
            value = "true" if value else "false"
        if isinstance(value, str):
            return value if value == text else Ambiguous(text)
        # As a key Helm writes 1.10 as 1.1, and 1e21 where a number is large.
        return text if isinstance(value, int) and str(value) == text and abs(value) < 2**53 else Ambiguous(text)

    def scalar(self, event: Any) -> Json:
        text: str = event.value
        tag = event.tag
        if tag is not None and tag != "!":
            return self.tagged(event)
        if tag is None and event.implicit[0]:
            try:
                return self.values[text]
            except KeyError:
                value = self.values[text] = resolve(text)
                return value
        return self.keep_text(event)

    def keep_text(self, event: Any) -> str:
        text: str = event.value
        if not text.isascii() and not text.isprintable() and any("\ud800" <= each <= "\udfff" for each in text):
            # libyaml refuses it by itself, the parser in Python does not.
            raise self.wrong(event, "an escape is half of a surrogate pair: write the character itself")
        return text

    def tagged(self, event: Any) -> Json:
        word = event.tag.removeprefix("tag:yaml.org,2002:")
        if word == "str":
            return self.keep_text(event)
        if word not in ("int", "float", "bool", "null"):
            raise self.hidden(event, _OTHER_TAG)
        value = resolve(event.value)
        if isinstance(value, Ambiguous) or _fits(value, word):
            return value
        raise self.hidden(event, "the value here is not written like what its tag says: remove the tag")


def _fits(value: Json, word: str) -> bool:
    if word == "null":
        return value is None
    if word == "bool":
        return isinstance(value, bool)
    return isinstance(value, int if word == "int" else int | float) and not isinstance(value, bool)


def _short(text: str) -> str:
    """Return *text* at a length that a message can bear."""
    return repr(text if len(text) <= 80 else text[:77] + "...") if not text.isprintable() or len(text) > 80 else text
