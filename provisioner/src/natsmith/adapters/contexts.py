"""Connection settings as users of the nats CLI have them: its environment variables and its context files.

Names, places and precedence are those of nats-io/natscli (cli/util.go) and nats-io/jsm.go (natscontext).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from natsmith.adapters.files import read_bytes
from natsmith.errors import WrongValues
from natsmith.model.units import Json

VARIABLES = {
    "NATS_URL": "server",
    "NATS_USER": "user",
    "NATS_PASSWORD": "password",
    "NATS_TOKEN": "token",
    "NATS_CREDS": "creds",
    "NATS_NKEY": "nkey",
    "NATS_CA": "tls_ca",
    "NATS_CERT": "tls_cert",
    "NATS_KEY": "tls_key",
}
KEYS = {
    "url": "server",
    "user": "user",
    "password": "password",
    "token": "token",
    "creds": "creds",
    "nkey": "nkey",
    "ca": "tls_ca",
    "cert": "tls_cert",
    "key": "tls_key",
    "inbox_prefix": "inbox_prefix",
}
PATHS = ("creds", "nkey", "tls_ca", "tls_cert", "tls_key")

OTHER_VARIABLES = {
    "NATS_JWT": "export a credentials file and set NATS_CREDS",
    "NATS_SEED": "write the seed into a file and set NATS_NKEY",
    "NATS_SOCKS_PROXY": "use an address that can be reached without a proxy",
}
OTHER_WAYS_IN = {
    "user_jwt": "export a credentials file and name it as creds",
    "user_seed": "write the seed into a file and name that as nkey",
    "nsc": "export the credentials with `nsc generate creds` and name the file as creds",
}
OTHER_PLACES = {
    "socks_proxy": "use an address that can be reached without a proxy",
    "tls_first": "use an address where the server greets before TLS",
    "jetstream_domain": "connect to a server of that domain",
    "jetstream_api_prefix": "connect to the account whose JetStream it is",
    "windows_cert_store": "name certificate files as cert and key",
    "windows_cert_match": "name certificate files as cert and key",
    "windows_cert_match_by": "name certificate files as cert and key",
    "windows_ca_certs_match": "name a file as ca",
}
"""What would lead elsewhere, or in as somebody else, and that natsmith does not do; and what to do instead."""

_REFERENCE = re.compile(r"(op|nsc|env|file)://|data:", re.IGNORECASE)


def home_directory() -> Path | None:
    """Return the user's home directory; a container may run as a user that has none."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def variables(environ: Mapping[str, str], home: Path | None) -> dict[str, str]:
    """Return the settings that the CLI's environment variables name."""
    problems = [
        f"{name} is set, but natsmith does not use it: unset it, and {instead}"
        for name, instead in OTHER_VARIABLES.items()
        if environ.get(name)
    ]
    if problems:
        raise WrongValues(*problems)
    found = {ours: environ[theirs] for theirs, ours in VARIABLES.items() if environ.get(theirs)}
    return {name: at_home(value, home) if name in PATHS else value for name, value in found.items()}


def context(name: str, environ: Mapping[str, str], home: Path | None, *, way_in: bool) -> dict[str, str]:
    """Return the settings of the context called *name*, or of the one that is selected; none, and there are none.

    With *way_in* the context must also say as whom to connect; else that is known and left alone.
    """
    path = _path(name, environ, home)
    if path is None:
        return {}
    given = _json(path)
    others = {**OTHER_PLACES, **OTHER_WAYS_IN} if way_in else OTHER_PLACES
    problems = [
        f"{path}: natsmith does not use {key}: take it out, and {instead}"
        for key, instead in others.items()
        if given.get(key)
    ]
    settings: dict[str, str] = {}
    for key, ours in KEYS.items():
        value = given.get(key)
        if value is None or value == "":
            continue
        if not isinstance(value, str):
            problems.append(f"{path}: {key} is not text: write it in quotes")
        elif ours in ("password", "token") and _REFERENCE.match(value):
            problems.append(
                f"{path}: {key} is a reference, which natsmith does not follow: set {_variable(ours)} instead"
            )
        else:
            settings[ours] = value
    for ours in PATHS:
        if ours in settings:
            expanded = re.sub(
                r"\$\{(\w+)\}|\$(\w+)", lambda found: environ.get(found[1] or found[2], ""), settings[ours]
            )
            settings[ours] = at_home(expanded, home)
    if problems:
        raise WrongValues(*problems)
    return settings


def at_home(path: str, home: Path | None) -> str:
    """Return *path* with a leading ``~`` written out, and without ``file://``."""
    if path[:7].lower() == "file://":
        path = path[7:]
    elif _REFERENCE.match(path):
        raise WrongValues(f"{path.partition(':')[0]}: references to credentials are not followed: name a file")
    if path != "~" and not path.startswith("~/"):
        return path
    if home is None:
        raise WrongValues(f"{path}: this user has no home directory: set HOME, or write the path in full")
    return str(home) + path[1:]


def _path(name: str, environ: Mapping[str, str], home: Path | None) -> Path | None:
    if name.endswith(".json") and Path(name).is_file():
        return Path(name)
    where = "--context or NATS_CONTEXT"
    config = environ.get("XDG_CONFIG_HOME") or (home and home / ".config")
    if config is None:
        if not name:
            return None
        raise WrongValues(f"{where} says {name!r}, but this user has no home directory: set HOME or XDG_CONFIG_HOME")
    directory = Path(config) / "nats"
    selected = directory / "context.txt"
    if not name:
        if not selected.is_file():
            return None
        name, where = read_bytes(str(selected)).decode(errors="replace").strip(), str(selected)
        if not name:
            return None
    if ".." in name or "/" in name or "\\" in name or not name.isprintable():
        raise WrongValues(f"{where} says {name!r}, which is not the name of a context: see `nats context ls`")
    path = directory / "context" / f"{name}.json"
    if not path.is_file():
        raise WrongValues(f"{where} says {name!r}, but {path} does not exist: pick another, see `nats context ls`")
    return path


def _json(path: Path) -> dict[str, Json]:
    try:
        given = json.loads(read_bytes(str(path)))
    except json.JSONDecodeError as error:
        raise WrongValues(f"{path}, line {error.lineno}, column {error.colno}: is not JSON: {error.msg}") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise WrongValues(f"{path} is not JSON: write it anew with `nats context edit`") from error
    if not isinstance(given, dict):
        raise WrongValues(f"{path} is not a JSON object: write it anew with `nats context edit`")
    return given


def _variable(ours: str) -> str:
    return next(theirs for theirs, each in VARIABLES.items() if each == ours)
