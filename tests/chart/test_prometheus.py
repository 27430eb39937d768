"""What Prometheus and Grafana are given: who is scraped, alerts, a dashboard and the server's exporter."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from chart import Manifest, Rendered
from monitored import monitor, watching
from natsmith.monitor.metrics import Metrics
from natsmith.monitor.picture import Picture
from releases import EVERY_HELM, WATCHED, rendered
from test_settings import pod


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
