"""The monitor in the cluster: as whom it logs in, what that user may do, who reaches it, and when it cannot work."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart import CHART, Manifest, Rendered
from memory_cluster import serving
from natsmith.monitor.metrics import Metrics
from natsmith.monitor.picture import Picture
from releases import EVERY_HELM, EVERYTHING, EXTERNAL, NKEY, WATCHED, Values, laid, refused_with_cure, rendered
from test_notes import notes
from test_settings import conf, pod, sources
from test_settings_provisioner import job

TWO: Values = {"accounts": {"A": {"users": {"u": {}}}, "B": {"users": {"v": {}}}}}

LOOKING = (
    *("$JS.API.INFO", "$JS.API.STREAM.LIST", "$JS.API.STREAM.INFO.*", "$JS.API.CONSUMER.LIST.*"),
    "$SYS.REQ.USER.INFO",
)
"""What tells how things are, and nothing of what messages hold."""


def monitor(**settings: Any) -> Values:
    """Return values with a monitor, and *settings* of it."""
    return {"monitor": {"enabled": True, **settings}}


def watching(release: Rendered) -> Manifest:
    """Return the template of the monitor's pod."""
    found: Manifest = release.one("Deployment", "-monitor")["spec"]["template"]
    return found


def container(release: Rendered) -> Manifest:
    """Return the monitor's container."""
    [found] = watching(release)["spec"]["containers"]
    return dict(found)


def checksums(release: Rendered) -> dict[str, str]:
    """Return what makes another pod of the monitor's where it changes."""
    found: dict[str, str] = watching(release)["metadata"]["annotations"]
    return found


def rights(release: Rendered, account: str = "app") -> dict[str, list[str]]:
    """Return what the monitor of an account may publish on and subscribe to."""
    users = conf(release)["accounts"][account]["users"]
    [found] = [each["permissions"] for each in users if each.get("user") == f"monitor-{account}"]
    return {key: found[key]["allow"] for key in ("publish", "subscribe")}


def read(release: Rendered, account: str = "app") -> list[str]:
    """Return the streams of which the monitor of an account may read messages one by one."""
    prefix = "$JS.API.STREAM.MSG.GET."
    return [each.removeprefix(prefix) for each in rights(release, account)["publish"] if each.startswith(prefix)]


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


@EVERY_HELM
def test_it_logs_in_as_users_of_its_own(helm: Path) -> None:
    """One of each account; it sees the passwords of these, and of nobody else."""
    release = rendered(laid(TWO, monitor()), helm=helm)
    said = yaml.safe_load(release.one("ConfigMap", "-desired")["data"]["monitor.yaml"])

    assert [{"name": "NATSMITH_CONNECTIONS", "value": "/etc/natsmith/monitor.yaml"}] == container(release)["env"]
    assert {"A": "monitor-A", "B": "monitor-B"} == {name: each["user"] for name, each in said["accounts"].items()}
    assert {"dev-natsmith-credentials": ["A.monitor.password", "B.monitor.password"]} == sources(
        watching(release)["spec"], "natsmith"
    )


@EVERY_HELM
def test_its_users_may_be_given_as_others_are(helm: Path) -> None:
    """An nkey with its seed, a Secret, a plain password."""
    values = laid(
        monitor(),
        {
            "accounts": {
                "A": {"users": {"u": {}}, "monitor": {"nkey": NKEY, "seedSecret": {"name": "seed", "key": "nk"}}},
                "B": {"users": {"v": {}}, "monitor": {"existingSecret": "theirs"}},
                "C": {"users": {"w": {}}, "monitor": {"password": "plain"}},
            }
        },
    )
    release = rendered(values, helm=helm)

    assert {
        "seed": ["nk"],
        "theirs": ["B.monitor.password"],
        "dev-natsmith-credentials": ["C.monitor.password"],
    } == sources(watching(release)["spec"], "natsmith")
    assert "plain" == release.secret_files["C.monitor.password"]


@EVERY_HELM
def test_no_password_is_among_its_arguments(helm: Path) -> None:
    """Who lists processes sees arguments: they name files only."""
    values = laid(monitor(), {"accounts": {"A": {"users": {"u": {}}, "monitor": {"password": "marked-password"}}}})
    release = rendered(values, helm=helm)

    assert [] == [each for each in release.manifests if each["kind"] != "Secret" and "marked-password" in str(each)]


@EVERY_HELM
def test_its_users_look_and_write_nothing(helm: Path) -> None:
    """Each right asks, or hears what is in the two buckets that it follows; none of them is to write."""
    release = rendered(monitor(), helm=helm)
    following = [
        f"{each}.KV_{bucket}.{rest}"
        for bucket in ("service_registry", "elections")
        for each, rest in (("$JS.API.CONSUMER.CREATE", "*"), ("$JS.API.CONSUMER.DELETE", "*"), ("$JS.FC", ">"))
    ]

    assert sorted([*LOOKING, "$JS.API.STREAM.MSG.GET.KV_natsmith_state", *following]) == sorted(
        rights(release)["publish"]
    )
    assert [
        "_INBOX_natsmith.>",
        "$JS.EVENT.ADVISORY.STREAM.>",
        "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>",
        "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>",
    ] == rights(release)["subscribe"]


