"""The monitor in the cluster: its pod, who reaches it, and when it cannot work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chart import CHART, Rendered
from memory_cluster import serving
from monitored import container, monitor, watching
from releases import EVERY_HELM, EVERYTHING, EXTERNAL, NKEY, WATCHED, Values, laid, refused_with_cure, rendered
from test_notes import notes
from test_settings import conf, sources
from test_settings_provisioner import job


def checksums(release: Rendered) -> dict[str, str]:
    """Return what makes another pod of the monitor's where it changes."""
    found: dict[str, str] = watching(release)["metadata"]["annotations"]
    return found


@EVERY_HELM
def test_nobody_is_watched_unasked(helm: Path) -> None:
    """Without a word there is no monitor, and no user for one."""
    release = rendered(helm=helm)

    assert "monitor" not in {each["metadata"]["name"].rpartition("-")[2] for each in release.manifests}
    assert [] == [each for each in conf(release)["accounts"]["app"]["users"] if "monitor" in str(each)]


@EVERY_HELM
def test_one_value_is_enough(helm: Path) -> None:
    """It gets the provisioner's image, says so what the values say, and a Service leads to its port."""
    release = rendered(monitor(), helm=helm)
    service = release.one("Service", "-monitor")["spec"]

    assert release.one("Job")["spec"]["template"]["spec"]["containers"][0]["image"] == container(release)["image"]
    assert ["monitor", "-f", "/etc/natsmith/desired.yaml"] == container(release)["args"][:3]
    assert service["selector"].items() <= watching(release)["metadata"]["labels"].items()
    assert [("page", 8280, "page")] == [(each["name"], each["port"], each["targetPort"]) for each in service["ports"]]
    assert [{"name": "page", "containerPort": 8280}] == container(release)["ports"]
    assert "ClusterIP" == service["type"]


def rolled(first: Values, second: Values, helm: Path) -> set[str]:
    """Return which checksums of the monitor's pod differ between two releases."""
    one, other = (checksums(rendered(each, helm=helm)) for each in (first, second))
    return {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}


@EVERY_HELM
def test_another_password_makes_another_pod(helm: Path) -> None:
    """It reads its password when it starts."""
    one, other = (
        laid(monitor(), {"accounts": {"A": {"users": {"u": {}}, "monitor": {"password": each}}}}) for each in "pq"
    )

    assert {"checksum/passwords"} == rolled(one, other, helm)


@EVERY_HELM
def test_other_wishes_and_other_users_make_another_pod(helm: Path) -> None:
    """As does whatever else it reads when it starts; the same once more makes none, generated passwords or not."""
    bucket = {"buckets": {"b": {"ttlSeconds": 60}}}
    seed = {"accounts": {"app": {"users": {"app": {}}, "monitor": {"nkey": NKEY, "seedSecret": {"name": "s"}}}}}

    assert {"checksum/desired"} == rolled(monitor(), laid(monitor(), bucket), helm)
    assert {"checksum/connections"} == rolled(monitor(), laid(monitor(), seed), helm)
    assert checksums(rendered(monitor(), helm=helm)) == checksums(rendered(monitor(), helm=helm, again=1))


@EVERY_HELM
def test_its_service_account_is_there_without_a_job(helm: Path) -> None:
    """Also where nobody provisions, tests or has a toolbox."""
    release = rendered(laid(monitor(), {"provisioner": {"mode": "none"}, "tests": {"enabled": False}}), helm=helm)

    assert [watching(release)["spec"]["serviceAccountName"]] == [
        each["metadata"]["name"] for each in release.all("ServiceAccount") if each["metadata"]["name"] != "dev-natsmith"
    ]


@EVERY_HELM
def test_a_server_of_someone_else_is_reached_as_the_job_reaches_it(helm: Path) -> None:
    """With its Secret, address and certificates: there are no users of ours."""
    said = {"existingSecret": "login", "tls": {"existingSecret": "ca", "clientCertificate": True}}
    release = rendered(laid(laid(EXTERNAL, monitor()), {"provisioner": {"connection": said}}), helm=helm)

    assert sources(job(release), "natsmith") == sources(watching(release)["spec"], "natsmith")
    assert job(release)["containers"][0]["args"][-8:] == container(release)["args"][-8:]
    assert [{"name": "NATSMITH_CONNECTIONS", "value": "/etc/natsmith/connections.yaml"}] == container(release)["env"]


@EVERY_HELM
def test_its_pod_is_let_in_by_the_server(helm: Path) -> None:
    """A NetworkPolicy that names the clients lets those of the release in, by labels that this pod has."""
    release = rendered(EVERYTHING, helm=helm)
    policy = release.one("NetworkPolicy", "-natsmith")["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"]

    assert policy.items() <= watching(release)["metadata"]["labels"].items()


