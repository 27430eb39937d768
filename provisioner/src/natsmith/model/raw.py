"""What ``config:`` may pass on raw: what the model does not know, and what it knows, spelled as the server spells it."""

from __future__ import annotations

from natsmith.model.fields import Group, Groups
from natsmith.model.kind import Kind
from natsmith.model.resources import CONSUMER, KINDS
from natsmith.model.units import Exact, Flag, Json, Type, described
from natsmith.model.words import Choice, Labels, Text, Texts, Time

KEPT = {"name": "its key in the values", "durable_name": "its key in the values", "metadata": "metadata:"}
KEPT_OF_CONSUMERS = {**KEPT, "filter_subject": "filterSubjects:", "stream_name": "the stream it stands under"}
SPELLINGS = {
    key.casefold(): key for key in (*KEPT_OF_CONSUMERS, *(field.api for kind in KINDS for field in kind.fields))
}


def problem(kind: Kind, key: str, value: Json) -> str:
    """Return what is wrong with passing *value* on as *key*, or nothing."""
    kept = KEPT_OF_CONSUMERS if kind is CONSUMER else KEPT
    if key in kept:
        return f"cannot be passed on: it comes from {kept[key]}"
    spelled = SPELLINGS.get(key.casefold(), key)
    if spelled != key:
        # nats-server reads keys in any case, so another spelling would slip past every rule about the field.
        return f"is not how the server spells it: write {spelled}"
    if key not in kind.by_api:
        return ""
    return _mistyped(kind.by_api[key].type, value)


def _mistyped(type_: Type, value: Json) -> str:
    try:
        if isinstance(type_, Group | Groups | Texts | Text | Time | Flag | Labels):
            type_.read(_whole(type_.decode(value)))
            return ""
    except ValueError as error:
        return f"is not what the server takes there: it {error}"
    except (TypeError, AttributeError):
        return "is of a wrong type"
    if isinstance(type_, Choice):
        return "" if isinstance(value, str) else f"is {described(value)}, but must be one of the server's words"
    each = value if isinstance(value, list) else [value]
    whole = all(isinstance(one, int) and not isinstance(one, bool) for one in each)
    return "" if whole else f"is {described(value)}, but must be a whole number in the server's own unit"


def _whole(value: Json) -> Json:
    """Return *value* with parts of a second cut off: raw, they may be passed on."""
    if isinstance(value, dict):
        return {key: _whole(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return int(value) + 1 if isinstance(value, Exact) else value