def stream(**consumer: Any) -> Values:
    """Return values of a stream with a consumer."""
    return {"streams": {"S": {"subjects": ["s.>"], "consumers": {"w": consumer}}}}


@EVERY_HELM
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, []),
        ({"deadLetter": {}}, ["S_w_dead"]),
        ({"deadLetter": {"maxAgeSeconds": 60}}, ["S_w_dead"]),
        ({"deadLetter": {"stream": "DEAD"}}, ["DEAD"]),
    ],
)
def test_it_reads_dead_letters_and_no_messages(given: Values, expected: list[str], helm: Path) -> None:
    """Dead letters name messages, and do not hold them; they are where the provisioner puts them."""
    release = rendered(laid(monitor(), stream(**given)), helm=helm)

    assert sorted([*expected, "KV_natsmith_state"]) == sorted(read(release))


@EVERY_HELM
def test_it_reads_dead_letters_of_its_account_alone(helm: Path) -> None:
    """What another account calls its stream is no right in this one."""
    release = rendered(laid(laid(TWO, monitor()), laid(stream(deadLetter={}), {"streams": {"S": {"account": "A"}}})))

    assert (["KV_natsmith_state", "S_w_dead"], ["KV_natsmith_state"]) == (read(release, "A"), read(release, "B"))


@EVERY_HELM
def test_values_are_shown_on_demand_only(helm: Path) -> None:
    """One setting makes both: the flag, and the right without which the flag shows nothing."""
    shy, open_ = (rendered(monitor(showValues=each), helm=helm) for each in (False, True))

    assert ("--show-values" in container(shy)["args"], read(shy)) == (False, ["KV_natsmith_state"])
    assert ("--show-values" in container(open_)["args"], read(open_)) == (True, ["*"])


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


@EVERY_HELM
@pytest.mark.parametrize(("ends", "port", "path"), [("-monitor", "page", "/metrics"), ("-natsmith", "exporter", None)])
def test_the_prometheus_operator_finds_the_pods(ends: str, port: str, path: str | None, helm: Path) -> None:
    """A PodMonitor selects labels that the pods have, and a port by the name that they give it."""
    release = rendered(WATCHED, helm=helm)
    spec = release.one("PodMonitor", ends)["spec"]
    whose = watching(release) if ends == "-monitor" else release.one("StatefulSet")["spec"]["template"]
    ports = [each["name"] for one in whose["spec"]["containers"] for each in one["ports"]]

    assert spec["selector"]["matchLabels"].items() <= whose["metadata"]["labels"].items()
    assert [(port, path)] == [(each["port"], each.get("path")) for each in spec["podMetricsEndpoints"]]
    assert port in ports


def alerts(release: Rendered) -> dict[str, Manifest]:
    """Return the rules by their names."""
    [group] = release.one("PrometheusRule")["spec"]["groups"]
    return {each["alert"]: each for each in group["rules"]}


@EVERY_HELM
def test_the_limits_of_alerts_are_those_of_the_values(helm: Path) -> None:
    """Both thresholds arrive, and words for Prometheus stay as they are."""
    found = alerts(rendered(monitor(rules={"enabled": True, "lag": 7, "storage": 0.55}), helm=helm))

    assert "natsmith_consumer_pending > 7" == found["NatsmithConsumerLag"]["expr"]
    assert found["NatsmithStorageFull"]["expr"].endswith(" > 0.55")
    assert "{{ $labels.account }}" in found["NatsmithStorageFull"]["annotations"]["summary"]
    assert [] == [name for name, each in found.items() if re.search("LAG|STORAGE", each["expr"])]


def measured() -> set[str]:
    """Return the names of all metrics."""
    return {each.name for each in Metrics(Picture()).collect()}


def named(texts: Iterable[str]) -> set[str]:
    """Return the metrics that expressions name."""
    return {each for text in texts for each in re.findall(r"natsmith_[a-z_]+", text)}


def test_alerts_ask_for_what_is_measured() -> None:
    """A metric that nobody gives would be an alert that never comes."""
    asked = named(each["expr"] for each in alerts(rendered(WATCHED)).values())

    assert asked
    assert set() == {each.removesuffix("_total") for each in asked} - measured()


def test_the_dashboard_shows_what_is_measured() -> None:
    """It is what Grafana imports, and each of its panels has a title and asks for metrics that there are."""
    board = json.loads(rendered(WATCHED).one("ConfigMap", "-dashboard")["data"]["natsmith.json"])
    asked = [named(target["expr"] for target in panel["targets"]) for panel in board["panels"]]

    assert all(asked)
    assert set() == {each.removesuffix("_total") for found in asked for each in found} - measured()
    assert all(panel["title"] for panel in board["panels"])


@EVERY_HELM
def test_the_exporter_stands_beside_the_server(helm: Path) -> None:
    """It asks the server of its own pod over the loopback address, and the server's own container is what it was."""
    plain, beside = (rendered({"nats": {"exporter": {"enabled": each}}}, helm=helm) for each in (False, True))
    [server] = pod(plain)["containers"]
    same, exporter = pod(beside)["containers"]

    assert server == same
    assert "http://127.0.0.1:8222/" == exporter["args"][-1]
    assert [("exporter", 7777)] == [(each["name"], each["containerPort"]) for each in exporter["ports"]]
    assert "exporter" in str(beside.one("NetworkPolicy", "-natsmith"))
    assert "exporter" not in plain.text


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
