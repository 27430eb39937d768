"""What a user sets about the server arrives where it has an effect."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart import Manifest, Rendered
from releases import EVERY_HELM, Values, pod_templates, rendered

DIGEST = f"sha256:{'0' * 64}"


def nats(**settings: Any) -> Values:
    """Return values with *settings* of the server."""
    return {"nats": settings}


def conf(release: Rendered) -> dict[str, Any]:
    """Return nats.conf as data; what it includes stands under `include`, by nothing else's name."""
    text = release.one("ConfigMap", "-config")["data"]["nats.conf"].replace("$SERVER_NAME,", '"$SERVER_NAME",')
    found: dict[str, Any] = json.loads(re.sub(r'include ("[^"]*")', r'"include": \1', text))
    return found


def pod(release: Rendered) -> Manifest:
    """Return the spec of the server's pods."""
    found: Manifest = release.one("StatefulSet")["spec"]["template"]["spec"]
    return found


def sources(spec: Manifest, volume: str) -> dict[str, list[str]]:
    """Return which keys of which Secrets a projected volume of a pod holds."""
    [found] = [each["projected"]["sources"] for each in spec["volumes"] if each["name"] == volume]
    secrets = [each["secret"] for each in found if "secret" in each]
    return {each["name"]: sorted(item["key"] for item in each.get("items", ())) for each in secrets}


