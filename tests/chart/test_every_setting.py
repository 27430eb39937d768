"""Every setting of values.yaml has an effect."""

from __future__ import annotations

from typing import Any

import pytest

import generate
from chart import CHART
from releases import A_THIRD, EVERYTHING, EXTERNAL, NKEY, WATCHED, Values, laid, rendered, without_passwords
from test_settings import DIGEST, nats

EXPORTER: dict[str, Any] = {
    "enabled": False,
    "image.repository": "other",
    "image.tag": "other",
    "image.digest": DIGEST,
    "image.pullPolicy": "Never",
    "resources": {"requests": {"cpu": "7m"}},
    "podMonitor.enabled": False,
    "podMonitor.labels": {"x": "y"},
    "podMonitor.intervalSeconds": 7,
}
"""What is said about the exporter."""

OTHERS: dict[str, Any] = {
    "nameOverride": "other",
    "fullnameOverride": "other",
    "commonLabels": {"x": "y"},
    "imagePullSecrets": [{"name": "other"}],
    "nats.replicas": 5,
    **{f"{whose}.image.repository": "other" for whose in ("nats", "provisioner")},
    **{f"{whose}.image.tag": "other" for whose in ("nats", "provisioner")},
    **{f"{whose}.image.digest": DIGEST for whose in ("nats", "provisioner")},
    **{f"{whose}.image.pullPolicy": "Never" for whose in ("nats", "provisioner")},
    **{f"{whose}.resources": {"requests": {"cpu": "7m"}} for whose in ("nats", "provisioner")},
    **{f"{whose}.podLabels": {"x": "y"} for whose in ("nats", "provisioner")},
    **{f"{whose}.podAnnotations": {"x": "y"} for whose in ("nats", "provisioner")},
    **{f"{whose}.nodeSelector": {"x": "y"} for whose in ("nats", "provisioner")},
    **{f"{whose}.tolerations": [{"operator": "Exists"}] for whose in ("nats", "provisioner")},
    "provisioner.snapshots": "restore",
    "nats.jetstream.memory": "7Mi",
    "nats.jetstream.maxFileStore": "7Mi",
    "nats.jetstream.domain": "leaf",
    "nats.jetstream.storage.persistent": False,
    "nats.jetstream.storage.size": "7Gi",
    "nats.jetstream.storage.className": "fast",
    "nats.service.type": "LoadBalancer",
    "nats.service.annotations": {"x": "y"},
    "nats.service.nodePorts.client": 31000,
    "nats.service.nodePorts.monitor": 31001,
    "nats.tls.existingSecret": "other",
    "nats.tls.verifyClients": False,
    "nats.tls.monitoring": False,
    "nats.tls.routes": False,
    "nats.tls.certManager.enabled": False,
    "nats.tls.certManager.issuer": "other",
    "nats.tls.certManager.issuerKind": "ClusterIssuer",
    "nats.tls.certManager.dnsNames": ["other"],
    "nats.waitForCurrent": False,
    "nats.grow.fromOne": True,
    "nats.grow.leave": ["S"],
    "nats.systemUser.name": "other",
    "nats.systemUser.password": "other",
    "nats.systemUser.nkey": A_THIRD,
    "nats.systemUser.existingSecret": "other",
    "nats.systemUser.generation": 2,
    "nats.systemUser.overlap": True,
    "nats.systemUser.previousPassword": "other",
    "nats.systemUser.previousNkey": A_THIRD,
    "nats.reloader.password": "other",
    "nats.reloader.nkey": A_THIRD,
    "nats.reloader.existingSecret": "other",
    "nats.reloader.seedSecret": {"name": "other"},
    "nats.cluster.existingSecret": "other",
    "nats.config.merge": {"x": 1},
    "nats.extraPorts": {"x": {"port": 7422}},
    "nats.lameDuckSeconds": 60,
    "nats.pdb.enabled": False,
    "nats.topologySpread.zones": "DoNotSchedule",
    "nats.topologySpread.nodes": "DoNotSchedule",
    "nats.networkPolicy.enabled": False,
    "nats.networkPolicy.clients": [{}],
    "nats.networkPolicy.monitors": [{}],
    "nats.priorityClassName": "other",
    "nats.affinity": {"nodeAffinity": {}},
    "credentials.existingSecret": "other",
    "credentials.generation": 3,
    "credentials.overlap": True,
    "accounts": {"C": {"users": {"c": {}}}},
    "buckets": {"x": {"account": "A"}},
    "objectStores": {"x": {"account": "A"}},
    "streams": {"X": {"account": "A", "subjects": ["x"]}},
    "provisioner.mode": "hook",
    "provisioner.onImmutable": "move",
    "provisioner.prune": True,
    "provisioner.loss": "refuse",
    "provisioner.consent": {"sessions": "c-1"},
    "provisioner.deadlineSeconds": 120,
    "provisioner.backoffLimit": 3,
    "registry.clean.enabled": False,
    "registry.clean.schedule": "0 * * * *",
    "registry.clean.bucket": "sessions",
    "registry.clean.account": "B",
    "registry.clean.dryRun": True,
    "registry.clean.deadlineSeconds": 60,
    "registry.clean.resources": {"requests": {"cpu": "7m"}},
    "drift.enabled": False,
    "drift.schedule": "0 * * * *",
    "drift.mode": "heal",
    "drift.deadlineSeconds": 60,
    "drift.resources": {"requests": {"cpu": "7m"}},
    **{f"nats.exporter.{key}": value for key, value in EXPORTER.items()},
    "monitor.enabled": False,
    "monitor.registry": "other",
    "monitor.elections": "other",
    "monitor.showValues": True,
    "monitor.service.type": "NodePort",
    "monitor.service.port": 80,
    "monitor.networkPolicy.enabled": False,
    "monitor.networkPolicy.clients": [{}],
    **{f"monitor.{each}.enabled": False for each in ("podMonitor", "rules", "dashboard")},
    **{f"monitor.{each}.labels": {"x": "y"} for each in ("podMonitor", "rules", "dashboard")},
    "monitor.podMonitor.intervalSeconds": 7,
    "monitor.rules.lag": 7,
    "monitor.rules.storage": 0.5,
    "monitor.resources": {"requests": {"cpu": "7m"}},
    "toolbox.enabled": False,
    "tests.enabled": False,
    "nats.enabled": None,
    "nats.forgetAccounts": None,
    "provisioner.connection.server": "nats://other:4222",
    "provisioner.connection.existingSecret": "other",
    "provisioner.connection.tls.existingSecret": "other",
    "provisioner.connection.tls.clientCertificate": True,
}
"""Another value of every setting; None: a test of its own says what it does, here or in test_lookup."""


