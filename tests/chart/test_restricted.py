"""Pods may do what they need and no more, secrets are in Secrets only, and a server-side apply takes every list."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart import Rendered
from pod_security import containers, offences
from releases import EVERY_HELM, EVERY_SHAPE, EVERYTHING, Values, laid, pod_templates, rendered, shaped

MARK = "marked-password"
MARKED: Values = {
    "nats": {"systemUser": {"password": f"{MARK}-system"}},
    "accounts": {"A": {"users": {"plain": {"password": f"{MARK}-plain"}}}, "B": {"users": {"w": {"password": MARK}}}},
    "provisioner": {"mode": "hook"},
}


def twice(values: Iterable[Any]) -> list[Any]:
    """Return what is in a list more than once."""
    found = list(values)
    return [each for each in found if found.count(each) > 1]


@EVERY_HELM
@EVERY_SHAPE
def test_every_pod_meets_the_restricted_standard(shape: str, helm: Path) -> None:
    """A namespace that enforces restricted Pod Security takes all of a release."""
    found = {whose: list(offences(pod["metadata"], pod["spec"])) for whose, pod in pod_templates(shaped(shape, helm))}

    assert found
    assert {} == {whose: wrong for whose, wrong in found.items() if wrong}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"hostNetwork": True}, "pod: hostNetwork"),
        ({"securityContext": {"runAsNonRoot": True}}, "nats: seccompProfile"),
        ({"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}, "nats: runAsNonRoot"),
        ({"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}, "volume host: a kind that is not allowed"),
    ],
)
def test_the_standard_is_not_met_by_everything(change: dict[str, Any], expected: str) -> None:
    """The check itself finds what is not allowed."""
    template = copy.deepcopy(rendered().one("StatefulSet")["spec"]["template"])

    assert [expected] == list(offences(template["metadata"], {**template["spec"], **change}))


@EVERY_SHAPE
def test_no_pod_gets_a_token_of_kubernetes(shape: str) -> None:
    """Neither pod nor service account mounts one: nothing here asks Kubernetes for anything."""
    release = shaped(shape)

    assert {False} == {pod["spec"]["automountServiceAccountToken"] for _, pod in pod_templates(release)}
    assert {False} == {each["automountServiceAccountToken"] for each in release.all("ServiceAccount")}


@EVERY_SHAPE
def test_root_file_systems_are_read_only(shape: str) -> None:
    """What a container writes goes to a volume."""
    found = [each["securityContext"] for _, pod in pod_templates(shaped(shape)) for each in containers(pod["spec"])]

    assert {True} == {each["readOnlyRootFilesystem"] for each in found}


@EVERY_SHAPE
def test_secrets_are_mounted_for_reading_only(shape: str) -> None:
    """No container can write where secrets are, and only its user and group can read them."""
    for _, pod in pod_templates(shaped(shape)):
        secret = {each["name"]: each for each in pod["spec"]["volumes"] if each.keys() & {"projected", "secret"}}
        mounts = [
            each for one in containers(pod["spec"]) for each in one.get("volumeMounts", ()) if each["name"] in secret
        ]

        assert {True} == {each["readOnly"] for each in mounts}
        assert {0o440} == {(each.get("projected") or each.get("secret"))["defaultMode"] for each in secret.values()}


@EVERY_HELM
@pytest.mark.parametrize("overlay", [{}, EVERYTHING, {"nats": {"replicas": 3}}], ids=["one", "everything", "three"])
def test_passwords_are_in_secrets_only(overlay: Values, helm: Path) -> None:
    """Neither environment nor arguments, annotations or ConfigMaps hold a password, generated or plain."""
    release = rendered(laid(overlay, MARKED), helm=helm)
    elsewhere = json.dumps([each for each in release.manifests if each["kind"] != "Secret"])
    passwords = {text for key, text in release.secret_files.items() if key.endswith(".password")}

    assert f"{MARK}-plain" in passwords
    assert [] == [each for each in passwords if each in elsewhere.replace('"natsmith', "")]


@EVERY_SHAPE
def test_no_environment_comes_from_a_secret(shape: str) -> None:
    """An environment is seen by whoever looks at the process."""
    found = [each for _, pod in pod_templates(shaped(shape)) for each in containers(pod["spec"])]

    assert [] == [each["name"] for each in found if "envFrom" in each]
    assert [] == [entry for each in found for entry in each.get("env", ()) if "secretKeyRef" in json.dumps(entry)]


@EVERY_SHAPE
def test_a_pod_sees_no_secret_that_it_does_not_need(shape: str) -> None:
    """The server reads the Secrets of its users, natsmith what it logs in with and no whole Secret of users."""
    for whose, pod in pod_templates(shaped(shape)):
        if whose == "dev-natsmith":
            continue
        sources = [each for volume in pod["spec"]["volumes"] for each in volume.get("projected", {}).get("sources", [])]
        keys = [item["key"] for each in sources if "secret" in each for item in each["secret"]["items"]]

        assert [] == [key for key in keys if key.endswith(".conf")], whose
        reloads = whose in ("dev-natsmith-provisioner", "dev-natsmith-toolbox") or "-job-" in whose
        assert reloads or "_SYS.reloader.password" not in keys, whose


def duplicates(release: Rendered) -> Iterable[tuple[str, str, list[Any]]]:
    """Yield every list of a release whose entries Kubernetes merges by a key, with the keys that are there twice."""
    for whose, pod in pod_templates(release):
        spec = pod["spec"]
        for key in ("containers", "initContainers", "volumes", "imagePullSecrets"):
            yield whose, key, twice(each["name"] for each in spec.get(key, ()))
        ports = [port for each in containers(spec) for port in each.get("ports", ())]
        yield whose, "ports", twice((each["containerPort"], each.get("protocol", "TCP")) for each in ports)
        yield whose, "names of ports", twice(each["name"] for each in ports)
        for each in containers(spec):
            yield whose, "env", twice(entry["name"] for entry in each.get("env", ()))
            yield whose, "volumeMounts", twice(mount["mountPath"] for mount in each.get("volumeMounts", ()))
        keys = [(each["topologyKey"], each["whenUnsatisfiable"]) for each in spec.get("topologySpreadConstraints", ())]
        yield whose, "topologySpreadConstraints", twice(keys)
        for volume in spec["volumes"]:
            sources = volume.get("projected", {}).get("sources", [])
            items = [item["path"] for source in sources for part in source.values() for item in part.get("items", ())]
            yield whose, f"files of {volume['name']}", twice(items)
    for service in release.all("Service"):
        name, ports = service["metadata"]["name"], service["spec"]["ports"]
        yield name, "ports", twice((each["port"], each.get("protocol", "TCP")) for each in ports)
        yield name, "names of ports", twice(each["name"] for each in ports)
    for workload in release.all("StatefulSet"):
        claims = workload["spec"].get("volumeClaimTemplates", ())
        yield workload["metadata"]["name"], "claims", twice(each["metadata"]["name"] for each in claims)


@EVERY_HELM
@EVERY_SHAPE
def test_no_list_has_an_entry_twice(shape: str, helm: Path) -> None:
    """Helm 4 applies on the server's side, which refuses a list with the same key twice."""
    assert [] == [each for each in duplicates(shaped(shape, helm)) if each[2]]


