"""The chart serves inside a parent chart: under an alias, under several, or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart import CHART, Rendered
from releases import EVERY_HELM, NAMESPACE, Values, laid, named, pod_templates, rendered

BUS = {
    "accounts": {"A": {"users": {"u": {}}}},
    "buckets": {"sessions": {"ttlSeconds": 300}},
    "toolbox": {"enabled": True},
}
VALUES: Values = {
    "global": {"imageRegistry": "registry.example.com", "nats": {"any": ["thing"]}},
    "bus": {"enabled": True, **BUS},
    "relay": {"enabled": True, **BUS},
}


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a chart that has ours twice, each under an alias and a condition."""
    root = tmp_path_factory.mktemp("parent")
    shutil.copytree(CHART, root / "charts" / "natsmith")
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
    dependencies = [
        {
            "name": "natsmith",
            "version": version,
            "repository": f"file://{CHART}",
            "alias": alias,
            "condition": f"{alias}.enabled",
        }
        for alias in ("bus", "relay")
    ]
    chart = {"apiVersion": "v2", "name": "parent", "version": "1.0.0", "dependencies": dependencies}
    (root / "Chart.yaml").write_text(yaml.safe_dump(chart))
    (root / "values.yaml").write_text("{}\n")
    return root


def of(release: Rendered, alias: str) -> list[dict[str, Any]]:
    """Return the objects of one alias."""
    return [each for each in release.manifests if each["metadata"]["labels"]["app.kubernetes.io/name"] == alias]


@EVERY_HELM
def test_it_renders_with_what_a_parent_says_to_all(parent: Path, helm: Path) -> None:
    """`global` and `enabled` are the parent's business, and the schema lets them through."""
    assert rendered(VALUES, helm=helm, chart=parent).manifests


@EVERY_HELM
@pytest.mark.parametrize("alias", ["bus", "relay"])
def test_names_use_the_alias(parent: Path, alias: str, helm: Path) -> None:
    """Objects are called by the release and the alias, not by the chart."""
    names = [name for _, name in map(named, of(rendered(VALUES, helm=helm, chart=parent), alias))]

    assert len(names) > 10
    assert [] == [name for name in names if not (name + "-").startswith(f"dev-{alias}-")]


@EVERY_HELM
def test_an_alias_equal_to_the_release_is_said_once(parent: Path, helm: Path) -> None:
    """A release bus with the alias bus has the server bus."""
    assert "bus" in {
        each["metadata"]["name"] for each in rendered(VALUES, helm=helm, chart=parent, release="bus").all("StatefulSet")
    }


@EVERY_HELM
def test_a_condition_that_is_false_leaves_nothing(parent: Path, helm: Path) -> None:
    """What is not enabled is not there at all."""
    release = rendered(laid(VALUES, {"relay": {"enabled": False}}), helm=helm, chart=parent)

    assert ([], True) == (of(release, "relay"), bool(of(release, "bus")))


@EVERY_HELM
def test_nothing_is_rendered_when_nothing_is_enabled(parent: Path, helm: Path) -> None:
    """Values of a disabled chart are not even checked."""
    off = {"enabled": False, "buckets": {"b": {"replicas": 3}}}

    assert () == rendered({"bus": off, "relay": off}, helm=helm, chart=parent).manifests


@EVERY_HELM
def test_two_aliases_share_no_object(parent: Path, helm: Path) -> None:
    """Two servers in one release are two of everything."""
    release = rendered(VALUES, helm=helm, chart=parent)

    assert not set(map(named, of(release, "bus"))) & set(map(named, of(release, "relay")))
    assert len(release.manifests) == len(set(map(named, release.manifests)))


@EVERY_HELM
def test_two_aliases_find_only_their_own_pods(parent: Path, helm: Path) -> None:
    """A Service or workload of one alias does not select pods of the other."""
    release = rendered(VALUES, helm=helm, chart=parent)
    for each in release.manifests:
        selector = each.get("spec", {}).get("selector") or {}
        labels = selector.get("matchLabels", selector)
        pods = [pod["metadata"]["labels"] for _, pod in pod_templates(release)]
        found = {pod["app.kubernetes.io/name"] for pod in pods if labels and labels.items() <= pod.items()}

        assert found <= {each["metadata"]["labels"]["app.kubernetes.io/name"]}


@EVERY_HELM
def test_two_aliases_own_different_objects(parent: Path, helm: Path) -> None:
    """What one provisions the other does not take for its own; a release of the chart itself is told apart too."""
    release = rendered(VALUES, helm=helm, chart=parent)
    owners = [
        yaml.safe_load(each["data"]["desired.yaml"])["owner"]
        for each in (*release.all("ConfigMap"), *rendered().all("ConfigMap"))
        if "desired.yaml" in each["data"]
    ]

    assert [f"{NAMESPACE}/dev.bus", f"{NAMESPACE}/dev.relay", f"{NAMESPACE}/dev"] == sorted(
        owners, key=lambda it: (it == f"{NAMESPACE}/dev", it)
    )


@EVERY_HELM
def test_two_aliases_have_passwords_of_their_own(parent: Path, helm: Path) -> None:
    """Each alias generates its own Secret."""
    one, other = rendered(VALUES, helm=helm, chart=parent).all("Secret")

    assert one["data"].keys() == other["data"].keys()
    passwords = [{text for key, text in each["data"].items() if key.endswith(".password")} for each in (one, other)]
    assert set() == set.intersection(*passwords)
