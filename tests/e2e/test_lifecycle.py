"""From the first installation to the last: what stays, what is found again, and what does not meet."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from statistics import median
from threading import Thread
from typing import IO

import yaml

from e2e.cluster import Manifest, run
from e2e.release import CHART, ROOT, MakeRelease, Release

SOON = 30
"""Seconds from `helm install` until everything is provisioned, images being there."""


async def test_it_is_uninstalled_and_installed_again(release: MakeRelease) -> None:
    """Volume and passwords stay, as NOTES say; the next installation finds both, and its objects are its own at once."""
    dev = release()
    notes = dev.installed("dev.yaml").out
    before, password = await dev.filled(), dev.password("app.app")
    assert f"helm uninstall -n {dev.namespace.name} {dev.name}" in notes
    assert "the volumes and the generated passwords stay" in notes

    gone = dev.run("uninstall", dev.name, "--wait")
    assert 0 == gone.code, gone.text
    assert f"{dev.fullname}-credentials" in gone.text, "Helm tells what it kept"
    claims = [each["metadata"]["name"] for each in dev.namespace.all("pvc")]
    assert ([f"data-{dev.fullname}-0"], password) == (claims, dev.password("app.app"))

    dev.installed("dev.yaml")
    assert (0, 6) == (dev.outcome()["changes"], dev.outcome()["unchanged"])
    assert (before, password) == (await dev.held(), dev.password("app.app"))


async def test_it_is_removed_without_a_trace(release: MakeRelease) -> None:
    """The command of docs/install.md removes what `helm uninstall` keeps."""
    dev = release()
    dev.installed("dev.yaml")
    dev.run("uninstall", dev.name, "--wait")
    page = (ROOT / "docs" / "install.md").read_text()
    [command] = [line for line in page.splitlines() if line.startswith("kubectl delete pvc,")]

    removed = run(command.replace("messaging", dev.namespace.name).split())

    assert 0 == removed.code, removed.text
    # The root certificate and the account `default` are the namespace's own.
    left = [
        each["metadata"]["name"]
        for kind in ("all", "pvc", "secrets", "configmaps", "serviceaccounts", "networkpolicies")
        for each in dev.namespace.all(kind)
    ]
    assert {"kube-root-ca.crt", "default"} >= set(left)


async def test_two_releases_in_one_namespace(release: MakeRelease) -> None:
    """Each has a server, passwords and buckets of its own; what happens to one does not touch the other."""
    one, other = release("one"), release("other")
    one.installed("dev.yaml")
    before, [server] = await one.filled(), one.pods("nats")
    other.installed("dev.yaml", sets=["buckets.sessions.ttlSeconds=60"])

    assert [300, 60] == [each.exported()["buckets"]["sessions"]["ttlSeconds"] for each in (one, other)]
    assert one.password("app.app") != other.password("app.app")
    assert 0 == other.run("uninstall", other.name, "--wait").code
    assert (before, server["metadata"]["uid"]) == (await one.held(), one.pods("nats")[0]["metadata"]["uid"])


def parent(root: Path) -> Path:
    """Write an application's chart that has ours twice, and a workload that is ready when its bucket is there."""
    shutil.copytree(CHART, root / "charts" / "natsmith")
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
    dependencies = [
        {"name": "natsmith", "version": version, "alias": alias, "condition": f"{alias}.enabled"}
        for alias in ("messaging", "relay")
    ]
    chart = {"apiVersion": "v2", "name": "shop", "version": "1.0.0", "dependencies": dependencies}
    (root / "Chart.yaml").write_text(yaml.safe_dump(chart))
    image = {key: os.environ[key].rpartition(":") for key in ("NATS_IMAGE", "NATSMITH_IMAGE")}
    named = {key: {"repository": repository, "tag": tag} for key, (repository, _, tag) in image.items()}
    messaging = {
        "enabled": True,
        "nats": {"image": named["NATS_IMAGE"]},
        "provisioner": {"mode": "job", "image": named["NATSMITH_IMAGE"]},
        "buckets": {"carts": {"ttlSeconds": 600}},
        "toolbox": {"enabled": True},
    }
    (root / "values.yaml").write_text(yaml.safe_dump({"messaging": messaging, "relay": {"enabled": False}}))
    (root / "templates").mkdir()
    (root / "templates" / "shop.yaml").write_text(yaml.safe_dump(workload(os.environ["NATSMITH_IMAGE"])))
    return root


