"""Where to connect and as whom: from flags, the environment, the nats CLI's contexts, or the Job's file."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from natsmith.adapters.contexts import PATHS, at_home, context, home_directory, variables
from natsmith.adapters.files import read_bytes
from natsmith.errors import WrongValues
from natsmith.model.units import Ambiguous, Json

__all__ = ["DEFAULT_SERVER", "Connection", "from_environment", "from_file", "home_directory"]

DEFAULT_SERVER = "nats://127.0.0.1:4222"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where to connect and as whom; what is empty is not used."""

    server: str = DEFAULT_SERVER
    """The addresses of the servers, with commas between them; never with a user or a password inside."""

    user: str = ""
    """The user's name, with ``password``."""

    password: str = field(default="", repr=False)
    """The password of ``user``."""

    token: str = field(default="", repr=False)
    """A token, for servers that know one instead of users."""

    token_from: str = ""
    """Where ``token`` was given as a user's name without a password: ``--user`` or ``NATS_USER``."""

    creds: str = ""
    """The path of a credentials file: a JWT and its seed."""

    nkey: str = ""
    """The path of a file with the seed of an nkey."""

    tls_ca: str = ""
    """The path of the certificates that the server's one must come from."""

    tls_cert: str = ""
    """The path of our certificate, for servers that ask for one."""

    tls_key: str = ""
    """The path of the key of ``tls_cert``."""

    inbox_prefix: str = ""
    """What the subjects begin with on which answers come; empty is ``_INBOX``."""

    @property
    def shown(self) -> str:
        """The server's address as a person may read it, without a user or a password."""
        return ",".join(_without_user(each) for each in self.server.split(","))


def _without_user(address: str) -> str:
    # All up to the last @ goes, even where a password holds a slash that should have been encoded.
    scheme, separator, rest = address.strip().rpartition("://")
    return scheme + separator + rest.rpartition("@")[2]


_WAYS_IN = {"user": ("user", "password"), "token": ("token",), "creds": ("creds",), "nkey": ("nkey",)}
"""How one can log in, and which settings belong to each."""

_FLAGS = ("server", "user", "creds", "nkey", "tls_ca", "tls_cert", "tls_key", "inbox_prefix")


def from_environment(environ: Mapping[str, str], flags: object, *, home: Path | None) -> Connection:
    """Return the connection that flags, variables and a context of the nats CLI describe, in this order.

    Each setting comes from the first that names it. Who names any way to log in settles which way it is, so that
    --creds is not mixed with the user of a context.
    """
    flagged = {name: str(value) for name in _FLAGS if (value := getattr(flags, name, ""))}
    flagged.update({name: at_home(flagged[name], home) for name in PATHS if name in flagged})
    if file := getattr(flags, "password_file", ""):
        flagged["password"] = _secret(at_home(str(file), home))
    named = str(getattr(flags, "context", "") or environ.get("NATS_CONTEXT", ""))

    layers = [_parsed(flagged, "the flags"), _parsed(variables(environ, home), "the environment")]
    known = any(_ways(layer) for layer in layers)
    settings = _parsed(context(named, environ, home, way_in=not known), "the context")
    for layer in reversed(layers):
        settings = _above(layer, settings)
    if settings.get("user") and "password" not in settings and any("user" in layer for layer in layers):
        settings["token"] = settings.pop("user")  # the nats CLI calls it "Username or Token"
        settings["token_from"] = "--user" if "user" in layers[0] else "NATS_USER"
    if "password" in settings and "user" not in settings:
        raise WrongValues("there is a password, but no user: give --user, or set NATS_USER")
    if "tls_key" in settings and "tls_cert" not in settings:
        raise WrongValues("there is a key for TLS, but no certificate: give --tls-cert, or set NATS_CERT")
    return Connection(**{"server": DEFAULT_SERVER, **settings})


def _ways(layer: Mapping[str, str]) -> list[str]:
    return [way for way, names in _WAYS_IN.items() if any(name in layer for name in names)]