def leaves(keys: tuple[generate.Key, ...]) -> list[str]:
    """Return the paths of all settings of values.yaml."""
    return [
        path
        for key in keys
        for path in (leaves(key.children) if key.children and not key.said.get("opaque") else [key.path])
    ]


def nested(path: str, value: Any) -> Values:
    """Return values that say one thing."""
    for key in reversed(path.split(".")):
        value = {key: value}
    found: Values = value
    return found


def base(path: str) -> Values:
    """Return values of which a setting changes something."""
    if path.startswith("provisioner.connection"):
        return laid(EXTERNAL, {"provisioner": {"connection": {"tls": {"existingSecret": "tls"}}}})  # type: ignore[no-any-return]
    if path.startswith("nats.exporter"):
        return WATCHED
    if path == "nats.grow.leave":
        return laid(EVERYTHING, nats(grow={"fromOne": True}))  # type: ignore[no-any-return]
    if path == "nats.reloader.seedSecret":
        return nats(reloader={"nkey": A_THIRD, "seedSecret": {"name": "one"}})
    if path == "nats.tls.existingSecret":
        return nats(replicas=3)
    if path.startswith("credentials.") or path == "nats.systemUser.overlap":
        return laid(EVERYTHING, {"credentials": {"generation": 2}})  # type: ignore[no-any-return]
    if path == "nats.systemUser.previousPassword":
        plain = {"password": "p", "previousPassword": "b", "generation": 2, "overlap": True}
        return laid(EVERYTHING, nats(systemUser=plain))  # type: ignore[no-any-return]
    if path == "nats.systemUser.previousNkey":
        return laid(EVERYTHING, nats(systemUser={"nkey": NKEY[:-1] + "D"}))  # type: ignore[no-any-return]
    if path == "registry.clean.account":
        return laid(EVERYTHING, {"provisioner": {"mode": "none"}})  # type: ignore[no-any-return]
    return laid(EVERYTHING, {"nats": {"tls": {"existingSecret": ""}}})  # type: ignore[no-any-return]


def test_every_setting_is_looked_at() -> None:
    """The table above names all settings that there are, and no others."""
    assert sorted(leaves(generate.read((CHART / "values.yaml").read_text(), "values.yaml"))) == sorted(OTHERS)


@pytest.mark.parametrize("path", [path for path, value in OTHERS.items() if value is not None])
def test_every_setting_changes_what_is_rendered(path: str) -> None:
    """No setting is there in name only."""
    overlay: Values = nested(path, OTHERS[path])
    if path == "nats.tls.certManager.enabled":
        overlay = laid(overlay, nats(tls={"verifyClients": False, "monitoring": False}))
    if path == "nats.exporter.enabled":
        overlay = nested("nats.exporter", {"enabled": False, "podMonitor": {"enabled": False}})
    if path == "nats.reloader.nkey":
        overlay = nested("nats.reloader", {"nkey": A_THIRD, "seedSecret": {"name": "one"}})
    if path == "accounts":
        overlay = {"accounts": OTHERS[path]}

    assert without_passwords(rendered(base(path))) != without_passwords(rendered(laid(base(path), overlay)))
