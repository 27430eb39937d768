"""A release of the chart on this machine: its own files as its pods see them, its servers on loopback ports."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nats.aio.client
import yaml

import chart
from chart import Manifest, Rendered
from cli import Natsmith, Result
from embedded import Embedded
from natsmith.adapters.connections import Connection

NOBODY_LISTENS = 1
"""A port that stands for a server which has not started yet; the ones that have tell it where they are."""


@dataclass(frozen=True)
class User:
    """A user of nats.conf, with the password that the release's Secrets hold for it."""

    account: str
    key: str
    """How its files are called; empty for an nkey."""

    login: str
    password: str
    nkey: str
    permissions: dict[str, Any]


@dataclass
class Installed:
    """A release with its servers."""

    rendered: Rendered
    home: Path
    others: tuple[Manifest, ...]
    servers: list[Embedded] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where clients connect."""
        urls = [each.url for each in self.servers]
        return ",".join(url.replace("nats://", "tls://") if self.ca else url for url in urls)

    @property
    def ca(self) -> str:
        """The certificate that the servers' comes from, empty without TLS."""
        return self.files.get("ca.crt", "")

    @property
    def files(self) -> dict[str, str]:
        """What the Secrets hold, by key: those of the release, and those it was told of."""
        given = {key: text for each in self.others for key, text in each.get("stringData", {}).items()}
        return self.rendered.secret_files | given

    @property
    def users(self) -> list[User]:
        """Every user of the servers."""
        return [
            _user(account, each, self.files)
            for account, body in data(self.rendered).get("accounts", {}).items()
            for each in body["users"]
        ]

    def user(self, login: str) -> User:
        """Return the user with that login name."""
        [found] = [each for each in self.users if each.login == login]
        return found

    def listens(self, number: int) -> dict[str, list[str]]:
        """Return where one of the servers listens: nats, monitoring, cluster."""
        server = self.servers[number]
        assert server.process
        told = (server.home / f"{server.binary.name}_{server.process.pid}.ports").read_text()
        found: dict[str, list[str]] = json.loads(told)
        return found

    def mounted(self, rendered: Rendered, *others: Manifest, only: Collection[int] = ()) -> None:
        """Give the servers the files of another rendering, as the kubelet does after an upgrade; nothing restarts.

        *others* take the place of Secrets of the same name; *only* some servers may have them for the time being.
        """
        names = {each["metadata"]["name"] for each in others}
        self.rendered = rendered
        self.others = (*(each for each in self.others if each["metadata"]["name"] not in names), *others)
        for number, server in enumerate(self.servers):
            if (only and number not in only) or (server.process and server.process.poll() is not None):
                continue
            chart.mount(rendered, server.home, self.others)
            if len(self.servers) > 1:
                self.join(number)

    def join(self, number: int) -> None:
        """Have one of several servers know those that were started before it."""
        name = self.rendered.one("StatefulSet")["metadata"]["name"]
        _join(self.servers[number], name, [self.listens(each)["cluster"][0] for each in range(number)])

    async def connect(self, login: str, password: str | None = None, **more: Any) -> nats.aio.client.Client:
        """Connect as a user, with its own password unless another is given; one attempt."""
        options = {"tls": ssl.create_default_context(cadata=self.ca), **more} if self.ca else more
        given = self.user(login).password if password is None else password
        return await connected(servers=self.url.split(","), user=login, password=given, **options)

    def natsmith(self) -> Natsmith:
        """Return natsmith as it is in the release's pods: /etc/natsmith is its directory."""
        return in_pod(chart.provisioner(self.rendered, self.home / "natsmith", self.url, self.others))

    async def job(self) -> Result:
        """Run what the Job runs."""
        natsmith = self.natsmith()
        return await natsmith(*arguments(job_of(self.rendered), natsmith.home))

    async def drift(self) -> Result:
        """Run what the CronJob runs that compares or heals."""
        natsmith = self.natsmith()
        return await natsmith(*arguments(drift_of(self.rendered), natsmith.home))

    async def test(self) -> Result:
        """Run what ``helm test`` runs."""
        natsmith = self.natsmith()
        return await natsmith(*arguments(self.rendered.one("Pod", "-test")["spec"], natsmith.home))


def job_of(rendered: Rendered) -> dict[str, Any]:
    """Return the spec of the Job's pod."""
    spec: dict[str, Any] = rendered.one("Job")["spec"]["template"]["spec"]
    return spec


def drift_of(rendered: Rendered) -> dict[str, Any]:
    """Return the spec of the pod that compares or heals on a clock."""
    spec: dict[str, Any] = rendered.one("CronJob", "-drift")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return spec