def _above(above: dict[str, str], below: dict[str, str]) -> dict[str, str]:
    ways = _ways(above)
    dropped = {name for way, names in _WAYS_IN.items() if ways and way not in ways for name in names}
    if "user" in above and "user" in below:
        dropped.add("password")  # it is another user's
    return {**{name: value for name, value in below.items() if name not in dropped}, **above}


def _parsed(settings: dict[str, str], where: str) -> dict[str, str]:
    """Return *settings* with the user inside an address made settings of their own."""
    if "server" in settings:
        addresses, inside = _addresses(settings["server"], where)
        settings = {**({} if _ways(settings) else inside), **settings, "server": addresses}
    problems = [f"{where}: {_word(name)} {why}" for name, value in settings.items() if (why := _unusable(name, value))]
    if problems:
        raise WrongValues(*problems)
    if len(ways := _ways(settings)) > 1:
        raise WrongValues(
            f"{where} says several ways to log in ({', '.join(ways)}), but one is needed: remove the others"
        )
    return settings


_SUBJECT = re.compile(r"[^\s.*>\x00-\x1f\x7f]+(\.[^\s.*>\x00-\x1f\x7f]+)*\.?")


def _unusable(name: str, value: str) -> str:
    """Return why *value*, which is not shown, cannot be what *name* is; nothing, and it can."""
    if "\0" in value:
        return "holds a null character: remove it"
    if name in PATHS:
        return ""  # the name of a file may have any other bytes
    if any("\ud800" <= each <= "\udfff" for each in value):
        return "holds bytes that are not UTF-8: write it as UTF-8"
    if name == "inbox_prefix" and not _SUBJECT.fullmatch(value):
        return (
            "is not the beginning of a subject: write words with dots between them, such as _INBOX_me, without * or >"
        )
    return ""


def _word(name: str) -> str:
    return name.replace("tls_", "TLS ").replace("_", " ")


_ADDRESS = re.compile(r"(nats|tls|ws|wss)://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.%]+\])(:[0-9]{1,5})?(/[^@\s]*)?")


def _addresses(text: str, where: str) -> tuple[str, dict[str, str]]:
    """Return addresses without users, and the user or token that was inside."""
    addresses = []
    inside: dict[str, str] = {}
    for each in text.split(","):
        scheme, separator, rest = each.strip().rpartition("://")
        user_info, at, host = rest.rpartition("@")
        address = f"{scheme or 'nats'}://{host}" if separator or not scheme else ""
        if not _ADDRESS.fullmatch(address):
            # What does not look like an address may hold a password, so it is not shown.
            raise WrongValues(
                f"{where}: the server is not an address: write it as nats://host:4222, several with commas between them, "
                "and percent-encode what is special in a user or password"
            )
        addresses.append(address)
        if at:
            user, colon, password = user_info.partition(":")
            found = {"user": unquote(user), "password": unquote(password)} if colon else {"token": unquote(user)}
            if inside and inside != found:
                raise WrongValues(f"{where}: the servers' addresses name different users: name one")
            inside = found
    return ",".join(addresses), inside


def _secret(path: str) -> str:
    try:
        text = read_bytes(path).decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise WrongValues(f"{path} is not UTF-8 text, so it cannot be a password") from error
    if not text:
        raise WrongValues(f"{path} is empty, but must hold a password")
    return text


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
    "inboxPrefix": "inbox_prefix",
}
_FOR_ALL = ("server", "tlsCA", "tlsCert", "tlsKey", "inboxPrefix")


def from_file(path: Path) -> dict[str, Connection]:
    """Return the connection of each account that the file at *path* names; its paths are relative to it."""
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
            settings = _parsed(settings, where)
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
        problems.append("has no server: write server: nats://host:4222 there, or at the top for all accounts")
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
                    result["password"] = _secret(result["password"])
                except WrongValues as error:
                    problems += [f"{prefix}{key}: {each}" for each in error.problems]
    return result
