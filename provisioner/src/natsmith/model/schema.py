"""What can be written into values: as a JSON Schema for machines, as a page for people; both follow from the model.

The schema has no ``$ref``, so that a chart can put it under any key of its own schema, and Helm reads it in every
version. Its patterns keep to what Python, ECMAScript and Go understand alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from natsmith.model import raw
from natsmith.model.fields import Field, Group, Groups, described_schema
from natsmith.model.kind import Kind
from natsmith.model.reading import CONSUMER_WISHES, DEAD_LETTER_SETTINGS, ON_IMMUTABLE, POLICY, WISHES
from natsmith.model.resources import BUCKET, CONSUMER, PROFILE_DOCS, PROFILES, RESERVED, STREAM, STREAM_KINDS
from natsmith.model.units import Count, Flag, Json, Seconds, SecondsList, Size, Type
from natsmith.model.words import Choice, Labels, Text, Texts, Time

WISH_DOCS = {
    "account": "The account it lives in; needed where there are several.",
    "config": "Raw fields of the server's API, sent as they are; they win over the settings.",
    "adopt": "Take it over from another owner.",
    "renamedFrom": "Its name until now, as values wrote it; its data moves to the new name.",
    "onImmutable": "As provisioner.onImmutable, for this object alone.",
    "profile": "Settings for a purpose, which the ones written here win over.",
    "consumers": "The stream's consumers by name.",
    "deadLetter": "A stream that notes what the workers refused too often or gave up; {} is enough.",
}
POLICY_DOCS = {
    "onImmutable": "What happens where the server cannot change a setting in place: refuse the plan, move the data "
    "through a new stream, or replace the object without its data, which needs consent.",
    "prune": "Remove objects of this owner that the values no longer name.",
    "loss": "Which changes may destroy data without consent: none (refuse), a shorter time to live (expire), all (allow).",
    "consent": "The owner's word, as plan prints it, that an object may lose data; by any name.",
}
POLICY_DEFAULTS = {"onImmutable": "refuse", "prune": "false", "loss": "expire", "consent": "{}"}


def json_schema() -> dict[str, Json]:
    """Return the JSON Schema, draft 7, of the keys that natsmith reads; others belong to the chart."""
    sections = {kind.section: _objects(kind) for kind in STREAM_KINDS}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "The values of natsmith",
        "type": "object",
        "properties": {
            **sections,
            "accounts": {"description": "The accounts by name; empty is one called app.", "type": ["object", "null"]},
            "owner": {"description": "Who provisions: namespace/release.", "type": ["string", "null"]},
            "provisioner": _provisioner(),
        },
    }


def _objects(kind: Kind) -> dict[str, Json]:
    return {
        "description": f"The {kind.word}s by name; null takes one of an earlier file out.",
        "type": ["object", "null"],
        "propertyNames": {**_legal(kind), "not": {"pattern": f"^(KV_)?{RESERVED}"}},
        "additionalProperties": _map(dict(_properties(kind))),
    }


def _legal(kind: Kind) -> dict[str, Json]:
    return {"pattern": kind.legal_name, "maxLength": 255 - len(kind.prefix)}


def _map(properties: Mapping[str, Json], **rest: Json) -> dict[str, Json]:
    return {"type": ["object", "null"], "additionalProperties": False, "properties": dict(properties), **rest}


def _properties(kind: Kind) -> Iterator[tuple[str, Json]]:
    for field in kind.fields:
        if not field.pinned:
            yield field.name, described_schema(field)
    for wish in wishes(kind):
        yield wish, {"description": WISH_DOCS[wish], **_wish(kind, wish)}


def wishes(kind: Kind) -> tuple[str, ...]:
    """Return what an object of *kind* can say beside its settings."""
    if kind is CONSUMER:
        return (*CONSUMER_WISHES, "deadLetter")
    return (*WISHES, *(["profile"] if kind is BUCKET else ["consumers"] if kind is STREAM else []))


def _wish(kind: Kind, wish: str) -> dict[str, Json]:
    if wish == "consumers":
        return _objects(CONSUMER)
    if wish == "deadLetter":
        return _dead_letter()
    simple: dict[str, dict[str, Json]] = {
        "account": {"type": ["string", "null"]},
        "config": {"type": ["object", "null"], "propertyNames": {"not": {"enum": list(raw.KEPT)}}},
        "adopt": {"type": ["boolean", "null"]},
        "renamedFrom": {"type": ["string", "null"], "pattern": f"^$|{kind.legal_name}"},
        "onImmutable": {"enum": [*ON_IMMUTABLE.words, None]},
        "profile": {"enum": [*PROFILES, None]},
    }
    return simple[wish]


def _dead_letter() -> dict[str, Json]:
    settings = {name: described_schema(STREAM.by_name[name]) for name in DEAD_LETTER_SETTINGS}
    stream = {
        "description": "Its name; by default <stream>_<consumer>_dead.",
        "type": ["string", "null"],
        **_legal(STREAM),
    }
    wishes_ = {wish: {"description": WISH_DOCS[wish], **_wish(STREAM, wish)} for wish in ("adopt", "onImmutable")}
    return _map({"stream": stream, **wishes_, **settings})


def _provisioner() -> dict[str, Json]:
    consent = {"type": ["object", "null"], "additionalProperties": {"type": ["string", "null"], "pattern": "^c-"}}
    properties = {
        **{
            key: described_schema(Field(name=key, api="", type=type_, doc=POLICY_DOCS[key]))
            for key, type_ in POLICY.items()
        },
        "consent": {"description": POLICY_DOCS["consent"], **consent},
    }
    return {"description": "What a run may do to data.", "type": ["object", "null"], "properties": properties}


PAGE = """# What can I set, and can it change later?

