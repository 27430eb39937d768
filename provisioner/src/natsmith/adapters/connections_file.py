"""The connections file: how to log in to each of several accounts, as the chart's Job has it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

from natsmith.adapters.connections import Connection, parsed, secret
from natsmith.adapters.contexts import PATHS
from natsmith.adapters.files import read_bytes
from natsmith.errors import WrongValues
from natsmith.model.units import Ambiguous, Json

_KEYS = {
    "server": "server",
    "user": "user",
    "password": "password",
    "passwordFile": "password",
    "token": "token",
    "creds": "creds",
    "nkey": "nkey",
    "tlsCA": "tls_ca",
    "tlsCert": "tls_cert",
    "tlsKey": "tls_key",
    "tlsName": "tls_name",
    "inboxPrefix": "inbox_prefix",
}
_FOR_ALL = ("server", "tlsCA", "tlsCert", "tlsKey", "tlsName", "inboxPrefix")


def from_file(path: Path, above: Mapping[str, str] | None = None) -> dict[str, Connection]:
    """Return the connection of each account that the file at *path* names; its paths are relative to it.

    What *above* names wins for all accounts, as flags do; the file is checked as if it did not.
    """
    from natsmith.adapters.values import read_map  # noqa: PLC0415  (a run that reads no YAML does not load its parser)

    given = read_map(read_bytes(str(path)), str(path))
    problems: list[str] = []
    for_all = {key: value for key, value in given.items() if key != "accounts"}
    shared = _settings(for_all, f"{path}:", path.parent, ("accounts", *_FOR_ALL), problems)
    accounts = given.get("accounts")
    if not isinstance(accounts, Mapping) or not accounts:
        problems.append(f"{path}: accounts must be a map from each account's name to its connection")
        accounts = {}
    result = {}
    for name, body in accounts.items():
        where = f"{path}: accounts.{name}"
        if isinstance(name, Ambiguous):
            problems.append(f"{where} has a name that YAML readers take for different things: put it in quotes")
        if not isinstance(body, Mapping):
            problems.append(f"{where} must be a map of {', '.join(_KEYS)}")
            continue
        count = len(problems)
        settings = {**shared, **_settings(body, f"{where}.", path.parent, tuple(_KEYS), problems)}
        try:
            settings = {**parsed(settings, where), **(above or {})}
        except WrongValues as error:
            problems += error.problems
        problems += [f"{where} {each}" for each in _missing(settings)] if len(problems) == count else []
        if len(problems) == count:
            result[str(name)] = Connection(**settings)
    if problems:
        raise WrongValues(*problems)
    return result


def _missing(settings: Mapping[str, str]) -> list[str]:
    problems = []
    if "server" not in settings:
        problems.append(
            "has no server: write server: nats://host:4222 there, or at the top for all accounts, or give --server"
        )
    for one, other, name in (
        ("user", "password", "password or passwordFile"),
        ("password", "user", "user"),
        ("tls_key", "tls_cert", "tlsCert"),
    ):
        if one in settings and other not in settings:
            problems.append(f"has a {one.replace('tls_key', 'tlsKey')}, but no {name}: add it")
    return problems


def _settings(
    given: Mapping[str, Json], where: str, directory: Path, known: tuple[str, ...], problems: list[str]
) -> dict[str, str]:
    """Return the settings in *given* by our names, and add what is wrong to *problems*; values are never shown."""
    result: dict[str, str] = {}
    prefix = where if where.endswith(".") else f"{where} "
    if given.get("password") is not None and given.get("passwordFile") is not None:
        problems.append(f"{prefix}password and passwordFile are both there: remove one")
    for key, value in given.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            problems.append(f"{prefix}{key} is not a key that natsmith knows: {hint}")
        elif isinstance(value, Ambiguous) or not isinstance(value, str | None):
            problems.append(f"{prefix}{key} is not text: put it in quotes")
        elif value == "":
            problems.append(f"{prefix}{key} is empty: fill it in, or remove it")
        elif value is not None:
            result[_KEYS[key]] = str(directory / value) if key == "passwordFile" or _KEYS[key] in PATHS else value
            if key == "passwordFile":
                try:
                    result["password"] = secret(result["password"])
                except WrongValues as error:
                    problems += [f"{prefix}{key}: {each}" for each in error.problems]
    return result