@EVERY_SHAPE
def test_what_is_mounted_is_there(shape: str) -> None:
    """Every mount has its volume, or the claim of a StatefulSet."""
    release = shaped(shape)
    claims = [
        each["metadata"]["name"]
        for one in release.all("StatefulSet")
        for each in one["spec"].get("volumeClaimTemplates", ())
    ]
    for _, pod in pod_templates(release):
        volumes = {each["name"] for each in pod["spec"]["volumes"]} | set(claims)

        assert (
            set()
            == {mount["name"] for one in containers(pod["spec"]) for mount in one.get("volumeMounts", ())} - volumes
        )


def test_no_key_is_there_twice_in_a_map() -> None:
    """Labels and annotations that users set do not repeat a key of the chart's: YAML readers differ on which one wins."""
    labels = {"app.kubernetes.io/name": "mine", "app.kubernetes.io/version": "mine", "helm.sh/chart": "mine"}
    text = rendered(
        laid(
            EVERYTHING,
            {
                "commonLabels": labels,
                "nats": {"podLabels": labels, "podAnnotations": {"checksum/config": "mine"}},
                "provisioner": {"podLabels": labels},
            },
        )
    ).text

    assert [] == repeated(text)


def repeated(text: str) -> list[str]:
    """Return the keys that stand twice in a map of a YAML text."""
    found: list[str] = []

    def walk(node: Any) -> None:
        if isinstance(node, yaml.MappingNode):
            found.extend(twice(key.value for key, _ in node.value))
            for _, value in node.value:
                walk(value)
        elif isinstance(node, yaml.SequenceNode):
            for each in node.value:
                walk(each)

    for document in yaml.compose_all(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        walk(document)
    return found
