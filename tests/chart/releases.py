"""Renderings for tests: of values in words, by every Helm that is here, each made once."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import pytest

import sampling
from chart import CHART, Manifest, NotRendered, Rendered, helms, render

Values: TypeAlias = Mapping[str, Any]

ROOT = CHART.parent.parent
FILES = (*sorted((ROOT / "values").glob("*.yaml")), *sorted((CHART / "ci").glob("*.yaml")))
NAMESPACE = "messaging"

NKEY, ANOTHER, A_THIRD = (f"U{letter * 55}" for letter in "ABC")
"""Something shaped as public keys of users."""

EXTERNAL: Values = {"nats": {"enabled": False}, "provisioner": {"connection": {"server": "nats://nats.infra.svc:4222"}}}
"""The least that provisions a server that someone else runs."""

MONITOR: Values = {
    "enabled": True,
    "networkPolicy": {"enabled": True},
    **{each: {"enabled": True} for each in ("podMonitor", "rules", "dashboard")},
}
"""The monitor with all that belongs to it."""

EVERYTHING: Values = {
    "commonLabels": {"team": "platform"},
    "imagePullSecrets": [{"name": "registry"}],
    "nats": {
        "replicas": 3,
        "service": {"nodePorts": {"client": 30422, "monitor": 30822}},
        "tls": {
            "verifyClients": True,
            "monitoring": True,
            "certManager": {"enabled": True, "issuer": "ours", "dnsNames": ["nats.example.com"]},
        },
        "resources": {"limits": {"memory": "4Gi"}},
        "networkPolicy": {
            "clients": [{"podSelector": {"matchLabels": {"nats": "client"}}}],
            "monitors": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}],
        },
        "config": {"merge": {"websocket": {"port": 8080, "no_tls": True}, "mqtt": {"port": 1883}}},
        "extraPorts": {
            "websocket": {"port": 8080, "nodePort": 30808},
            "mqtt": {"port": 1883, "from": [{"podSelector": {"matchLabels": {"nats": "client"}}}]},
        },
        "podLabels": {"a": "b"},
        "podAnnotations": {"c": "d"},
    },
    "accounts": {
        "A": {
            "users": {"made": {}, "theirs": {"existingSecret": "a-users"}},
            "provisioner": {"nkey": NKEY, "seedSecret": {"name": "a-seed"}},
        },
        "B": {
            "users": {"key": {"nkey": ANOTHER, "seedSecret": {"name": "b-seed", "key": "nk"}}},
            "provisioner": {"existingSecret": "b-provisioner"},
        },
    },
    "buckets": {"sessions": {"account": "A", "ttlSeconds": 300}, "registry": {"account": "A", "ttlSeconds": 30}},
    "streams": {"S": {"account": "B", "subjects": ["s.>"], "consumers": {"w": {}}}},
    "objectStores": {"files": {"account": "B"}},
    "provisioner": {"mode": "job", "podLabels": {"e": "f"}},
    "registry": {"clean": {"enabled": True, "account": "A", "bucket": "registry"}},
    "drift": {"enabled": True},
    "toolbox": {"enabled": True},
    "monitor": MONITOR,
}
"""All that the chart can make, with users of every kind but plain passwords: their digest takes Helm 0.15 s."""

WATCHED: Values = {
    "nats": {"exporter": {"enabled": True, "podMonitor": {"enabled": True}}},
    "monitor": MONITOR,
    "streams": {"S": {"subjects": ["s.>"], "consumers": {"w": {"deadLetter": {}}}}},
}
"""What Prometheus and a person look at, with what cannot stand beside a monitoring port of TLS."""

SHAPES: Mapping[str, tuple[Values, tuple[Path, ...]]] = {
    **{f"{file.parent.name}/{file.name}": ({}, (file,)) for file in FILES},
    "everything": (EVERYTHING, ()),
    "watched": (WATCHED, ()),
    "external": (EXTERNAL, ()),
}
"""Every shape of a release worth looking at, by name: values, and the files below them."""


@cache
def version(helm: Path) -> str:
    """Return what a Helm calls itself, such as 3.17.3."""
    said = subprocess.run([helm, "version", "--short"], capture_output=True, text=True, check=True).stdout
    return said.strip().lstrip("v").partition("+")[0]


_HELMS = helms()

EVERY_HELM = pytest.mark.parametrize(
    "helm", list(dict.fromkeys((_HELMS[0], _HELMS[-1]))) if sampling.asked() else _HELMS, ids=version
)
"""Where not everything is to be tried the newest and the oldest: those on PATH come first."""

EVERY_SHAPE = pytest.mark.parametrize("shape", SHAPES)


def rendered(
    values: Values | None = None,
    *files: Path,
    helm: Path | None = None,
    release: str = "dev",
    namespace: str = NAMESPACE,
    chart: Path = CHART,
    more: tuple[str, ...] = (),
    again: int = 0,
) -> Rendered:
    """Return what Helm makes of *values* laid over *files*; with another *again*, of another run."""
    return _rendered(
        helm or helms()[0], release, namespace, chart, files, json.dumps(values or {}, sort_keys=True), more, again
    )


def shaped(shape: str, helm: Path | None = None, *, release: str = "dev", again: int = 0) -> Rendered:
    """Return what Helm makes of one of SHAPES."""
    values, files = SHAPES[shape]
    return rendered(values, *files, helm=helm, release=release, again=again)


@cache
def _rendered(
    helm: Path,
    release: str,
    namespace: str,
    chart: Path,
    files: tuple[Path, ...],
    document: str,
    more: tuple[str, ...],
    _again: int,
) -> Rendered:
    with TemporaryDirectory() as directory:
        overlay = Path(directory) / "overlay.yaml"
        overlay.write_text(document)
        return render(
            (*files, overlay), helm=helm, release=release, chart=chart, more=("--namespace", namespace, *more)
        )


def refused(values: Values, helm: Path | None = None, *, release: str = "dev", more: tuple[str, ...] = ()) -> str:
    """Return what Helm says when it refuses *values*, with paths as we write them: Helm 4 says `/a/b` where 3 says `a.b`."""
    with pytest.raises(NotRendered) as caught:
        rendered(values, helm=helm, release=release, more=more)
    return str(caught.value).replace("at '/", "at '").replace("/", ".")


def refused_with_cure(values: Values, problem: str, cure: str, helm: Path | None = None) -> None:
    """Assert that Helm refuses *values* with one line that names the problem, and after it the cure."""
    [line] = [line for line in refused(values, helm).splitlines() if problem in line]

    assert cure in line.partition(problem)[2]


def runs_on_a_clock(spec: Manifest, schedule: str, *, seconds: int) -> None:
    """Assert how a CronJob runs: one at a time, each with an end; a failed one is not repeated but followed by the next."""
    of_one = spec["jobTemplate"]["spec"]

    assert (schedule, "Forbid", 60) == (
        spec["schedule"],
        spec["concurrencyPolicy"],
        spec["startingDeadlineSeconds"],
    )
    assert (1, 3) == (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"])
    assert (seconds, 0, "Never") == (
        of_one["activeDeadlineSeconds"],
        of_one["backoffLimit"],
        of_one["template"]["spec"]["restartPolicy"],
    )


def without_passwords(release: Rendered) -> list[Manifest]:
    """Return all objects, of the Secret of generated passwords only its keys: two renderings differ in nothing else."""
    return [
        {**each, "data": sorted(each["data"])} if each["kind"] == "Secret" else each
        for each in sorted(release.manifests, key=named)
    ]


def named(manifest: Manifest) -> tuple[str, str]:
    """Return what an object is found by within its namespace."""
    return manifest["kind"], manifest["metadata"]["name"]


def pod_templates(release: Rendered) -> Iterator[tuple[str, Manifest]]:
    """Yield every pod that the release makes or lets make: whose it is, and its metadata and spec."""
    for each in release.manifests:
        if each["kind"] == "Pod":
            yield each["metadata"]["name"], each
        elif each["kind"] == "CronJob":
            yield each["metadata"]["name"], each["spec"]["jobTemplate"]["spec"]["template"]
        elif "template" in each.get("spec", {}):
            yield each["metadata"]["name"], each["spec"]["template"]


def containers_of(pod: Manifest) -> list[Manifest]:
    """Return the containers of a pod."""
    found: list[Manifest] = pod["spec"]["containers"]
    return found


def laid(under: Any, over: Any) -> Any:
    """Return *over* laid on *under*: maps merge, all else replaces."""
    if not isinstance(under, Mapping) or not isinstance(over, Mapping):
        return over
    return {**under, **{key: laid(under.get(key), value) for key, value in over.items()}}