def workload(image: str) -> Manifest:
    """Return an application that is ready only when everything is provisioned."""
    sources = [
        {"configMap": {"name": "shop-messaging-desired"}},
        {
            "secret": {
                "name": "shop-messaging-credentials",
                "items": [{"key": "app.provisioner.password", "path": "app.provisioner.password"}],
            }
        },
    ]
    ready = ["natsmith", "verify", "-f", "/etc/natsmith/desired.yaml"]
    container = {
        "name": "shop",
        "image": image,
        "command": ["sleep", "infinity"],
        "env": [{"name": "NATSMITH_CONNECTIONS", "value": "/etc/natsmith/connections.yaml"}],
        "readinessProbe": {"exec": {"command": ready}, "periodSeconds": 2, "timeoutSeconds": 10},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "natsmith", "mountPath": "/etc/natsmith"}],
    }
    pod = {
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
        "volumes": [{"name": "natsmith", "projected": {"sources": sources}}],
    }
    labels = {"app": "shop"}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop"}, "spec": spec}


async def test_a_part_of_another_chart(release: MakeRelease, tmp_path: Path) -> None:
    """Under an alias it takes that name; with `--wait` and mode job an application of the release waits for its bucket."""
    shop = release("shop")
    shop.installed(chart=parent(tmp_path / "shop"), more=["--wait"])

    assert "deployed" == shop.status
    servers = [each["metadata"]["name"] for each in shop.namespace.all("statefulsets")]
    assert ["shop-messaging"] == servers, "the condition of the other is false"
    ready = shop.namespace.get("deployment", "shop")["status"]["readyReplicas"]
    told = shop.namespace.kubectl(
        "exec", "deploy/shop-messaging-toolbox", "--", "natsmith", "export", "--output", "json"
    ).out
    assert (1, 600) == (ready, json.loads(told)["buckets"]["carts"]["ttlSeconds"])
    # Helm's --wait is not for Jobs: this one may be about to end.
    ours = "app.kubernetes.io/component=provisioner"
    shop.namespace.kubectl("wait", "job", "-l", ours, "--for=condition=Complete", "--timeout=60s")
    [job] = shop.namespace.all("pods", ours)
    outcome = json.loads(job["status"]["containerStatuses"][0]["state"]["terminated"]["message"])
    assert f"{shop.namespace.name}/shop.messaging" == outcome["owner"]