def in_pod(directory: Path) -> Natsmith:
    """Return natsmith with the environment that a pod's container has, where /etc/natsmith is *directory*."""
    found = {"NATSMITH_CONNECTIONS": str(directory / "connections.yaml")}
    return Natsmith(directory, Connection(server=""), environment=found)


def arguments(pod: dict[str, Any], directory: Path) -> list[str]:
    """Return what a pod's container is started with, where /etc/natsmith is *directory*."""
    words: list[str] = pod["containers"][0]["args"]
    said = {"/dev/termination-log": str(directory / "outcome.json")}
    return [said.get(word) or re.sub("^/etc/natsmith", str(directory), word) for word in words]


async def connected(**options: Any) -> nats.aio.client.Client:
    """Return a client after one attempt to connect; one that is refused is closed and raises."""
    client = nats.aio.client.Client()
    try:
        await client.connect(**{"allow_reconnect": False, "error_cb": _ignore, **options})
    except BaseException:
        # nats-py leaves the socket open.
        await client.close()
        raise
    return client


async def _ignore(error: Exception) -> None:
    """Take note of nothing: what matters is raised as well, and nats-py would print it."""


def _user(account: str, body: dict[str, Any], files: dict[str, str]) -> User:
    key = body.get("$include", "").removesuffix(".conf")
    return User(
        account=account,
        key=key,
        login=body.get("user", ""),
        password=files.get(f"{key}.password", ""),
        nkey=body.get("nkey", ""),
        permissions=body.get("permissions", {}),
    )


def data(rendered: Rendered) -> dict[str, Any]:
    """Return the release's nats.conf as data: an ``include`` becomes the value of ``$include``."""
    text = rendered.one("ConfigMap", "-config")["data"]["nats.conf"].replace("$SERVER_NAME,", '"$SERVER_NAME",')
    found: dict[str, Any] = json.loads(re.sub(r'include ("[^"]*")', r'"$include": \1', text))
    return found


@contextmanager
def installed(
    rendered: Rendered, home: Path, *, others: Sequence[Manifest] = (), binary: Path | None = None
) -> Iterator[Installed]:
    """Run the servers of a release below *home*; *others* are Secrets that are not of the release."""
    result = Installed(rendered, home, tuple(others))
    several = rendered.one("StatefulSet")["spec"]["replicas"]
    try:
        for number in range(several):
            place = home / f"server-{number}"
            place.mkdir()
            server = chart.server(rendered, place, others=others, binary=binary, number=number)
            result.servers.append(server)
            if several > 1:
                result.join(number)
            server.start()
        yield result
    finally:
        for each in result.servers:
            each.end()


def _join(server: Embedded, name: str, known: list[str]) -> None:
    """Give a server a route port of its own choice, and the addresses of those that run in place of their pods'."""
    text = server.config.read_text()
    assert text.count('"port": 6222') == 1
    server.config.write_text(text.replace('"port": 6222', '"host": "127.0.0.1", "port": -1'))
    file = server.config.parent / "routes.conf"
    ports = {number: address.rpartition(":")[2] for number, address in enumerate(known)}
    dialled, count = re.subn(
        rf"@{name}-(\d+)\.{name}-headless:6222",
        lambda found: f"@127.0.0.1:{ports.get(int(found[1]), NOBODY_LISTENS)}",
        file.read_text(),
    )
    assert count >= len(known) + 1
    file.write_text(dialled)


def credentials(values: Path, *, name: str, release: str) -> Manifest:
    """Return the Secret that ``natsmith credentials`` makes."""
    command = [str(Path(sys.executable).parent / "natsmith"), "credentials", "-f", str(values), "--name", name]
    done = subprocess.run([*command, "--release", release], capture_output=True, text=True, check=True)
    made: Manifest = yaml.safe_load(done.stdout)
    return made


def certificate(directory: Path, *, name: str, ended: bool = False) -> Manifest:
    """Return a Secret with a certificate for this machine, that trusts itself and may do what servers and clients do."""
    directory.mkdir()
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=natsmith", "-keyout", "tls.key", "-out", "tls.crt"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
    subprocess.run(command, cwd=directory, capture_output=True, check=True)
    if ended:
        again = ["openssl", "x509", "-in", "tls.crt", "-signkey", "tls.key", "-days", "0", "-out", "tls.crt"]
        subprocess.run(again, cwd=directory, capture_output=True, check=True)
    own, key = (directory / "tls.crt").read_text(), (directory / "tls.key").read_text()
    files = {"tls.crt": own, "tls.key": key, "ca.crt": own}
    return {"kind": "Secret", "metadata": {"name": name}, "stringData": files}