def with_reloader(found: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return *found* with what only the Job and the toolbox have: the password of who asks servers to reload."""
    return {name: sorted([*keys, "_SYS.reloader.password"]) for name, keys in found.items()}


@EVERY_HELM
@pytest.mark.parametrize("port", ["client", "monitor"])
def test_a_node_port_makes_the_service_one(port: str, helm: Path) -> None:
    """Who names a port on the nodes does not have to say the type as well."""
    spec = rendered(nats(service={"nodePorts": {port: 30422}}), helm=helm).one("Service", "-natsmith")["spec"]

    assert ("NodePort", [(port, 30422)]) == (
        spec["type"],
        [(each["name"], each["nodePort"]) for each in spec["ports"] if "nodePort" in each],
    )


def test_a_load_balancer_with_a_node_port_stays_one() -> None:
    """A type that one said is kept."""
    values = nats(service={"type": "LoadBalancer", "nodePorts": {"client": 30422}})

    assert rendered(values).one("Service", "-natsmith")["spec"]["type"] == "LoadBalancer"


@pytest.mark.parametrize(
    ("service", "names"),
    [
        ({}, ["client", "monitor"]),
        ({"nodePorts": {"client": 30422}}, ["client"]),
        ({"type": "LoadBalancer"}, ["client"]),
        ({"type": "NodePort", "nodePorts": {"monitor": 30822}}, ["client", "monitor"]),
    ],
)
def test_monitoring_leaves_the_cluster_only_where_that_was_said(service: Values, names: list[str]) -> None:
    """It asks for no password."""
    spec = rendered(nats(service=service)).one("Service", "-natsmith")["spec"]

    assert names == [each["name"] for each in spec["ports"]]


@EVERY_HELM
def test_the_server_stores_nine_tenths_of_its_volume(helm: Path) -> None:
    """Unless one says more, so that the volume cannot run full."""
    stores = [
        conf(rendered(nats(jetstream=each), helm=helm))["jetstream"]["max_file_store"]
        for each in ({"storage": {"size": "10Gi"}}, {"storage": {"size": "10Gi"}, "maxFileStore": "10Gi"})
    ]

    assert [9 * 2**30, 10 * 2**30] == stores


@EVERY_HELM
@pytest.mark.parametrize(("limit", "expected"), [("1Gi", str(2**30 * 9 // 10)), ("200M", "180000000"), (None, None)])
def test_the_memory_limit_is_go_s_too(limit: str | None, expected: str | None, helm: Path) -> None:
    """Nine tenths of the container's limit; without one, none."""
    limits = {"limits": {"memory": limit}} if limit else {}
    [container] = pod(rendered(nats(resources=limits), helm=helm))["containers"]

    assert expected == {each["name"]: each.get("value") for each in container["env"]}.get("GOMEMLIMIT")


@EVERY_HELM
def test_storage_is_a_claim_of_its_size_and_class(helm: Path) -> None:
    """The volume is what the values say."""
    values = nats(jetstream={"storage": {"size": "7Gi", "className": "fast"}})
    [claim] = rendered(values, helm=helm).one("StatefulSet")["spec"]["volumeClaimTemplates"]

    assert ("7Gi", "fast") == (claim["spec"]["resources"]["requests"]["storage"], claim["spec"]["storageClassName"])


@EVERY_HELM
def test_without_persistence_there_is_no_claim(helm: Path) -> None:
    """An emptyDir of the same size is there instead."""
    release = rendered(nats(jetstream={"storage": {"persistent": False, "size": "7Gi"}}), helm=helm)

    assert "volumeClaimTemplates" not in release.one("StatefulSet")["spec"]
    assert {"name": "data", "emptyDir": {"sizeLimit": "7Gi"}} in pod(release)["volumes"]


@EVERY_HELM
def test_a_certificate_turns_tls_on(helm: Path) -> None:
    """The server presents it, and the Job gets what it needs to trust it, and no key."""
    release = rendered(nats(tls={"existingSecret": "cert"}), helm=helm)
    connections = yaml.safe_load(release.one("ConfigMap", "-desired")["data"]["connections.yaml"])

    assert conf(release)["tls"] == {"cert_file": "/etc/nats-tls/tls.crt", "key_file": "/etc/nats-tls/tls.key"}
    assert ["ca.crt"] == sources(release.one("Job")["spec"]["template"]["spec"], "natsmith")["cert"]
    assert ("tls://dev-natsmith.messaging.svc:4222", "tls/ca.crt") == (connections["server"], connections["tlsCA"])


@EVERY_HELM
@pytest.mark.parametrize(("on", "port", "scheme"), [(True, "https_port", "HTTPS"), (False, "http_port", "HTTP")])
def test_probes_speak_as_the_monitoring_port_does(on: bool, port: str, scheme: str, helm: Path) -> None:
    """A probe that speaks http to https would restart the server for ever."""
    release = rendered(nats(tls={"existingSecret": "cert", "monitoring": on}), helm=helm)
    [container] = pod(release)["containers"]
    schemes = {container[f"{each}Probe"]["httpGet"]["scheme"] for each in ("startup", "readiness", "liveness")}

    assert (8222, {scheme}) == (conf(release)[port], schemes)


@EVERY_HELM
def test_who_must_show_a_certificate_gets_one(helm: Path) -> None:
    """With verifyClients the server asks for one, and the Job has it."""
    release = rendered(nats(tls={"existingSecret": "cert", "verifyClients": True}), helm=helm)
    connections = yaml.safe_load(release.one("ConfigMap", "-desired")["data"]["connections.yaml"])

    assert conf(release)["tls"]["verify"] is True
    assert ["ca.crt", "tls.crt", "tls.key"] == sources(release.one("Job")["spec"]["template"]["spec"], "natsmith")[
        "cert"
    ]
    assert ("tls/tls.crt", "tls/tls.key") == (connections["tlsCert"], connections["tlsKey"])


@EVERY_HELM
def test_merge_merges_removes_and_replaces(helm: Path) -> None:
    """Maps merge, null removes, all else replaces."""
    merge = {
        "jetstream": {"sync_interval": "always"},
        "lame_duck_grace_period": None,
        "lame_duck_duration": "40s",
        "tags": ["a<b&c\\u"],
    }
    found = conf(rendered(nats(config={"merge": merge}), helm=helm))

    assert ("always", "/data/jetstream") == (found["jetstream"]["sync_interval"], found["jetstream"]["store_dir"])
    assert ("40s", ["a<b&c\\u"]) == (found["lame_duck_duration"], found["tags"])
    assert "lame_duck_grace_period" not in found


@EVERY_HELM
@pytest.mark.parametrize(("domain", "expected"), [("leaf", "leaf"), ("", None)])
def test_a_domain_is_set_if_there_is_one(domain: str, expected: str | None, helm: Path) -> None:
    """Without one there is no such line."""
    assert expected == conf(rendered(nats(jetstream={"domain": domain}), helm=helm))["jetstream"].get("domain")


@EVERY_HELM
def test_clients_are_who_the_values_say_and_our_own_pods(helm: Path) -> None:
    """Whoever narrows the clients down does not lock the provisioner out."""
    theirs = {"namespaceSelector": {"matchLabels": {"team": "a"}}}
    release = rendered(nats(networkPolicy={"clients": [theirs]}), helm=helm)
    [client] = [each for each in release.one("NetworkPolicy")["spec"]["ingress"] if {"port": "client"} in each["ports"]]
    ours = client["from"][0]["podSelector"]["matchLabels"]

    assert theirs in client["from"]
    assert all(ours.items() <= each["metadata"]["labels"].items() for _, each in pod_templates(release))


def test_everybody_is_a_client_unless_said_otherwise() -> None:
    """But nobody but a server reaches the port of the routes."""
    rules = {
        each["ports"][0]["port"]: each for each in rendered(nats(replicas=3)).one("NetworkPolicy")["spec"]["ingress"]
    }

    assert [False, False, True] == ["from" in rules[port] for port in ("client", "monitor", "routes")]


@EVERY_HELM
def test_several_servers_are_a_cluster_with_a_budget(helm: Path) -> None:
    """Three servers find each other and are drained one by one; one server has none of this."""
    one, three = (rendered(nats(replicas=each), helm=helm) for each in (1, 3))

    assert [1, 3] == [each.one("StatefulSet")["spec"]["replicas"] for each in (one, three)]
    assert [False, True] == ["cluster" in conf(each) for each in (one, three)]
    assert [0, 1] == [len(each.all("PodDisruptionBudget")) for each in (one, three)]


@EVERY_HELM
def test_the_account_s_limits_and_the_user_s_rights_arrive(helm: Path) -> None:
    """Sizes as bytes, permissions as they are."""
    rights = {"publish": {"allow": ["a.>"]}}
    limits = {"memory": "1Mi", "storage": "2M", "streams": 3, "consumers": 4}
    accounts = {"A": {"jetstream": limits, "users": {"u": {"permissions": rights}}}}
    found = conf(rendered({"accounts": accounts}, helm=helm))["accounts"]["A"]

    assert found["jetstream"] == {"max_memory": 2**20, "max_file": 2_000_000, "max_streams": 3, "max_consumers": 4}
    assert [rights] == [each["permissions"] for each in found["users"] if each.get("user") == "u"]


@EVERY_HELM
@pytest.mark.parametrize(
    ("settings", "asked"),
    [
        ({"replicas": 3}, "/healthz"),
        ({"replicas": 3, "waitForCurrent": False}, "/healthz?js-server-only=true"),
        ({"replicas": 1}, "/healthz?js-server-only=true"),
    ],
    ids=["three", "three that do not wait", "one"],
)
def test_only_a_start_of_several_waits_for_streams(settings: Values, asked: str, helm: Path) -> None:
    """One broken stream keeps a server that restarts from being ready, and no server that serves."""
    server = pod(rendered(nats(**settings), helm=helm))["containers"][0]

    assert asked == server["startupProbe"]["httpGet"]["path"]
    assert "/healthz?js-server-only=true" == server["readinessProbe"]["httpGet"]["path"]
    assert "/healthz?js-enabled-only=true" == server["livenessProbe"]["httpGet"]["path"]
