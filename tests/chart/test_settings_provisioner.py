"""What a user sets about the provisioner, credentials and images arrives where it has an effect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from chart import Manifest, Rendered
from releases import ANOTHER, EVERY_HELM, EXTERNAL, NKEY, Values, containers_of, laid, pod_templates, rendered
from test_settings import DIGEST, conf, nats, pod, sources

HOOK = "helm.sh/hook"


def mode(mode: str) -> Values:
    """Return values with a way of provisioning."""
    return {"provisioner": {"mode": mode}}


def job(release: Rendered) -> Manifest:
    """Return the spec of the Job's pod."""
    found: Manifest = release.one("Job")["spec"]["template"]["spec"]
    return found


def job_name(values: Values, helm: Path, release: str = "dev") -> str:
    """Return what the ordinary Job of a release is called."""
    found: str = rendered(laid(mode("job"), values), helm=helm, release=release).one("Job")["metadata"]["name"]
    return found


def connections(release: Rendered) -> dict[str, Any]:
    """Return how the provisioner logs in."""
    found: dict[str, Any] = yaml.safe_load(release.one("ConfigMap", "-desired")["data"]["connections.yaml"])
    return found


@EVERY_HELM
def test_a_hook_runs_after_each_change_of_the_release(helm: Path) -> None:
    """After install, upgrade and rollback; the last Job stays to be looked at, and its log is shown."""
    annotations = rendered(mode("hook"), helm=helm).one("Job")["metadata"]["annotations"]

    assert annotations == {
        HOOK: "post-install,post-upgrade,post-rollback",
        "helm.sh/hook-delete-policy": "before-hook-creation",
        "helm.sh/hook-output-log-policy": "hook-failed,hook-succeeded",
    }


@EVERY_HELM
def test_only_the_job_and_the_test_are_hooks(helm: Path) -> None:
    """What they need is there before them, as ordinary objects."""
    hooks = [each["kind"] for each in rendered(helm=helm).manifests if HOOK in each["metadata"].get("annotations", {})]

    assert ["Job", "Pod"] == sorted(hooks)


@EVERY_HELM
def test_an_ordinary_job_is_no_hook(helm: Path) -> None:
    """Argo CD and `--wait` see an object like others."""
    assert HOOK not in rendered(mode("job"), helm=helm).one("Job")["metadata"].get("annotations", {})


@EVERY_HELM
def test_no_job_is_there_when_nobody_provisions(helm: Path) -> None:
    """With mode none the desired document is there, and no Job."""
    release = rendered(mode("none"), helm=helm)

    assert [] == release.all("Job")
    assert release.one("ConfigMap", "-desired")


@EVERY_HELM
@pytest.mark.parametrize(
    "change",
    [
        {"buckets": {"b": {"ttlSeconds": 60}}},
        {"provisioner": {"image": {"tag": "other"}}},
        {"provisioner": {"consent": {"b": "c-1"}}},
        {"accounts": {"B": {"users": {"v": {}}}}},
    ],
    ids=["bucket", "image", "consent", "account"],
)
def test_another_work_is_another_job(change: Values, helm: Path) -> None:
    """A Job cannot change, so its name follows what it does."""
    assert job_name({}, helm) != job_name(change, helm)


@EVERY_HELM
@pytest.mark.parametrize(
    "change", [{}, {"nats": {"resources": {"requests": {"cpu": "7m"}}}}, {"toolbox": {"enabled": True}}]
)
def test_the_same_work_is_the_same_job(change: Values, helm: Path) -> None:
    """What does not concern the provisioner starts no new Job; and neither does a second rendering."""
    again = rendered(laid(mode("job"), change), helm=helm, again=1).one("Job")["metadata"]["name"]

    assert job_name({}, helm) == again


