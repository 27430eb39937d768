"""What `helm install` tells at its end: how to connect, what there is, and last what one should know."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from chart import CHART
from memory_cluster import Cluster, serving
from releases import EVERY_HELM, EVERYTHING, EXTERNAL, NAMESPACE, ROOT, Values, laid

MARK = "marked-password"

DOUBTFUL: Values = {
    "nats": {
        "jetstream": {"maxFileStore": "6Gi", "storage": {"persistent": False}},
        "resources": {"limits": {"memory": "1Gi"}},
        "service": {"nodePorts": {"client": 30422, "monitor": 30822}},
    },
    "accounts": {"A": {"users": {"u": {"password": "p"}}, "jetstream": {"memory": "2Gi", "storage": "8Gi"}}},
    "buckets": {"b": {"profile": "serviceRegistry", "history": 10}},
    "provisioner": {"deadlineSeconds": 600},
}
"""Values that work, with everything about which there is a warning."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Serve the cluster that Helm 3 wants to see before it tells its notes."""
    with serving(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@cache
def _notes(cluster_flags: tuple[str, ...], overlay: Path, files: tuple[Path, ...], helm: Path) -> str:
    values = [word for file in (*files, overlay) for word in ("-f", str(file))]
    command: list[str | Path] = [
        helm,
        "install",
        "dev",
        CHART,
        "-n",
        NAMESPACE,
        "--dry-run=client",
        *cluster_flags,
        *values,
    ]
    done: subprocess.CompletedProcess[str] = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("\nNOTES:\n")[2].strip()


def notes(cluster: Cluster, helm: Path, values: Values, *files: str) -> str:
    """Return what Helm tells after an install with *values* laid over the files of that name in values/."""
    document = json.dumps(values, sort_keys=True)
    overlay = cluster.kubeconfig.with_name(f"{abs(hash(document))}.yaml")
    overlay.write_text(document)
    return _notes(cluster.flags, overlay, tuple(ROOT / "values" / file for file in files), helm)


@EVERY_HELM
def test_they_say_how_to_connect(cluster: Cluster, helm: Path) -> None:
    """The address is there, and for each application user where its password is."""
    text = notes(cluster, helm, {}, "sessions.yaml")

    assert "nats://dev-natsmith.messaging.svc:4222" in text
    assert "As noetl of account NOETL, with the password in Secret dev-natsmith-credentials" in text
    assert r"jsonpath='{.data.NOETL\.noetl\.password}'" in text


@EVERY_HELM
def test_with_an_overlap_they_name_the_newest_and_what_works_too(cluster: Cluster, helm: Path) -> None:
    """A new client is told the new login; whoever has the old one is told that it ends."""
    values = {"accounts": {"A": {"users": {"u": {}, "v": {}}}}, "credentials": {"generation": 2, "overlap": True}}
    text = notes(cluster, helm, values)

    assert "As u.2 of account A, with the password in Secret dev-natsmith-credentials, key A.u.2.password." in text
    assert r"NATS_USER=u.2" in text
    assert r"jsonpath='{.data.A\.u\.2\.password}'" in text
    assert "What clients had before works too, until the overlap ends: u, v." in text
    assert "As u of account A" not in text
    assert "until the overlap ends" not in notes(cluster, helm, laid(values, {"credentials": {"overlap": False}}))


@EVERY_HELM
@pytest.mark.parametrize(
    ("had", "said", "told"),
    [
        ([""], {"generation": 2}, "from generation 1 to 2 without an overlap: clients that log in with 1 are"),
        ([""], {"generation": 2, "overlap": True}, ""),
        (["", ".2"], {"generation": 2, "overlap": True}, ""),
        (["", ".2"], {"generation": 2}, ""),
        (
            ["", ".2"],
            {"generation": 3},
            "from generation 2 to 3 without an overlap: clients that log in with 1 or 2 are",
        ),
        (["", ".2"], {"existingSecret": "own"}, "back from generation 2 to 1: clients that log in with 2 are"),
        ([".2"], {"existingSecret": "own"}, "back from generation 2 to 1: clients that log in with 2 are"),
    ],
)
def test_a_step_without_an_overlap_is_told(
    cluster: Cluster, helm: Path, tmp_path: Path, had: list[str], said: Values, told: str
) -> None:
    """Who skips it learns whom that disconnects: NOTES compare with what the cluster has."""
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "step-natsmith-config"},
        "data": {
            "nats.conf": "".join(
                f'include "app.{user}{each}.conf", ' for user in ("app", "provisioner") for each in had
            )
        },
    }
    cluster.put(NAMESPACE, "step", config)
    values = tmp_path / "values.yaml"
    values.write_text(json.dumps({"credentials": said, "provisioner": {"mode": "job"}}))
    words: list[str | Path] = [
        helm,
        "install",
        "step",
        CHART,
        "-n",
        NAMESPACE,
        "--dry-run=server",
        *cluster.flags,
        "-f",
        values,
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stderr
    lines = [line for line in done.stdout.splitlines() if "accounts.app.users.app went" in line]
    assert [f"WARNING: accounts.app.users.app went {told} disconnected."][: bool(told)] == lines
    assert "accounts.app.provisioner went" not in done.stdout


@EVERY_HELM
def test_with_tls_they_say_so(cluster: Cluster, helm: Path) -> None:
    """A server with a certificate is reached by tls://."""
    assert "tls://dev-natsmith.messaging.svc:4222" in notes(cluster, helm, {}, "production.yaml")


@EVERY_HELM
def test_an_external_server_is_named(cluster: Cluster, helm: Path) -> None:
    """Where someone else runs the server, its address is told."""
    text = notes(cluster, helm, EXTERNAL)

    assert "The server is nats://nats.infra.svc:4222; this release only provisions it." in text
    assert "port-forward" not in text


@EVERY_HELM
def test_each_bucket_has_its_time_to_live(cluster: Cluster, helm: Path) -> None:
    """What was provisioned is listed, a bucket with how long its entries live."""
    text = notes(cluster, helm, {"buckets": {"kept": {}}}, "dev.yaml")

    for expected in (
        "bucket kept: entries stay",
        "bucket service_registry: entries live 30 s after their last write",
        "bucket sessions: entries live 300 s after their last write",
        "stream MESSAGES: messages live 3600 s; consumers workers",
        "object store files",
    ):
        assert f"\n  {expected}\n" in text


@EVERY_HELM
def test_a_bucket_of_a_time_of_its_own_can_be_changed_by_what_they_say(cluster: Cluster, helm: Path) -> None:
    """The line that changes a time to live names a bucket that is there."""
    text = notes(cluster, helm, {}, "sessions.yaml")

    assert "helm upgrade -n messaging dev CHART --reuse-values --set buckets.sessions.ttlSeconds=60" in text


def triggers(text: str) -> list[dict[str, str]]:
    """Return what the notes say to KEDA, as KEDA would read it."""
    found = []
    for block in text.split("\n  triggers:\n")[1:]:
        [trigger] = yaml.safe_load(block.partition("\n\n")[0])
        assert trigger["type"] == "nats-jetstream"
        found.append(trigger["metadata"])
    return found


@EVERY_HELM
def test_the_trigger_of_keda_names_stream_consumer_and_account(cluster: Cluster, helm: Path) -> None:
    """With no account in the values it is the one that the chart makes, app."""
    [found] = triggers(notes(cluster, helm, {}, "pipeline.yaml"))

    assert ("app", "MESSAGES", "workers") == (found["account"], found["stream"], found["consumer"])
    assert found["natsServerMonitoringEndpoint"] == "dev-natsmith-headless.messaging.svc.cluster.local:8222"
    assert "useHttps" not in found


@EVERY_HELM
def test_the_trigger_of_keda_names_the_only_account(cluster: Cluster, helm: Path) -> None:
    """A stream that says no account is in the only one."""
    [found] = triggers(notes(cluster, helm, {}, "pipeline.yaml", "sessions.yaml"))

    assert found["account"] == "NOETL"


@EVERY_HELM
def test_the_trigger_of_keda_names_the_account_of_its_stream(cluster: Cluster, helm: Path) -> None:
    """Among several accounts it is the stream's, and a monitoring port with TLS is asked so."""
    [found] = triggers(notes(cluster, helm, EVERYTHING))

    assert ("B", "true") == (found["account"], found["useHttps"])


@EVERY_HELM
@pytest.mark.parametrize(
    "expected",
    [
        "Plain passwords stand in the values of accounts.A.users.u: ",
        "nats.jetstream.storage.persistent is false: ",
        "There is one server: ",
        "nats.jetstream.maxFileStore is 6Gi, and the volume has 5Gi: ",
        "nats.jetstream.memory is 1Gi, but the container may use 1Gi: ",
        "The accounts' jetstream.memory is 2147483648 bytes together, ",
        "The accounts' jetstream.storage is 8589934592 bytes together, ",
        "Clients outside the cluster send their passwords unencrypted: ",
        "The monitoring port is open on every node, ",
        "provisioner.deadlineSeconds is 600: ",
        "buckets.b keeps 10 values per key and allows keys a time to live of their own: ",
    ],
)
def test_what_works_but_one_should_know_is_said(cluster: Cluster, helm: Path, expected: str) -> None:
    """Each warning is on a line of its own."""
    lines = notes(cluster, helm, DOUBTFUL).splitlines()

    assert any(line.startswith(f"WARNING: {expected}") for line in lines), lines


@EVERY_HELM
def test_warnings_come_last(cluster: Cluster, helm: Path) -> None:
    """What one should know is what one sees at the end of the screen."""
    lines = [line for line in notes(cluster, helm, {}, "sessions.yaml").splitlines() if line]
    first = next(place for place, line in enumerate(lines) if line.startswith("WARNING: "))

    assert len(lines) - first > 3
    assert all(line.startswith("WARNING: ") for line in lines[first:])


@EVERY_HELM
def test_what_is_right_for_production_has_no_warnings(cluster: Cluster, helm: Path) -> None:
    """Nobody gets used to ignoring them: but for history 10, which row A asks for, production has none."""
    text = notes(cluster, helm, {"buckets": {"service_registry": {"history": 1}}}, "production.yaml")

    assert "WARNING" not in text


@EVERY_HELM
def test_no_password_is_told(cluster: Cluster, helm: Path) -> None:
    """Notes are seen by whoever looks at the terminal, and stored with the release."""
    users = {"users": {"u": {"password": f"{MARK}-1"}}, "provisioner": {"password": f"{MARK}-2"}}
    values = {"nats": {"systemUser": {"password": f"{MARK}-3"}}, "accounts": {"A": users}}

    assert MARK not in notes(cluster, helm, laid({"nats": {"replicas": 3}}, values))