def previous(helm: str, root: Path) -> Path:
    """Package the chart of the last release, or of the last commit before there is one, as version 0.0.9."""
    tag = run(["git", "-C", str(ROOT), "describe", "--tags", "--abbrev=0", "--match", "v*"])
    words = ["git", "-C", str(ROOT), "archive", tag.out.strip() or "HEAD", "charts/natsmith"]
    archive = subprocess.run(words, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(root, filter="data")
    return as_older(helm, root / "charts" / "natsmith", root)


def as_older(helm: str, chart: Path, root: Path) -> Path:
    """Package *chart*, which is changed, as version 0.0.9."""
    about = chart / "Chart.yaml"
    about.write_text(yaml.safe_dump({**yaml.safe_load(about.read_text()), "version": "0.0.9"}))
    packaged = run([helm, "package", str(chart), "--destination", str(root)])
    assert packaged.code == 0, packaged.text
    return root / "natsmith-0.0.9.tgz"


def pod_template(dev: Release) -> Manifest:
    """Return what the servers' pods are made from."""
    found: Manifest = dev.namespace.get("statefulset", dev.fullname)["spec"]["template"]
    return found


async def test_from_the_previous_version_of_the_chart(release: MakeRelease, helm: str, tmp_path: Path) -> None:
    """Data, passwords and objects stay; a server restarts when its pod changes, and only then."""
    dev = release()
    dev.installed("dev.yaml", chart=previous(helm, tmp_path))
    assert "natsmith-0.0.9" == dev.namespace.get("statefulset", dev.fullname)["metadata"]["labels"]["helm.sh/chart"]
    before, password = await dev.filled(), dev.password("app.app")
    [server], made_from = dev.pods("nats"), pod_template(dev)

    dev.installed("dev.yaml", more=["--wait"])

    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
    labels = dev.namespace.get("statefulset", dev.fullname)["metadata"]["labels"]
    assert f"natsmith-{version}" == labels["helm.sh/chart"]
    assert (0, 6) == (dev.outcome()["changes"], dev.outcome()["unchanged"])
    assert (before, password) == (await dev.held(), dev.password("app.app"))
    same = server["metadata"]["uid"] == dev.pods("nats")[0]["metadata"]["uid"]
    assert same == (made_from == pod_template(dev)), "a server restarts when its pod changes, and only then"


def test_the_version_alone_restarts_no_server(release: MakeRelease, helm: str, tmp_path: Path) -> None:
    """The same chart under another version leaves the server's pod as it is."""
    dev = release()
    dev.installed("dev.yaml", chart=as_older(helm, Path(shutil.copytree(CHART, tmp_path / "natsmith")), tmp_path))
    [server] = dev.pods("nats")

    dev.installed("dev.yaml", more=["--wait"])

    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
    labels = dev.namespace.get("statefulset", dev.fullname)["metadata"]["labels"]
    assert f"natsmith-{version}" == labels["helm.sh/chart"]
    assert server["metadata"]["uid"] == dev.pods("nats")[0]["metadata"]["uid"]


STAGES = (
    "Helm renders, until the server's pod exists",
    "its volume is made, it is scheduled",
    "its image is started",
    "the server starts, until it is ready",
    "the Job notices",
    "the Job provisions",
    "Helm sees that the Job has ended",
)

MILESTONES = {
    "scheduled": 'status.conditions[?(@.type=="PodScheduled")].status',
    "running": "status.containerStatuses[0].state.running.startedAt",
    "ready": 'status.conditions[?(@.type=="Ready")].status',
}


@contextmanager
def watched(dev: Release) -> Iterator[dict[str, float]]:
    """Give the moments at which pods of a release were first seen as they are: Kubernetes' own times are whole seconds."""
    seen: dict[str, float] = {}
    component = r"{.metadata.labels.app\.kubernetes\.io/component}"
    line = component + "".join(f"|{{.{path}}}" for path in MILESTONES.values()) + r'{"\n"}'
    pods = ["get", "pods", "-l", f"app.kubernetes.io/instance={dev.name}", "--watch", "-o", f"jsonpath={line}"]
    words = ["kubectl", "--namespace", dev.namespace.name, *pods]

    def read(lines: IO[str]) -> None:
        for each in lines:
            name, *values = each.strip().split("|")
            seen.setdefault(f"{name} exists", time.time())
            for milestone, value in zip(MILESTONES, values, strict=True):
                if value not in {"", "False"}:
                    seen.setdefault(f"{name} {milestone}", time.time())

    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        reader = Thread(target=read, args=(process.stdout,))
        reader.start()
        try:
            yield seen
        finally:
            process.terminate()
            reader.join()


def staged(dev: Release) -> list[float]:
    """Install, and return the seconds of each stage, of all together, and until the Job's container ran."""
    began = time.time()
    with watched(dev) as seen:
        dev.installed("dev.yaml")
        ended = time.time()
    log = dev.namespace.kubectl("logs", f"job/{dev.fullname}-provisioner", "--timestamps").out.splitlines()
    moment, _, last = log[-1].partition(" ")
    provisioned = datetime.fromisoformat(moment).timestamp()
    [seconds] = re.findall(r"changes applied in ([0-9.]+) s", last)
    server = [seen[f"nats {each}"] for each in ("exists", "scheduled", "running", "ready")]
    # What took part of a stage's time before the server was told to be ready does not count twice.
    noticed = max(server[-1], provisioned - float(seconds))
    moments = [began, *server, noticed, provisioned, ended]
    stages = [after - before for before, after in pairwise(moments)]
    return [*stages, ended - began, seen["provisioner running"] - began]


async def test_where_the_time_goes(release: MakeRelease) -> None:
    """From `helm install` to provisioned within 30 s; `pytest -rP` prints the medians of three, for docs/cluster.md."""
    table = [median(each) for each in zip(*(staged(release(name)) for name in "abc"), strict=True)]

    names = (*STAGES, "all of it", "(the Job's container ran after)")
    for name, seconds in zip(names, table, strict=True):
        print(f"| {name} | {seconds:.1f} |")
    assert SOON > table[-2]