@EVERY_HELM
def test_the_job_ends_by_itself_before_kubernetes_ends_it(helm: Path) -> None:
    """All attempts together fit the deadline, with a minute for what starts them."""
    values = {"provisioner": {"deadlineSeconds": 240, "backoffLimit": 2}}
    release = rendered(values, helm=helm)
    [container] = job(release)["containers"]
    arguments = container["args"]
    timeout = int(arguments[arguments.index("--timeout") + 1])

    assert (240, 2) == tuple(release.one("Job")["spec"][key] for key in ("activeDeadlineSeconds", "backoffLimit"))
    assert timeout * 3 <= 240 - 60


@EVERY_HELM
def test_the_desired_document_is_what_the_values_say(helm: Path) -> None:
    """Objects and policy reach the provisioner word for word, with their owner."""
    buckets = {"b": {"ttlSeconds": 30, "config": {"x": [1, "a: b", None]}, "history": 10}}
    policy = {"onImmutable": "move", "prune": True, "loss": "refuse", "consent": {"b": "c-12e4"}}
    release = rendered({"buckets": buckets, "provisioner": policy}, helm=helm)
    found = yaml.safe_load(release.one("ConfigMap", "-desired")["data"]["desired.yaml"])

    assert (buckets, policy, "messaging/dev") == (found["buckets"], found["provisioner"], found["owner"])


@EVERY_HELM
def test_without_a_server_there_is_only_the_provisioner(helm: Path) -> None:
    """Nothing of NATS is installed, and natsmith is told where the server is."""
    release = rendered(EXTERNAL, helm=helm)

    assert {"ConfigMap", "Job", "Pod", "ServiceAccount"} == {each["kind"] for each in release.manifests}
    assert connections(release) == {"server": "nats://nats.infra.svc:4222", "accounts": {"app": {}}}
    assert {} == sources(job(release), "natsmith")


@EVERY_HELM
def test_a_secret_says_how_to_reach_a_server_of_someone_else(helm: Path) -> None:
    """Its files are the Job's, with its connections.yaml; the server and certificates are flags."""
    said = {"existingSecret": "login", "tls": {"existingSecret": "ca", "clientCertificate": True}}
    release = rendered(laid(EXTERNAL, {"provisioner": {"connection": said}}), helm=helm)
    [container] = job(release)["containers"]

    assert {"login": [], "ca": ["ca.crt", "tls.crt", "tls.key"]} == sources(job(release), "natsmith")
    assert "connections.yaml" not in release.one("ConfigMap", "-desired")["data"]
    assert container["args"][-8:] == [
        *("--server", "nats://nats.infra.svc:4222", "--tls-ca", "/etc/natsmith/tls/ca.crt"),
        *("--tls-cert", "/etc/natsmith/tls/tls.crt", "--tls-key", "/etc/natsmith/tls/tls.key"),
    ]


@EVERY_HELM
def test_a_secret_of_all_users_is_mounted_for_the_server_and_in_part_for_the_job(helm: Path) -> None:
    """The server gets all of it, so that one more user is no other pod; the Job what it logs in with; nothing is generated."""
    release = rendered({"credentials": {"existingSecret": "users"}, **nats(replicas=3)}, helm=helm)

    assert {"users": []} == sources(pod(release), "config")
    assert {"users": ["_SYS.reloader.password", "app.provisioner.password"]} == sources(job(release), "natsmith")
    assert [] == release.all("Secret")


@EVERY_HELM
def test_the_secret_of_one_user_is_mounted_for_it(helm: Path) -> None:
    """It wins over the Secret of all users."""
    users = {"u": {"existingSecret": "one"}, "v": {}}
    values = {"credentials": {"existingSecret": "all"}, "accounts": {"A": {"users": users}}}
    found = sources(pod(rendered(values, helm=helm)), "config")

    assert {"one": [], "all": []} == found


