"""What is laid over nats.conf: the ports that it opens are reached by whom the values say, and what the chart owns stays its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chart import Rendered
from memory_cluster import serving
from releases import EVERY_HELM, Values, laid, refused, refused_with_cure, rendered
from test_notes import notes
from test_settings import conf, nats, pod

CLIENTS = [{"namespaceSelector": {"matchLabels": {"team": "a"}}}]
DEVICES = [{"ipBlock": {"cidr": "10.0.0.0/8"}}]


def ports(**entries: Any) -> Values:
    """Return values with ports of these names."""
    return nats(extraPorts=entries)


def merge(replicas: int = 1, **settings: Any) -> Values:
    """Return values that lay *settings* over nats.conf."""
    return nats(replicas=replicas, config={"merge": settings})


def service(release: Rendered, name: str) -> dict[str, Any]:
    """Return the ports of a Service, by name."""
    return {each["name"]: each for each in release.one("Service", name)["spec"]["ports"]}


def peers(release: Rendered, port: str) -> Any:
    """Return who reaches a port, or None where everybody does."""
    [rule] = [each for each in release.one("NetworkPolicy")["spec"]["ingress"] if {"port": port} in each["ports"]]
    return rule.get("from")


@EVERY_HELM
def test_a_port_comes_to_pods_services_and_the_policy(helm: Path) -> None:
    """One entry is enough to be reached."""
    release = rendered(ports(mqtt={"port": 1883}), helm=helm)
    [container] = pod(release)["containers"]

    assert {"name": "mqtt", "containerPort": 1883} in container["ports"]
    expected = {"name": "mqtt", "port": 1883, "targetPort": "mqtt"}
    assert expected == service(release, "-natsmith")["mqtt"] == service(release, "-headless")["mqtt"]
    assert peers(release, "mqtt") is None


@EVERY_HELM
def test_who_reaches_a_port_is_who_reaches_the_client_port_unless_it_says(helm: Path) -> None:
    """Whoever narrows the clients down has narrowed these down too."""
    entries = {"mqtt": {"port": 1883, "from": DEVICES}, "websocket": {"port": 8080}}
    release = rendered(nats(extraPorts=entries, networkPolicy={"clients": CLIENTS}), helm=helm)

    assert DEVICES == peers(release, "mqtt")
    assert peers(release, "client") == peers(release, "websocket")
    assert CLIENTS[0] in peers(release, "websocket")


@EVERY_HELM
def test_a_port_on_the_nodes_makes_the_service_one(helm: Path) -> None:
    """The headless Service has none, and monitoring does not leave the cluster with it."""
    release = rendered(ports(mqtt={"port": 1883, "nodePort": 31883}), helm=helm)

    assert "NodePort" == release.one("Service", "-natsmith")["spec"]["type"]
    assert 31883 == service(release, "-natsmith")["mqtt"]["nodePort"]
    assert "monitor" not in service(release, "-natsmith")
    assert "nodePort" not in service(release, "-headless")["mqtt"]


@EVERY_HELM
def test_a_port_that_an_overlay_takes_away_is_not_there(helm: Path) -> None:
    """As with every map by name."""
    assert "mqtt" not in service(rendered(ports(mqtt=None), helm=helm), "-natsmith")


@EVERY_HELM
def test_what_the_chart_does_not_own_arrives(helm: Path) -> None:
    """Also inside accounts and the cluster, beside what is there."""
    settings = {"accounts": {"app": {"exports": [{"stream": "a.>"}]}}, "cluster": {"pool_size": 5}}
    found = conf(rendered(merge(3, **settings), helm=helm))

    assert [{"stream": "a.>"}] == found["accounts"]["app"]["exports"]
    assert found["accounts"]["app"]["users"]
    assert (5, 6222) == (found["cluster"]["pool_size"], found["cluster"]["port"])


GATEWAY = {"name": "dev-natsmith", "port": 7222}
OWNED: list[tuple[Values, str, str]] = [
    *(
        (merge(**{key: 1}), f"nats.config.merge.{key} is what Services", cure)
        for key, cure in (
            ("port", "see nats.service"),
            ("Port", "see nats.service"),
            ("listen", "see nats.service"),
            ("host", "see nats.service"),
            ("http", "see nats.tls.monitoring"),
            ("https_port", "see nats.tls.monitoring"),
            ("http_base_path", "see nats.tls.monitoring"),
            ("pid_file", "remove it"),
            ("server_name", "remove it"),
            ("system_account", "see nats.systemUser"),
        )
    ),
    *(
        (nats(config={"merge": {key: {}}}), f"nats.config.merge.{key} says who may log in", "write them under accounts")
        for key in ("authorization", "Authorization", "operator", "resolver")
    ),
    *(
        (merge(jetstream={key: "/x"}), f"nats.config.merge.jetstream.{key} is where the volume is", "remove it")
        for key in ("store_dir", "Store_Dir", "storedir")
    ),
    (merge(jetstream=None), "nats.config.merge.jetstream would take away", "write a map"),
    (merge(Jetstream={}), "nats.config.merge.Jetstream would take away", "as jetstream"),
    (merge(accounts="x"), "nats.config.merge.accounts would take away", "write a map"),
    (merge(accounts={"app": None}), "nats.config.merge.accounts.app would take the account away", "write a map"),
    (
        merge(accounts={"app": {"users": []}}),
        "nats.config.merge.accounts.app.users would replace the users",
        "write them under accounts.app.users",
    ),
    (merge(accounts={"$SYS": {"jetstream": "enabled"}}), "nats.config.merge.accounts.$SYS.jetstream", "remove it"),
    *(
        (merge(3, cluster={key: 1}), f"nats.config.merge.cluster.{key} is how the servers find and trust", "remove it")
        for key in ("name", "port", "routes", "Routes", "authorization", "no_advertise")
    ),
    (merge(3, cluster=None), "nats.config.merge.cluster would take away", "write a map"),
    (merge(cluster={"pool_size": 5}), "nats.config.merge.cluster makes a cluster of one server", "set nats.replicas"),
    (merge(gateway=GATEWAY), "nats.config.merge.gateway is for clusters", "or use leafnodes"),
    (
        merge(3, gateway={**GATEWAY, "name": "east"}),
        'nats.config.merge.gateway.name is "east", but the cluster is called dev-natsmith',
        "set it to dev-natsmith",
    ),
    (merge(3, gateway={"port": 7222}), 'nats.config.merge.gateway.name is ""', "set it to dev-natsmith"),
    (ports(client={"port": 1883}), "nats.extraPorts.client has the name of a port of this chart", "something else"),
    (ports(MQTT={"port": 1883}), "nats.extraPorts.MQTT has a name that Kubernetes does not allow", "15 small letters"),
    (ports(**{"a--b": {"port": 1883}}), "nats.extraPorts.a--b has a name", "single -"),
    (ports(**{"1883": {"port": 1883}}), "nats.extraPorts.1883 has a name", "one letter at least"),
    (ports(**{"a" * 16: {"port": 1883}}), f"nats.extraPorts.{'a' * 16} has a name", "at most 15"),
    (ports(mqtt={"port": 4222}), "nats.extraPorts.mqtt.port is 4222, which clients have", "choose another"),
    (ports(mqtt={"port": 8222}), "nats.extraPorts.mqtt.port is 8222, which monitoring has", "choose another"),
    (
        ports(a={"port": 1883}, b={"port": 1883}),
        "nats.extraPorts.b.port is 1883, which nats.extraPorts.a has",
        "choose another",
    ),
]


@EVERY_HELM
@pytest.mark.parametrize(("values", "problem", "cure"), OWNED, ids=range(len(OWNED)))
def test_what_the_chart_owns_is_refused_with_the_cure(values: Values, problem: str, cure: str, helm: Path) -> None:
    """On one line, with the key as it was written."""
    refused_with_cure(values, problem, cure, helm)


@EVERY_HELM
@pytest.mark.parametrize("entry", [{}, {"port": 80}, {"port": 1883, "hostPort": 1883}])
def test_a_slip_is_named(entry: dict[str, Any], helm: Path) -> None:
    """The schema knows what an entry says."""
    assert "nats.extraPorts.mqtt" in refused(ports(mqtt=entry), helm)


@EVERY_HELM
def test_a_port_that_no_service_has_is_warned_about(tmp_path: Path, helm: Path) -> None:
    """The line says what to add, and is gone when it was."""
    values = merge(mqtt={"port": 1883}, leafnodes={"remotes": [{"url": "nats-leaf://a"}]})
    with serving(tmp_path) as cluster:
        without, reached = (notes(cluster, helm, laid(values, each)) for each in ({}, ports(mqtt={"port": 1883})))

    assert "WARNING: nats.config.merge.mqtt listens on 1883, which no Service has: name it as" in without
    assert "nats.extraPorts.mqtt: {port: 1883}.\n" in f"{without}\n"
    assert "which no Service has" not in reached


@EVERY_HELM
def test_a_gateway_is_warned_about(tmp_path: Path, helm: Path) -> None:
    """Whoever joins two clusters that both store something finds out before."""
    with serving(tmp_path) as cluster:
        text = notes(cluster, helm, merge(3, gateway=GATEWAY))

    assert "WARNING: nats.config.merge.gateway joins JetStream too" in text


@EVERY_HELM
@pytest.mark.parametrize(
    "settings", [{"mqtt": {"password": "x"}}, {"leafnodes": {"remotes": [{"url": "nats-leaf://a:b@c"}]}}]
)
def test_a_password_there_is_warned_about(settings: dict[str, Any], tmp_path: Path, helm: Path) -> None:
    """Many may read a ConfigMap."""
    with serving(tmp_path) as cluster:
        text = notes(cluster, helm, merge(**settings))

    assert "WARNING: nats.config.merge holds a password, and stands in a ConfigMap that many can read." in text
