"""Every object is called by its release and component, and no two releases ever mean the same object or pod."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from chart import Manifest, Rendered
from releases import EVERY_HELM, EVERY_SHAPE, EVERYTHING, Values, laid, named, pod_templates, rendered, shaped

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")

COMPONENTS = r"(|-config|-headless|-credentials|-desired|-provisioner|-job-[0-9a-f]{7}|-registry-clean|-drift|-toolbox|-monitor|-dashboard|-test)"

NAMED: Mapping[str, tuple[Values, str, str]] = {
    "plain": ({}, "dev", "dev-natsmith"),
    "the chart's name": ({}, "natsmith", "natsmith"),
    "longest release": ({}, "r" * 53, f"{'r' * 45}-[0-9a-f]{{5}}"),
    "a dash where it is cut": ({}, f"{'r' * 44}-{'s' * 8}", f"{'r' * 44}-[0-9a-f]{{5}}"),
    "long fullnameOverride": ({"fullnameOverride": "f" * 80}, "dev", f"{'f' * 45}-[0-9a-f]{{5}}"),
    "fullnameOverride": ({"fullnameOverride": "bus"}, "dev", "bus"),
    "nameOverride": ({"nameOverride": "bus"}, "dev", "dev-bus"),
    "long nameOverride": ({"nameOverride": "n" * 70}, "dev", f"dev-{'n' * 41}-[0-9a-f]{{5}}"),
}

NEIGHBOURS = (
    *("n", "n-natsmith", "natsmith", "n-headless", "n-natsmith-headless", "natsmith-headless", "natsmith-natsmith"),
    *("n-provisioner", "natsmith-config", "n-credentials", f"{'l' * 50}a", f"{'l' * 50}b", "l" * 50),
)


def of(release: Rendered) -> list[tuple[str, str]]:
    """Return kind and name of all that a release has in its namespace."""
    return [named(each) for each in release.manifests]


def selectors(release: Rendered) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield every selector of pods in a release, with whose it is."""

    def inside(found: Any) -> Iterator[Mapping[str, str]]:
        if isinstance(found, dict):
            for key, value in found.items():
                if key in ("podSelector", "labelSelector") or (key == "selector" and "matchLabels" in value):
                    yield value.get("matchLabels", {})  # none: all pods of the namespace
                else:
                    yield from inside(value)
        if isinstance(found, list):
            for each in found:
                yield from inside(each)

    for each in release.manifests:
        name = "/".join(named(each))
        if each["kind"] == "Service":
            yield name, each["spec"]["selector"]
        for labels in inside(each):
            yield name, labels


def matches(selector: Mapping[str, str], pod: Manifest) -> bool:
    """Whether a selector finds a pod."""
    labels: Mapping[str, str] = pod["metadata"]["labels"]
    return selector.items() <= labels.items()


@EVERY_HELM
@pytest.mark.parametrize("case", NAMED)
def test_names_are_of_the_release_and_a_component(case: str, helm: Path) -> None:
    """Every object is called `<fullname>` or `<fullname>-<component>`, and Kubernetes takes the name as a DNS label."""
    overlay, release, fullname = NAMED[case]
    found = of(rendered(laid(EVERYTHING, overlay), helm=helm, release=release))
    names = {name for kind, name in found if kind != "CronJob"}
    pattern = re.compile(fullname + COMPONENTS)

    assert [] == [name for name in names if not pattern.fullmatch(name)]
    assert [] == [name for name in names if not LABEL.fullmatch(name) or len(name) > 63]


@EVERY_HELM
@pytest.mark.parametrize("case", NAMED)
@pytest.mark.parametrize(("component", "room"), [("registry-clean", 37), ("drift", 46)])
def test_the_name_of_a_cron_job_leaves_room_for_its_jobs(case: str, component: str, room: int, helm: Path) -> None:
    """It has at most 52 characters, of which the first are those of the other objects, and a cut one ends in a hash."""
    overlay, name, fullname = NAMED[case]
    release = rendered(laid(EVERYTHING, overlay), helm=helm, release=name)
    server = release.one("StatefulSet")["metadata"]["name"]
    found = release.one("CronJob", f"-{component}")["metadata"]["name"]

    assert re.fullmatch(fullname, server)
    assert LABEL.fullmatch(found)
    assert len(found) <= 52
    cut = f"{re.escape(server[: room - 6].rstrip('-'))}-[0-9a-f]{{5}}"
    assert re.fullmatch(f"({re.escape(server) if len(server) <= room else cut})-{component}", found)


