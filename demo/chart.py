"""The chart's own output, run without a cluster: rendered by Helm, its files laid out as Kubernetes would, its server started."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from embedded import ANY_PORT, Embedded, binary_here

Manifest: TypeAlias = dict[str, Any]

CHART = Path(__file__).parent.parent / "charts" / "natsmith"
KUBERNETES = "1.34.0"
"""For which Kubernetes is rendered where none can be asked: some builds of Helm take very old ones for granted."""


def helms() -> list[Path]:
    """Return every Helm that is here: those on PATH, and the one from PyPI in this virtual environment."""
    on_path = [Path(found) for name in ("helm", "helm3", "helm4") if (found := shutil.which(name))]
    candidates = [*on_path, Path(sys.executable).parent / "helm"]
    return list({each.resolve(): each for each in candidates if each.exists()}.values())


class NotRendered(Exception):
    """Helm refused, and its message says why."""


class NotHere(Exception):
    """The release needs an object that is not its own, and nobody gave it."""


@dataclass(frozen=True)
class Rendered:
    """What the chart gives for some values."""

    text: str
    manifests: tuple[Manifest, ...]

    def all(self, kind: str) -> list[Manifest]:
        """Return every object of one kind."""
        return [each for each in self.manifests if each["kind"] == kind]

    def one(self, kind: str, ends: str = "") -> Manifest:
        """Return the only object of a kind whose name ends so."""
        [found] = [each for each in self.all(kind) if each["metadata"]["name"].endswith(ends)]
        return found

    @property
    def secret_files(self) -> dict[str, str]:
        """What the Secrets hold, by key."""
        return {
            key: base64.b64decode(value).decode() for each in self.all("Secret") for key, value in each["data"].items()
        }


def render(
    files: Iterable[Path | str] = (),
    *,
    helm: Path | None = None,
    release: str = "dev",
    chart: Path = CHART,
    more: Sequence[str] = (),
) -> Rendered:
    """Return what `helm template` makes of the chart; *more* are further arguments of Helm's."""
    values = [word for file in files for word in ("-f", str(file))]
    command = [str(helm or helms()[0]), "template", release, str(chart), "--kube-version", KUBERNETES, *values, *more]
    # Helm itself, with arguments of ours.
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise NotRendered(done.stderr)
    # The parser in C where PyYAML has it: ten times faster.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return Rendered(done.stdout, tuple(each for each in yaml.load_all(done.stdout, loader) if each))


def passwords(rendered: Rendered) -> dict[str, Any]:
    """Return values that say the passwords of the release's Secret: without a cluster, each rendering has new ones."""
    values: dict[str, Any] = {"accounts": {}}
    found: dict[str, dict[int, str]] = {}
    for key, text in rendered.secret_files.items():
        parts = re.fullmatch(r"([^.]+\.[^.]+)(?:\.(\d+))?\.password", key)
        if parts:
            found.setdefault(parts[1], {})[int(parts[2] or 1)] = text
    for key, generations in found.items():
        account, _, user = key.partition(".")
        newest, *before = (text for _, text in sorted(generations.items(), reverse=True))
        given = {"password": newest, **({"previousPassword": before[0]} if before else {})}
        if account == "_SYS":
            values.setdefault("nats", {})["reloader" if user == "reloader" else "systemUser"] = given
            continue
        said = values["accounts"].setdefault(account, {"users": {}})
        if user == "provisioner" or (user == "monitor" and has_monitor(rendered)):
            said[user] = given
        else:
            said["users"][user] = given
    return values


def has_monitor(rendered: Rendered) -> bool:
    """Return whether the release has a monitor, whose user then is no application's."""
    return any(each["metadata"]["name"].endswith("-monitor") for each in rendered.all("Deployment"))