`natsmith schema --markdown` prints this page, and `natsmith schema` the same as a JSON Schema for editors and Helm.
Objects are maps by name, so that an overlay or `--set` changes one setting; null takes a setting or an object out.
Times are whole seconds; sizes are bytes or `512Ki`, `1Mi`, `5Gi`.

What can change in place changes without touching the data, unless the table says more.
Where it says no, `onImmutable` decides; where it says on only, the server never takes it back.
What needs an API level above 1 is refused on older servers: level 2 is nats-server 2.12, level 4 is 2.14.
"""

LOSES = {
    "age": "less expires what is older",
    "per_subject": "less drops the oldest of each subject",
    "limits": "can drop the oldest, unless discard is new",
    "waiting": "where messages are kept only for consumers, waiting for less drops them",
    "interest": "to interest drops what no consumer waits for",
}


def markdown() -> str:
    """Return the page that documents every setting."""
    parts = [PAGE]
    for kind in (*STREAM_KINDS, CONSUMER):
        where = f"streams.<name>.{kind.section}" if kind is CONSUMER else kind.section
        parts.append(f"## `{where}.<name>`\n\nA name is made of {kind.name_rule}.\n")
        rows = [[f"`{each.name}`", *_row(each)] for each in kind.fields if not each.pinned]
        parts.append(_table(("Setting", "Type", "Default", "Changes in place?", "Meaning"), rows))
        parts.append(_table(("Wish", "Meaning"), ([f"`{wish}`", WISH_DOCS[wish]] for wish in wishes(kind))))
    parts.append("## Settings of settings\n")
    for group, paths in _groups().items():
        parts.append(f"### {' and '.join(f'`{path}`' for path in paths)}\n")
        rows = [[f"`{each.name}`", unit(each.type), _default(each), each.doc] for each in group.fields]
        parts.append(_table(("Setting", "Type", "Default", "Meaning"), rows))
    settings = ", ".join(f"`{name}`" for name in DEAD_LETTER_SETTINGS)
    parts.append(
        f"### `deadLetter`\n\nIt takes `stream`, the name (by default `<stream>_<consumer>_dead`), `adopt` and `onImmutable`, and these settings of a stream: {settings}.\n\nIts `replicas` are by default those of its stream.\n"
    )
    parts.append("## Profiles\n\nA profile is a start for a bucket; what is written beside it wins.\n")
    parts.append(
        _table(("Profile", "For", "Settings"), ([f"`{name}`", PROFILE_DOCS[name], _profile(name)] for name in PROFILES))
    )
    parts.append("## `provisioner`\n")
    types: dict[str, Type | None] = {**POLICY, "consent": None}
    policy = [
        [f"`{key}`", unit(type_) if type_ else "map of consents", f"`{POLICY_DEFAULTS[key]}`", POLICY_DOCS[key]]
        for key, type_ in types.items()
    ]
    parts.append(_table(("Key", "Type", "Default", "Meaning"), policy))
    return "\n".join(parts).rstrip() + "\n"


def unit(type_: Type) -> str:
    """Return what a person calls the values of *type_*."""
    match type_:
        case Choice(words):
            return " or ".join(f"`{word}`" for word in words)
        case Count():
            return "number, 0 is no limit"
        case Size():
            return "size"
        case Group():
            return "map, see below"
        case Groups():
            return "list of maps, see below"
    names = {
        Seconds: "seconds",
        SecondsList: "list of seconds",
        Flag: "`true` or `false`",
        Text: "text",
        Texts: "list of texts",
        Labels: "map of texts",
        Time: "time, such as `2026-01-31T12:00:00Z`",
    }
    return names.get(type(type_)) or _bounds(type_.schema())


def _bounds(schema: Mapping[str, Json]) -> str:
    least, most = schema["minimum"], schema["maximum"]
    return f"number, {least} to {most}" if most < 2**31 else f"number, at least {least}" if least else "number"


def _row(field: Field) -> list[str]:
    level = f" Needs API level {field.level}." if field.level > 1 else ""
    return [unit(field.type), _default(field), _in_place(field), field.doc + level]


def _default(field: Field) -> str:
    shown = field.type.show(field.default) if field.default or field.default in (0, False) else ""
    empty = {"": "", "[]": "", "{}": ""}
    text = f"`{shown}`" if empty.get(shown, shown) else "empty"
    return f"{text}, or as other settings need" if field.derived else text


def _in_place(field: Field) -> str:
    if field.fixed:
        return f"{'not always' if field.fixed_if else 'no'}: {field.fixed}"
    if field.latch:
        return f"on only: {field.latch}"
    return f"yes; {LOSES[field.loses]}" if field.loses else "yes"


def _groups() -> dict[Group, list[str]]:
    found: dict[Group, list[str]] = {}

    def walk(fields: Iterable[Field], prefix: str) -> None:
        for each in fields:
            group = each.type.group if isinstance(each.type, Groups) else each.type
            if not isinstance(group, Group) or each.pinned:
                continue
            path = prefix + each.name
            if group not in found:
                found[group] = [path]
                walk(group.fields, f"{path}.")
            elif path not in found[group]:
                found[group].append(path)

    for kind in (*STREAM_KINDS, CONSUMER):
        walk(kind.fields, "")
    return found


def _profile(name: str) -> str:
    return ", ".join(f"`{key}: {BUCKET.by_name[key].type.show(value)}`" for key, value in PROFILES[name].items())


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *(list(row) for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)