@EVERY_HELM
@EVERY_SHAPE
def test_every_shape_has_such_names(shape: str, helm: Path) -> None:
    """No values file makes an object whose name does not begin with the release's."""
    pattern = re.compile("dev-natsmith" + COMPONENTS)

    assert [] == [name for _, name in of(shaped(shape, helm)) if not pattern.fullmatch(name)]


@pytest.mark.parametrize("case", NAMED)
@pytest.mark.parametrize("mode", ["hook", "job"])
def test_the_names_of_pods_fit_a_label(case: str, mode: str) -> None:
    """A StatefulSet's name is at most 52 long, or the label with its revision does not fit; a Job's is a label's value."""
    overlay, name, _ = NAMED[case]
    release = rendered(laid(EVERYTHING, {**overlay, "provisioner": {"mode": mode}}), release=name)

    assert len(release.one("StatefulSet")["metadata"]["name"]) <= 52
    assert len(release.one("Job")["metadata"]["name"]) <= 63


@pytest.mark.parametrize("case", NAMED)
def test_labels_are_allowed(case: str) -> None:
    """Every label of objects, pods and selectors is one that Kubernetes takes."""
    overlay, name, _ = NAMED[case]
    release = rendered(laid(EVERYTHING, overlay), release=name)
    labels = [each["metadata"]["labels"] for each in release.manifests]
    labels += [pod["metadata"]["labels"] for _, pod in pod_templates(release)]
    labels += [each for _, each in selectors(release)]

    values = {value for each in labels for value in each.values()}
    assert [] == [value for value in values if len(value) > 63 or not LABEL_VALUE.fullmatch(value)]


@EVERY_SHAPE
def test_an_object_is_there_once(shape: str) -> None:
    """No two objects of a release have the same kind and name."""
    found = of(shaped(shape))

    assert len(set(found)) == len(found)


@EVERY_SHAPE
def test_references_inside_a_release_find_their_object(shape: str) -> None:
    """Service accounts, the Service of the StatefulSet and the ConfigMaps of pods are there."""
    release = shaped(shape)
    there = set(of(release))
    wanted = {("Service", each["spec"]["serviceName"]) for each in release.all("StatefulSet")}
    for _, pod in pod_templates(release):
        wanted.add(("ServiceAccount", pod["spec"]["serviceAccountName"]))
        sources = [each for volume in pod["spec"]["volumes"] for each in volume.get("projected", {}).get("sources", [])]
        wanted |= {("ConfigMap", each["configMap"]["name"]) for each in sources if "configMap" in each}

    assert set() == wanted - there


@EVERY_SHAPE
def test_each_selector_of_ours_finds_only_pods_it_means(shape: str) -> None:
    """A Service, workload or budget finds the pods of its own component, and no others of the release."""
    release = shaped(shape)
    component = "app.kubernetes.io/component"
    for owner, selector in selectors(release):
        found = {pod["metadata"]["labels"][component] for _, pod in pod_templates(release) if matches(selector, pod)}
        # A NetworkPolicy lets all pods of the release in; its other entries are the user's.
        if component in selector:
            assert {selector[component]} == found, owner


def test_neighbours_share_no_object() -> None:
    """Whatever two releases in one namespace are called, no object of one is an object of the other."""
    releases = {name: set(of(rendered(EVERYTHING, release=name))) for name in NEIGHBOURS}

    shared = {(one, other): releases[one] & releases[other] for one, other in combinations(NEIGHBOURS, 2)}
    assert {} == {pair: both for pair, both in shared.items() if both}


def test_neighbours_find_no_pods_of_each_other() -> None:
    """A selector of one release finds no pod of another, whatever they are called."""
    theirs: tuple[Mapping[str, str], ...] = (
        {"nats": "client"},
        {"app": "prometheus"},
        {},
    )  # the last: all pods of the namespace may see the page
    releases = {name: rendered(EVERYTHING, release=name) for name in NEIGHBOURS}

    wrong = [
        (one, owner, other, whose)
        for one in NEIGHBOURS
        for owner, selector in selectors(releases[one])
        for other in NEIGHBOURS
        for whose, pod in pod_templates(releases[other])
        if one != other and selector not in theirs and matches(selector, pod)
    ]
    assert [] == wrong


def test_servers_find_each_other_by_their_names() -> None:
    """What routes.conf dials are the pods of the StatefulSet behind its headless Service."""
    release = shaped("everything")
    server = release.one("StatefulSet")
    name, service = server["metadata"]["name"], server["spec"]["serviceName"]
    routes = release.secret_files["routes.conf"]

    assert [f"{name}-{place}.{service}:6222" for place in range(3)] == re.findall(r"@([^\"]+)\"", routes)
