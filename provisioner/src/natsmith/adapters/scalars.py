"""What a bare scalar of YAML is for Helm, and which ones other readers take for something else.

Helm reads through go-yaml v2, PyYAML follows YAML 1.1 and most others YAML 1.2. Where they take a bare scalar for
different things it becomes ``Ambiguous``: tests/adapters/test_values_like_helm.py holds this against the real helm.
A number with an exponent and no dot (1e6) is a number, since only PyYAML takes it for text.
"""

from __future__ import annotations

import math
import re

from natsmith.model.units import Ambiguous, Json

_SAME_FOR_ALL: dict[str, Json] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_READ_DIFFERENTLY = re.compile(
    r"y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF|=|<<|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FRACTION = re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?")
_NUMBER_FOR_SOME = re.compile(
    r"[-+]?0[0-9]+"  # octal, decimal or text
    r"|[-+]?0[xX][0-9a-fA-F]+"
    r"|[-+]?0[oO][0-7]+"
    r"|[-+]?0[bB][-+]?[01]+"
    r"|[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?"  # base 60
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(([Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(\.[0-9]*)?([ \t]*(Z|[-+][0-9]{1,2}(:?[0-9]{2})?))?)?"
)


def resolve(text: str) -> Json:
    """Return what the bare scalar *text* is for Helm, or ``Ambiguous`` where other readers of YAML disagree."""
    if text in _SAME_FOR_ALL:
        return _SAME_FOR_ALL[text]
    if _READ_DIFFERENTLY.fullmatch(text):
        return Ambiguous(text)
    return _number(text) if text[0] in "0123456789+-." else text


def _number(text: str) -> Json:
    if _WHOLE.fullmatch(text):
        return int(text) if len(text) < 16 else _large(text)
    if _HEXADECIMAL.fullmatch(text):
        number = int(text, 16)
        return number if number <= 2**53 else Ambiguous(text)
    if _FRACTION.fullmatch(text):
        return _fraction(text)
    # Helm and PyYAML ignore underscores in numbers, YAML 1.2 does not.
    if _NUMBER_FOR_SOME.fullmatch(text) or ("_" in text and type(_number(text.replace("_", ""))) is not str):
        return Ambiguous(text)
    return text


def _fraction(text: str) -> Json:
    fraction = float(text)
    if not math.isfinite(fraction):
        return Ambiguous(text)
    # JSON knows one kind of number: for Helm 1.0 and 1e3 are 1 and 1000.
    return int(fraction) if fraction.is_integer() else fraction


def _large(text: str) -> Json:
    """Return a number of many digits, where a float, which is what Helm keeps it in, can hold it."""
    number = float(text)
    return int(text) if len(text) < 400 and f"{number:.0f}" == text.lstrip("+") else Ambiguous(text)