@EVERY_HELM
@pytest.mark.parametrize(
    ("clients", "expected"), [([], [{"podSelector": {}}]), ([{"namespaceSelector": {}}], [{"namespaceSelector": {}}])]
)
def test_who_reaches_it_is_said(clients: list[Values], expected: list[Values], helm: Path) -> None:
    """Nobody from elsewhere, unless they are named: an empty list is not everybody."""
    release = rendered(monitor(networkPolicy={"enabled": True, "clients": clients}), helm=helm)
    spec = release.one("NetworkPolicy", "-monitor")["spec"]

    assert spec["podSelector"]["matchLabels"].items() <= watching(release)["metadata"]["labels"].items()
    assert (["Ingress"], [{"ports": [{"port": "page"}], "from": expected}]) == (spec["policyTypes"], spec["ingress"])


REFUSED: list[tuple[Values, str, str]] = [
    (monitor(registry=">"), 'monitor.registry is ">", which cannot be the name', "such as service_registry"),
    (monitor(elections=""), 'monitor.elections is "", which cannot be the name', "such as elections"),
    (monitor(registry="a.b"), 'monitor.registry is "a.b", which cannot be the name', "such as service_registry"),
    (
        laid(monitor(), {"accounts": {"A": {"users": {"monitor": {}}}}}),
        "accounts.A.users.monitor has the name that the monitor's own user has",
        "give its credentials under accounts.A.monitor",
    ),
    (
        laid(monitor(), {"accounts": {"A": {"users": {"u": {}}, "monitor": {"nkey": NKEY}}}}),
        "accounts.A.monitor.nkey is there, but the monitor cannot log in without its seed",
        "accounts.A.monitor.seedSecret: {name: …, key: seed}",
    ),
    (
        {"nats": {"exporter": {"enabled": True}, "tls": {"existingSecret": "tls", "monitoring": True}}},
        "nats.exporter.enabled is true, but nats.tls.monitoring makes the monitoring port https",
        "disable one of them",
    ),
    (
        {"nats": {"exporter": {"podMonitor": {"enabled": True}}}},
        "nats.exporter.podMonitor.enabled is true, but there is no exporter to scrape",
        "set nats.exporter.enabled to true, or disable this",
    ),
]


@EVERY_HELM
@pytest.mark.parametrize(("values", "problem", "cure"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_work_is_refused_with_the_cure(values: Values, problem: str, cure: str, helm: Path) -> None:
    """A name becomes part of what a user may do, so that a `>` there would be every bucket."""
    refused_with_cure(values, problem, cure, helm)


@EVERY_HELM
def test_what_is_not_enabled_is_not_looked_at(helm: Path) -> None:
    """Settings of a monitor that is not there are nobody's trouble, nor is a user who is called like one."""
    values = {"monitor": {"registry": ">"}, "accounts": {"A": {"users": {"monitor": {}}}}}

    assert rendered(values, helm=helm).manifests


@EVERY_HELM
def test_the_notes_say_how_to_see_it(tmp_path: Path, helm: Path) -> None:
    """The command leads to the Service of the monitor, by the port that it has."""
    with serving(tmp_path) as cluster:
        told, none = (notes(cluster, helm, monitor(service={"port": 80})), notes(cluster, helm, {}))

    assert "\n  kubectl port-forward -n messaging svc/dev-natsmith-monitor 8280:80\n" in told
    assert "http://localhost:8280/" in told
    assert "monitor" not in none


@EVERY_HELM
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (EXTERNAL, "The monitor logs in as provisioner.connection says, with a user who may write: "),
        (
            {"monitor": {"service": {"type": "LoadBalancer"}}},
            "monitor.service.type is LoadBalancer: whoever reaches it ",
        ),
    ],
    ids=["a server of someone else", "open"],
)
def test_what_one_should_know_is_said(tmp_path: Path, values: Values, expected: str, helm: Path) -> None:
    """That it could write, or be seen; and nothing where it is as it should be."""
    with serving(tmp_path) as cluster:
        told, usual = notes(cluster, helm, laid(values, monitor())), notes(cluster, helm, monitor())

    assert f"WARNING: {expected}" in told
    assert expected not in usual


def test_every_file_of_the_monitor_is_rendered() -> None:
    """No template of it is left out of what the other suites look at."""
    templates = {each.name for each in (CHART / "templates").glob("monitor-*.yaml")} | {"nats-podmonitor.yaml"}
    seen = set(re.findall(r"# Source: natsmith/templates/(\S+)", rendered(WATCHED).text))

    assert set() == templates - seen