@EVERY_HELM
def test_an_nkey_is_in_the_configuration_and_its_seed_in_the_job(helm: Path) -> None:
    """The server knows the public key only, and nothing is generated for who has one."""
    seed = {"name": "seeds", "key": "a.nk"}
    account = {"users": {"u": {"nkey": NKEY}}, "provisioner": {"nkey": ANOTHER, "seedSecret": seed}}
    release = rendered({"accounts": {"A": account}}, helm=helm)

    assert [ANOTHER, NKEY] == [each.get("nkey") for each in conf(release)["accounts"]["A"]["users"]]
    own = {"dev-natsmith-credentials": ["_SYS.reloader.password"]}
    assert {"seeds": ["a.nk"], **own} == sources(job(release), "natsmith")
    assert connections(release)["accounts"]["A"]["nkey"] == "A.provisioner.nk"
    users = ("_SYS.sys", "_SYS.reloader")
    assert {f"{user}.{kind}" for user in users for kind in ("conf", "password")} == release.secret_files.keys()


@EVERY_HELM
@pytest.mark.parametrize(
    ("credentials", "suffix"),
    [({}, ""), ({"generation": 2, "overlap": True}, ""), ({"generation": 2}, ".2"), ({"generation": 3}, ".3")],
)
def test_pods_of_ours_change_over_when_the_overlap_ends(credentials: Values, suffix: str, helm: Path) -> None:
    """Job, monitor, cleaning and helm test use a login that the servers know before and after the step."""
    values = {
        "credentials": credentials,
        "monitor": {"enabled": True},
        "registry": {"clean": {"enabled": True, "bucket": "b"}},
        "buckets": {"b": {"ttlSeconds": 30}},
    }
    data = rendered(values, helm=helm).one("ConfigMap", "-desired")["data"]
    logins = {
        file: yaml.safe_load(data[f"{file}.yaml"])["accounts"]["app"]
        for file in ("connections", "monitor", "registry-clean", "applications")
    }

    users = {"connections": "provisioner", "monitor": "monitor", "registry-clean": "provisioner", "applications": "app"}
    assert {file: (user if user == "app" else f"{user}-app") + suffix for file, user in users.items()} == {
        file: login["user"] for file, login in logins.items()
    }
    assert {file: f"app.{user}{suffix}.password" for file, user in users.items()} == {
        file: login["passwordFile"] for file, login in logins.items()
    }


@EVERY_HELM
@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({"repository": "r", "tag": "t"}, "r:t"),
        ({"repository": "r", "tag": "t", "digest": DIGEST}, f"r@{DIGEST}"),
        ({"repository": "r", "digest": DIGEST}, f"r@{DIGEST}"),
    ],
)
def test_a_digest_wins_over_the_tag(image: Values, expected: str, helm: Path) -> None:
    """Who pins an image by its digest gets that one, in every pod."""
    values = {"nats": {"image": image}, "provisioner": {"image": image}, "toolbox": {"enabled": True}}
    pods = pod_templates(rendered(values, helm=helm))

    assert {expected} == {each["image"] for _, found in pods for each in containers_of(found)}


@EVERY_HELM
def test_every_pod_can_pull_its_image(helm: Path) -> None:
    """ImagePullSecrets reach all pods."""
    values = {"imagePullSecrets": [{"name": "registry"}], "toolbox": {"enabled": True}}
    found = [each["spec"]["imagePullSecrets"] for _, each in pod_templates(rendered(values, helm=helm))]

    assert [[{"name": "registry"}]] * 4 == found


@pytest.mark.parametrize("kind", ["StatefulSet", "Job", "Deployment"])
def test_labels_of_users_do_not_replace_ours(kind: str) -> None:
    """A label that selectors need keeps its value, whatever podLabels and commonLabels say."""
    theirs = {"app.kubernetes.io/name": "theirs", "app.kubernetes.io/component": "theirs", "team": "theirs"}
    values = {"commonLabels": theirs, "nats": {"podLabels": theirs}, "provisioner": {"podLabels": theirs}}
    release = rendered(laid({"toolbox": {"enabled": True}}, values))
    labels = release.one(kind)["spec"]["template"]["metadata"]["labels"]

    assert ("natsmith", "theirs") == (labels["app.kubernetes.io/name"], labels["team"])
    assert labels["app.kubernetes.io/component"] != "theirs"
