"""Where to connect and as whom: from flags, the environment, or the nats CLI's contexts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from natsmith.adapters.contexts import PATHS, at_home, context, home_directory, variables
from natsmith.adapters.files import read_bytes
from natsmith.errors import WrongValues

__all__ = ["DEFAULT_SERVER", "Connection", "from_environment", "home_directory", "overrides"]

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

    tls_name: str = ""
    """What the server's certificate must be for; empty is the host of ``server``."""

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

_PLACE = ("server", "tls_ca", "tls_cert", "tls_key", "inbox_prefix")
_FLAGS = ("user", "creds", "nkey", *_PLACE)


def from_environment(environ: Mapping[str, str], flags: object, *, home: Path | None) -> Connection:
    """Return the connection that flags, variables and a context of the nats CLI describe, in this order.

    Each setting comes from the first that names it. Who names any way to log in settles which way it is, so that
    --creds is not mixed with the user of a context.
    """
    flagged = _flagged(flags, _FLAGS, home)
    if file := getattr(flags, "password_file", ""):
        flagged["password"] = secret(at_home(str(file), home))
    named = str(getattr(flags, "context", "") or environ.get("NATS_CONTEXT", ""))

    layers = [parsed(flagged, "the flags"), parsed(variables(environ, home), "the environment")]
    known = any(_ways(layer) for layer in layers)
    settings = parsed(context(named, environ, home, way_in=not known), "the context")
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


def overrides(flags: object, *, home: Path | None) -> dict[str, str]:
    """Return what flags say in the place of a connections file: where to connect, never as whom."""
    settings = parsed(_flagged(flags, _PLACE, home), "the flags")
    if _ways(settings):
        raise WrongValues("--server holds a user, but the connections file says who connects: leave the user out of it")
    return settings


def _flagged(flags: object, names: tuple[str, ...], home: Path | None) -> dict[str, str]:
    given = {name: str(value) for name in names if (value := getattr(flags, name, ""))}
    return {name: at_home(value, home) if name in PATHS else value for name, value in given.items()}


def _ways(layer: Mapping[str, str]) -> list[str]:
    return [way for way, names in _WAYS_IN.items() if any(name in layer for name in names)]


def _above(above: dict[str, str], below: dict[str, str]) -> dict[str, str]:
    ways = _ways(above)
    dropped = {name for way, names in _WAYS_IN.items() if ways and way not in ways for name in names}
    if "user" in above and "user" in below:
        dropped.add("password")  # it is another user's
    return {**{name: value for name, value in below.items() if name not in dropped}, **above}


def parsed(settings: dict[str, str], where: str) -> dict[str, str]:
    """Return *settings*, each of which can be what it says, with the user inside an address made settings of their own."""
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


def secret(path: str) -> str:
    """Return the password in the file at *path*."""
    try:
        text = read_bytes(path).decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise WrongValues(f"{path} is not UTF-8 text, so it cannot be a password") from error
    if not text:
        raise WrongValues(f"{path} is empty, but must hold a password")
    return text
