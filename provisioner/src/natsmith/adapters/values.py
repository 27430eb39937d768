"""Values as Helm puts them together: files over each other, ``--set`` over all, or a rendered document."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import BinaryIO

from natsmith.adapters.documents import DEEPEST, read_documents
from natsmith.adapters.files import bounded, read_bytes
from natsmith.errors import WrongValues
from natsmith.model.units import Ambiguous, Json, described

STANDARD_INPUT = "-"
RENDERED_KEY = "desired.yaml"
"""Under which key of a ConfigMap's data the chart keeps the desired document."""


def load(files: Sequence[str], sets: Sequence[str] = (), *, stdin: BinaryIO) -> Json:
    """Return the values that ``-f`` *files* and ``--set`` *sets* make together, each over the ones before it.

    As with Helm maps merge, and all else replaces. A null removes the key, so no map of the result holds one;
    lists are left as they are.
    """
    problems: list[str] = []
    result: dict[str, Json] = {}
    if files.count(STANDARD_INPUT) > 1:
        problems.append("-f - is given twice, but standard input can be read only once: give it once")
        files = list(dict.fromkeys(files))
    for file in files:
        try:
            result = _over(result, _read(file, stdin))
        except WrongValues as error:
            problems += error.problems
    for each in sets:
        try:
            result = _set(result, each)
        except WrongValues as error:
            problems += error.problems
    if problems:
        raise WrongValues(*problems)
    return result


def read_map(data: bytes, name: str) -> dict[str, Json]:
    """Return the map that is the only document of the file called *name*; an empty file is an empty map."""
    return _only_map(read_documents(data, name), name)


def _read(file: str, stdin: BinaryIO) -> dict[str, Json]:
    name = "standard input" if file == STANDARD_INPUT else file
    data = bounded(stdin, name) if file == STANDARD_INPUT else read_bytes(file)
    documents = read_documents(data, name)
    written = [each for each in documents if each is not None]
    if any(_is_rendered(each) for each in written):
        return _desired(written, name)
    return _only_map(documents, name)


def _only_map(documents: Sequence[Json], name: str) -> dict[str, Json]:
    first = documents[0] if documents else None
    if any(each is not None for each in documents[1:]):
        what = f"{name} holds several YAML documents, of which Helm reads only the first"
        raise WrongValues(f"{what}: remove the lines --- between them, or give them as several files")
    if first is None:
        return {}
    if not isinstance(first, dict):
        kind = "a single value" if not isinstance(first, list) else "a list"
        raise WrongValues(f"{name} is {kind}, but must be a map of values such as buckets: {{}}")
    return first


def _is_rendered(document: Json) -> bool:
    return isinstance(document, dict) and "apiVersion" in document and "kind" in document


def _desired(documents: Iterable[Json], name: str) -> dict[str, Json]:
    kinds: Counter[str] = Counter()
    found: list[tuple[str, Json]] = []
    for each in documents:
        if not _is_rendered(each):
            kinds["something else"] += 1
            continue
        kinds[str(each["kind"])] += 1
        data = each.get("data")
        if each["kind"] == "ConfigMap" and isinstance(data, dict) and RENDERED_KEY in data:
            found.append((_name_of(each), data[RENDERED_KEY]))
    if not found:
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        raise WrongValues(
            f"{name} is rendered by Helm and holds {counts}, but no ConfigMap with the key {RENDERED_KEY}: "
            "render the natsmith chart with its provisioner on"
        )
    if len(found) > 1:
        names = ", ".join(each for each, _ in found)
        raise WrongValues(
            f"{name} holds {len(found)} ConfigMaps with the key {RENDERED_KEY} ({names}), but one release has one: "
            "render one release at a time"
        )
    config_map, text = found[0]
    where = f"{name}: {RENDERED_KEY} in ConfigMap {config_map}"
    if not isinstance(text, str):
        raise WrongValues(f"{where} is {described(text)}, but must be text: render it with the natsmith chart")
    return read_map(text.encode(), where)


def _name_of(rendered: Mapping[str, Json]) -> str:
    metadata = rendered.get("metadata")
    return str(metadata.get("name", "without a name")) if isinstance(metadata, dict) else "without a name"


def _over(below: dict[str, Json], above: dict[str, Json]) -> dict[str, Json]:
    """Return *below* with *above* laid over it; neither is changed."""
    result = below.copy()
    for key, value in above.items():
        if isinstance(key, Ambiguous):
            result.pop(key, None)  # so that the key stays a bare word, which the model refuses where it reads it
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            under = result.get(key)
            result[key] = _over(under if isinstance(under, dict) else {}, value)
        else:
            result[key] = value
    return result


def _set(values: dict[str, Json], given: str) -> dict[str, Json]:
    path, value = _assignment(given)
    if any("\ud800" <= each <= "\udfff" for each in given):
        raise WrongValues(f"--set {'.'.join(path)}: holds bytes that are not UTF-8: write it as UTF-8")
    for depth in range(1, len(path)):
        found: Json = values
        for part in path[:depth]:
            found = found.get(part, {}) if isinstance(found, dict) else found
        if not isinstance(found, dict):
            where = ".".join(path[:depth])
            raise WrongValues(
                f"--set {'.'.join(path)}: {where} is {described(found)}, which has no keys: set {where} itself"
            )
    above: Json = value
    for part in reversed(path):
        above = {part: above}
    return _over(values, above)


_PIECE = re.compile(r"\\(.)|([^\\])|\\$", re.DOTALL)


def _assignment(given: str) -> tuple[list[str], Json]:
    """Return the path and the value of Helm's ``a.b=c``, of whose syntax only this much is read."""
    path = [""]
    rest = None
    for match in _PIECE.finditer(given):
        bare = match[2]
        if bare == "=":
            rest = given[match.end() :]
            break
        if bare in ("[", ","):
            raise WrongValues(f"--set {'.'.join(path)}: natsmith does not read {bare} in a path: {_CURE}")
        if bare == ".":
            path.append("")
        else:
            path[-1] += bare or match[1] or ""
    if len(path) > DEEPEST:
        raise WrongValues(
            f"--set {'.'.join(path[:3])}...: has {len(path)} parts, but at most {DEEPEST} maps are inside each other: "
            "check the path"
        )
    if not all(path) or rest is None:
        raise WrongValues(
            f"--set {'.'.join(path)}: is not a path and a value: write it as buckets.sessions.ttlSeconds=60"
        )
    return path, _typed(rest, ".".join(path))


_CURE = "write it into a file and give that with -f"


def _typed(text: str, where: str) -> Json:
    if text.startswith("{"):
        raise WrongValues(f"--set {where}: natsmith does not read lists here: {_CURE}")
    pieces = list(_PIECE.finditer(text))
    if any(match[2] == "," for match in pieces):
        raise WrongValues(
            f"--set {where}: natsmith reads one value and no commas: give --set again, or write \\, for a comma"
        )
    value = "".join(match[2] or match[1] or "" for match in pieces)
    folded = value.casefold()
    if folded in ("true", "false"):
        return folded == "true"
    if folded == "null":
        return None
    # Helm's own typing, which is not that of its files: 017, 1.5 and yes are text here.
    if value == "0" or re.fullmatch(r"[-+]0*[0-9]{1,19}|[1-9][0-9]{0,18}", value, re.ASCII):
        number = int(value)
        return number if -(2**63) <= number < 2**63 else value
    return value
