"""Which users of the chart's values wait for a password, and what its servers are called.

The chart says the same in templates/_users.tpl, templates/_logins.tpl and templates/_names.tpl.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from natsmith.model.units import Ambiguous, Json, described

CHART = "natsmith"
ROUTES = "routes"
"""What ``--only`` calls the password between servers."""

USERS = "users"
"""What ``--only`` calls all the others; a user's key has a dot."""

SYSTEM = "_SYS"
"""How the account ``$SYS`` is spelled in the keys of a Secret, where a dollar sign is not allowed."""

WAYS_IN = ("nkey", "password", "existingSecret")

LONGEST = 51
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartUsers:
    """The users of the server that the chart installs."""

    waiting: tuple[str, ...] = ()
    """Those that leave their password to ``credentials.existingSecret``, by the key of their files: ``APP.app``."""

    settled: Mapping[str, str] = field(default_factory=dict)
    """The others, each with the path of the setting that settles it."""

    secrets: Mapping[str, str] = field(default_factory=dict)
    """The Secrets of those who have one of their own."""

    generations: Mapping[str, int] = field(default_factory=dict)
    """How often each one's credentials were renewed, and one more."""

    replicas: int = 1
    routes_settled: str = ""
    """The path of the setting that says where the routes are; empty, and they wait like a user."""

    name: str = CHART
    """What objects are named after, beside the release."""

    fullname: str = ""
    """What the values call the servers, whatever the release is called."""

    problems: tuple[str, ...] = ()

    @property
    def needs_routes(self) -> bool:
        """Whether servers that speak to each other wait for their password."""
        return self.replicas > 1 and not self.routes_settled

    def files(self, key: str) -> str:
        """Return how the files of a user's newest login are called."""
        generation = self.generations.get(key, 1)
        return key if generation == 1 else f"{key}.{generation}"

    def servers(self, release: str) -> str:
        """Return what the servers of a release are called, before ``-0``."""
        full = self.fullname or (release if release == self.name else f"{release}-{self.name}")
        if len(full) <= LONGEST:
            return full
        return f"{full[:45].removesuffix('-')}-{hashlib.sha256(full.encode()).hexdigest()[:5]}"


def chart_users(document: Json) -> ChartUsers:
    """Return the users that the chart makes of the values *document*."""
    reader = _Reader()
    top = reader.map(document, "the document")
    nats = reader.map(top.get("nats"), "nats")
    if nats.get("enabled") is False:
        reader.wrong(
            "nats.enabled is false, so the chart installs no server that could have users: "
            "set provisioner.connection.existingSecret to a Secret with connections.yaml"
        )
    everybody = reader.generation(reader.map(top.get("credentials"), "credentials"), "credentials")
    users: dict[str, str] = {}
    secrets: dict[str, str] = {}
    generations: dict[str, int] = {}
    for key, where, settings in reader.users(top, nats):
        users[key] = next((f"{where}.{way}" for way in WAYS_IN if settings.get(way)), "")
        if users[key].endswith(".existingSecret"):
            secrets[key] = reader.text(settings["existingSecret"], users[key])
        generations[key] = everybody + reader.generation(settings, where) - 1
    routes = reader.map(nats.get("cluster"), "nats.cluster").get("existingSecret")
    return ChartUsers(
        waiting=tuple(key for key, settled in users.items() if not settled),
        settled={key: settled for key, settled in users.items() if settled},
        secrets=secrets,
        generations=generations,
        replicas=reader.replicas(nats.get("replicas", 1)),
        routes_settled="nats.cluster.existingSecret" if routes else "",
        name=reader.text(top.get("nameOverride"), "nameOverride")[:63].removesuffix("-") or CHART,
        fullname=reader.text(top.get("fullnameOverride"), "fullnameOverride"),
        problems=tuple(reader.problems),
    )


_User: TypeAlias = tuple[str, str, Mapping[str, Json]]
"""The key of its files, the path of its settings, and these."""


@dataclass
class _Reader:
    problems: list[str] = field(default_factory=list)

    def wrong(self, problem: str) -> None:
        self.problems.append(problem)

    def map(self, given: Json, where: str) -> Mapping[str, Json]:
        if given is None:
            return {}
        if not isinstance(given, Mapping):
            self.wrong(f"{where} is {described(given)}, but must be a map")
            return {}
        return given

    def text(self, given: Json, where: str) -> str:
        if given is None:
            return ""
        if isinstance(given, Ambiguous) or not isinstance(given, str):
            self.wrong(f"{where} is {described(given)}, but must be text: put it in quotes")
            return ""
        return given

    def replicas(self, given: Json) -> int:
        if not isinstance(given, int) or isinstance(given, bool) or not 1 <= given <= 99:
            self.wrong(f"nats.replicas is {described(given)}, but must be a number of servers such as 1 or 3")
            return 1
        return given

    def generation(self, settings: Mapping[str, Json], where: str) -> int:
        given = settings.get("generation")
        if given is None:
            return 1
        if not isinstance(given, int) or isinstance(given, bool) or given < 1:
            self.wrong(f"{where}.generation is {described(given)}, but must be a whole number, 1 or more")
            return 1
        return given

    def users(self, top: Mapping[str, Json], nats: Mapping[str, Json]) -> Iterator[_User]:
        """Yield each user."""
        system = self.map(nats.get("systemUser"), "nats.systemUser")
        yield from self.user(SYSTEM, system.get("name", "sys"), system, "nats.systemUser")
        reloader = self.map(nats.get("reloader"), "nats.reloader")
        yield from self.user(SYSTEM, "reloader", reloader, "nats.reloader")
        accounts = self.map(top.get("accounts"), "accounts") or {"app": {"users": {"app": {}}}}
        for account, body in accounts.items():
            where = f"accounts.{account}"
            if not self.legal(account, where, "account"):
                continue
            parts = self.map(body, where)
            provisioner = self.map(parts.get("provisioner"), f"{where}.provisioner")
            yield from self.user(account, "provisioner", provisioner, f"{where}.provisioner")
            if self.map(top.get("monitor"), "monitor").get("enabled"):
                monitor = self.map(parts.get("monitor"), f"{where}.monitor")
                yield from self.user(account, "monitor", monitor, f"{where}.monitor")
            for name, given in self.map(parts.get("users"), f"{where}.users").items():
                yield from self.user(account, name, given, f"{where}.users.{name}")

    def user(self, account: str, name: Json, given: Json, where: str) -> Iterator[_User]:
        settings = self.map(given, where)
        if self.legal(name, where, "user"):
            yield f"{account}.{name}", where, settings

    def legal(self, name: Json, where: str, what: str) -> bool:
        if isinstance(name, Ambiguous) or not isinstance(name, str):
            self.wrong(
                f"{where} is called {described(name)}, which YAML readers take for different things: put it in quotes"
            )
            return False
        if not _NAME.fullmatch(name):
            article = "an" if what == "account" else "a"
            self.wrong(
                f"{where}: {name!r} is not the name of {article} {what}: "
                "use letters, digits, - and _, and begin with a letter or a digit"
            )
            return False
        return True