def lay_out(rendered: Rendered, pod: Mapping[str, Any], root: Path, others: Iterable[Manifest] = ()) -> None:
    """Write the files that the first container of *pod*, a pod's spec, would see, below *root*.

    *others* are Secrets that are not of the release. What is stored stays as it was.
    """
    known = {(each["kind"], each["metadata"]["name"]): each for each in (*rendered.manifests, *others)}
    volumes = {each["name"]: each for each in pod.get("volumes", ())}
    for mount in pod["containers"][0]["volumeMounts"]:
        below = root / mount["mountPath"].lstrip("/")
        below.mkdir(parents=True, exist_ok=True)
        for source in _sources(volumes.get(mount["name"], {})):
            kind, said = next((kind, source[key]) for key, kind in _KINDS.items() if key in source)
            if (kind, said["name"]) not in known:
                raise NotHere(f"the release needs the {kind} {said['name']}, which is not its own")
            data = _data(known[kind, said["name"]])
            items = said.get("items") or [{"key": key, "path": key} for key in data]
            for item in items:
                file = below / item["path"]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data[item["key"]])
                file.chmod(0o600)


_KINDS = {"configMap": "ConfigMap", "secret": "Secret"}


def _sources(volume: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "secret" in volume:
        return [{"secret": {"name": volume["secret"]["secretName"]}}]
    sources: list[dict[str, Any]] = volume.get("projected", {}).get("sources", [])
    return sources


def _data(manifest: Manifest) -> dict[str, bytes]:
    if manifest["kind"] == "Secret":
        plain = {key: value.encode() for key, value in manifest.get("stringData", {}).items()}
        return {key: base64.b64decode(value) for key, value in manifest.get("data", {}).items()} | plain
    return {key: value.encode() for key, value in manifest["data"].items()}


def mount(rendered: Rendered, home: Path, others: Iterable[Manifest] = ()) -> Path:
    """Write what the release's nats-server reads below *home*, and return the path of its nats.conf."""
    pod = rendered.one("StatefulSet")["spec"]["template"]["spec"]
    lay_out(rendered, pod, home, others)
    config = home / "etc/nats/nats.conf"
    text = config.read_text()
    for mount in pod["containers"][0]["volumeMounts"]:
        text = text.replace(f'"{mount["mountPath"]}/', f'"{home}{mount["mountPath"]}/')
    config.write_text(text)
    return config


def server(
    rendered: Rendered,
    home: Path,
    *,
    others: Iterable[Manifest] = (),
    binary: Path | None = None,
    ports: tuple[int, int] = (ANY_PORT, ANY_PORT),
    number: int = 0,
) -> Embedded:
    """Return the release's nats-server, not yet started, with its files and data below *home*.

    Only what a pod has for itself is another: where its directories are, and the *ports* for clients and monitoring.
    *number* is which of several it is.
    """
    if not rendered.all("StatefulSet"):
        raise NotHere("the release has no server of its own (nats.enabled is false)")
    config = mount(rendered, home, others)
    monitor = ("-ms" if '"https_port"' in config.read_text() else "-m", str(ports[1]))
    name = f"{rendered.one('StatefulSet')['metadata']['name']}-{number}"
    # As the pod's environment has it: in quotes.
    environment = {"SERVER_NAME": json.dumps(name)}
    return Embedded(binary or binary_here(), home, config, monitor, ports[0], environment=environment)


def provisioner(rendered: Rendered, home: Path, url: str, others: Iterable[Manifest] = ()) -> Path:
    """Write what natsmith's pods see below *home*, with the server's address in place of the Service's; return where."""
    lay_out(rendered, rendered.one("Pod", "-test")["spec"], home, others)
    for job in rendered.all("Job"):
        lay_out(rendered, job["spec"]["template"]["spec"], home, others)
    if has_monitor(rendered):
        lay_out(rendered, rendered.one("Deployment", "-monitor")["spec"]["template"]["spec"], home, others)
    directory = home / "etc/natsmith"
    for file in ("connections.yaml", "reloader.yaml", "applications.yaml", "monitor.yaml"):
        if (directory / file).exists():
            text = (directory / file).read_text()
            given = yaml.safe_load(text)
            (directory / file).write_text(yaml.safe_dump({**given, "server": url}))
    return directory
