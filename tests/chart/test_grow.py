"""One server becomes several: what is rendered for it, and what is refused."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart import Rendered
from releases import EVERY_HELM, EVERYTHING, Values, laid, refused, rendered
from test_settings import nats

GROW: Values = {"nats": {"replicas": 3, "grow": {"fromOne": True}}}


def statefulset(release: Rendered) -> dict[str, list[dict[str, Any]]]:
    """Return the pod of the servers."""
    spec: dict[str, list[dict[str, Any]]] = release.one("StatefulSet")["spec"]["template"]["spec"]
    return spec


@EVERY_HELM
def test_the_former_server_runs_beside(helm: Path) -> None:
    """It has its own configuration, which is JSON but for what it includes, and nobody but the provisioners in it."""
    release = rendered(laid(GROW, {"accounts": {"A": {"users": {"u": {}}}, "B": {"users": {"v": {}}}}}), helm=helm)
    pod = statefulset(release)
    assert ["nats", "former"] == [each["name"] for each in pod["containers"]]
    assert ["set-aside"] == [each["name"] for each in pod["initContainers"]]
    config = next(each for each in release.all("ConfigMap") if "nats.conf" in each["data"])["data"]
    former = json.loads(config["former.conf"].replace('include "', '"include": "'))
    assert "/data/former" == former["jetstream"]["store_dir"]
    assert {"A", "B"} == former["accounts"].keys()
    users = [user for account in former["accounts"].values() for user in account["users"]]
    assert ["provisioner-A", "provisioner-B"] == [each["user"] for each in users]
    allowed = users[0]["permissions"]["publish"]["allow"]
    assert not [
        each for each in allowed if any(word in each for word in ("CREATE", "UPDATE", "DELETE", "PURGE", "RESTORE"))
    ]
    new = json.loads(config["nats.conf"].replace('include "', '"include": "').replace(": $SERVER_NAME", ': ""'))
    assert "/data/cluster" == new["jetstream"]["store_dir"]
    assert 5 * 2**30 * 9 // 20 == new["jetstream"]["max_file_store"], "half of the room is the former server's"
    [job] = release.all("Job")
    args = job["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "/etc/natsmith/former.yaml" == args[args.index("--bring") + 1]


@EVERY_HELM
def test_another_login_restarts_the_former_server(helm: Path) -> None:
    """It loads nothing while it runs; what it does not know is no reason."""
    with_password = [
        rendered(laid(GROW, {"accounts": {"A": {"users": {"u": {}}, "provisioner": {"password": each}}}}), helm=helm)
        for each in ("p", "q")
    ]
    another = rendered(
        laid(GROW, {"accounts": {"A": {"users": {"u": {}, "v": {}}, "provisioner": {"password": "p"}}}}), helm=helm
    )
    sums = [
        each.one("StatefulSet")["spec"]["template"]["metadata"]["annotations"]["checksum/former"]
        for each in (*with_password, another)
    ]
    assert sums[0] == sums[2] != sums[1]


@EVERY_HELM
def test_nothing_of_it_is_there_otherwise(helm: Path) -> None:
    """No container, no port, no right."""
    release = rendered({"nats": {"replicas": 3}}, helm=helm)
    for word in ("former", "RESTORE", "--bring", "suspend"):
        assert word not in release.text, word


@EVERY_HELM
def test_clocks_rest_meanwhile(helm: Path) -> None:
    """A drift run would make empty what is not brought yet."""
    clocks = {"drift": {"enabled": True}, "registry": {"clean": {"enabled": True, "bucket": "b"}}, "buckets": {"b": {}}}
    release = rendered(laid(GROW, clocks), helm=helm)
    assert [True, True] == [each["spec"]["suspend"] for each in release.all("CronJob")]


@EVERY_HELM
def test_streams_can_be_left(helm: Path) -> None:
    """By their names on the server."""
    release = rendered(laid(GROW, nats(grow={"leave": ["KV_a", "S"]})), helm=helm)
    [job] = release.all("Job")
    args = job["spec"]["template"]["spec"]["containers"][0]["args"]
    assert ["KV_a", "S"] == [after for word, after in pairwise(args) if word == "--leave"]


@EVERY_HELM
def test_it_goes_with_everything(helm: Path) -> None:
    """TLS comes to the former server too."""
    release = rendered(laid(EVERYTHING, GROW), helm=helm)
    config = next(each for each in release.all("ConfigMap") if "nats.conf" in each["data"])["data"]
    assert "/etc/nats-tls/tls.crt" in config["former.conf"]
    [former] = [each for each in statefulset(release)["containers"] if each["name"] == "former"]
    assert "tls" in [each["name"] for each in former["volumeMounts"]]
    files = next(each for each in release.all("ConfigMap") if "former.yaml" in each["data"])["data"]
    named = [yaml.safe_load(files[each]).get("tlsName") for each in ("former.yaml", "connections.yaml")]
    assert [f"{release.one('StatefulSet')['metadata']['name']}.messaging.svc", None] == named


@EVERY_HELM
@pytest.mark.parametrize(
    ("values", "why"),
    [
        (nats(grow={"fromOne": True}), "nats.replicas is 1: set nats.replicas to 3 or 5"),
        (laid(GROW, nats(jetstream={"storage": {"persistent": False}})), "there is nothing to bring"),
        (laid(GROW, {"provisioner": {"mode": "none"}}), "nobody brings what the former server has"),
        (laid(GROW, nats(config={"merge": {"jetstream": {"store_dir": "/data/x"}}})), "says where servers store"),
    ],
)
def test_what_cannot_be_is_refused(helm: Path, values: Values, why: str) -> None:
    """Each with what to do instead."""
    assert why in refused(values, helm)
