"""How Helm is asked, and who provisions: each way leaves what it says, and nothing else."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
import yaml

from e2e.cluster import Manifest, Namespace, namespace, run
from e2e.release import CHART, ROOT, MakeRelease, Release, images

REFUSED = "buckets.sessions.storage=memory"
"""The server cannot change it in place, so the Job refuses."""


@pytest.fixture
def rollback(helm: str) -> str:
    """Name the flag that takes a failed upgrade back."""
    return (
        "--atomic"
        if run([helm, "version", "--template", "{{.Version}}"]).out.startswith("v3")
        else "--rollback-on-failure"
    )


def everything(space: Namespace) -> dict[tuple[str, str], str]:
    """Return the version of each object in a namespace that a release could touch."""
    found: list[Manifest] = [
        each
        for kind in ("all", "configmaps", "secrets", "persistentvolumeclaims", "serviceaccounts", "networkpolicies")
        for each in space.all(kind)
    ]
    return {(each["kind"], each["metadata"]["name"]): each["metadata"]["resourceVersion"] for each in found}


def ttl(dev: Release, bucket: str = "sessions") -> object:
    """Return a bucket's time to live on the server."""
    return dev.exported()["buckets"][bucket]["ttlSeconds"]


def rendered(dev: Release, *words: str) -> str:
    """Return what `helm template` prints for a release."""
    # A Helm 3 that was built without the flags of its Makefile takes Kubernetes for 1.20.
    here = ["-f", str(ROOT / "values" / "dev.yaml"), "--kube-version", "1.34"]
    ran = dev.run("template", dev.name, str(CHART), *here, *images(), *words)
    assert ran.code == 0, ran.text
    return ran.out


def piped(dev: Release, document: str, *words: str) -> str:
    """Run natsmith in the toolbox with a document on its standard input."""
    return dev.namespace.kubectl(
        "exec", "-i", f"deploy/{dev.fullname}-toolbox", "--", "natsmith", *words, stdin=document
    ).text


async def test_wait_ends_when_all_is_ready_and_provisioned(release: MakeRelease) -> None:
    """With --wait nothing is left to wait for: server, toolbox and buckets are there."""
    dev = release()
    dev.installed("dev.yaml", more=["--wait"])

    assert [True, True] == [
        all(each["ready"] for each in dev.pods(component)[0]["status"]["containerStatuses"])
        for component in ("nats", "toolbox")
    ]
    assert ("deployed", 0, 300) == (dev.status, dev.outcome()["exitCode"], ttl(dev))


async def test_a_failed_upgrade_is_rolled_back(release: MakeRelease, rollback: str) -> None:
    """The release is deployed with the former values, its Job ran again, the reason was told, and no data is gone."""
    dev = release()
    dev.installed("dev.yaml")
    before, password, [server] = await dev.filled(), dev.password("app.app"), dev.pods("nats")

    ran = dev.upgrade("dev.yaml", sets=[REFUSED, "buckets.service_registry.ttlSeconds=60"], more=[rollback])

    assert 0 != ran.code
    assert "storage" in ran.text, "the terminal says what was refused"
    assert ("deployed", 3) == (dev.status, dev.revision)
    assert (0, 0) == (dev.outcome()["exitCode"], dev.outcome()["changes"])
    assert (300, 30) == (ttl(dev), ttl(dev, "service_registry"))
    assert (before, password) == (await dev.held(), dev.password("app.app"))
    assert server["metadata"]["uid"] == dev.pods("nats")[0]["metadata"]["uid"]


async def test_a_failed_installation_is_taken_back(release: MakeRelease, rollback: str) -> None:
    """The release is gone; the volume and the passwords stay, and a correct installation uses them."""
    dev = release()

    ran = dev.upgrade("dev.yaml", sets=["buckets.sessions.config.no_such_field=true"], more=[rollback])

    assert 0 != ran.code
    assert "no_such_field" in ran.text, "the terminal says what was refused"
    assert 0 != dev.run("status", dev.name).code
    password = dev.password("app.app")
    dev.installed("dev.yaml")
    assert ("deployed", 300, password) == (dev.status, ttl(dev), dev.password("app.app"))


async def test_a_dry_run_on_the_server_changes_nothing(release: MakeRelease) -> None:
    """It shows the passwords that are there, and no object, no bucket and no revision becomes another."""
    dev = release()
    dev.installed("dev.yaml")
    dev.namespace.wait(f"deployment/{dev.fullname}-toolbox", "condition=Available")
    before, password = everything(dev.namespace), dev.password("app.app")

    ran = dev.upgrade("dev.yaml", sets=["buckets.sessions.ttlSeconds=60"], more=["--dry-run=server"])

    assert 0 == ran.code, ran.text
    assert "ttlSeconds: 60" in ran.out
    assert base64.b64encode(password.encode()).decode() in ran.out
    assert before == everything(dev.namespace)
    assert (1, 300) == (dev.revision, ttl(dev))


async def test_a_dry_run_installs_nothing(release: MakeRelease) -> None:
    """The namespace is as it was."""
    dev = release()
    before = everything(dev.namespace)

    ran = dev.upgrade("dev.yaml", more=["--dry-run=server"])

    assert 0 == ran.code, ran.text
    assert before.keys() == everything(dev.namespace).keys()


async def test_an_ordinary_job_runs_once_for_the_same_values(release: MakeRelease) -> None:
    """The same values run nothing; another time to live is another Job, also on the way back."""
    dev = release()
    way = {"more": ["--wait", "--wait-for-jobs"]}
    dev.installed("dev.yaml", sets=["provisioner.mode=job"], **way)
    [first] = dev.jobs()
    assert (1, 300) == (first["status"]["succeeded"], ttl(dev))

    dev.installed("dev.yaml", sets=["provisioner.mode=job"], **way)
    assert [first["metadata"]["uid"]] == [each["metadata"]["uid"] for each in dev.jobs()]

    dev.installed("dev.yaml", sets=["provisioner.mode=job", "buckets.sessions.ttlSeconds=60"], **way)
    [second] = dev.jobs()
    assert first["metadata"]["name"] != second["metadata"]["name"]
    assert 60 == ttl(dev)

    back = dev.run("rollback", dev.name, "2", "--wait", "--wait-for-jobs")
    assert 0 == back.code, back.text
    assert (first["metadata"]["name"], 300) == (dev.jobs()[-1]["metadata"]["name"], ttl(dev))


async def test_nobody_provisions_until_somebody_does(release: MakeRelease) -> None:
    """With mode none no Job runs, NOTES say so, and the toolbox plans and applies what `helm template` prints."""
    dev = release()
    ran = dev.installed("dev.yaml", sets=["provisioner.mode=none"], more=["--wait"])

    assert "by nobody yet" in ran.out
    assert ([], [], {}) == (dev.jobs(), dev.pods("provisioner"), dev.objects())
    document = rendered(dev, "--set", "provisioner.mode=none")
    assert "6 changes, 0 unchanged. Nothing was applied" in piped(dev, document, "plan", "-f", "-")
    assert {} == dev.objects()
    assert "6 changes applied" in piped(dev, document, "apply", "-f", "-")
    assert 300 == ttl(dev)
    # The Job of a release that provisions afterwards finds its own objects.
    dev.installed("dev.yaml")
    assert (0, 6) == (dev.outcome()["changes"], dev.outcome()["unchanged"])


@pytest.fixture
def infra(helm: str) -> Iterator[Release]:
    """Give a release in another namespace, whose server others use."""
    with namespace() as made:
        yield Release(helm, made, "infra")


async def test_the_server_of_another_release(release: MakeRelease, infra: Release) -> None:
    """Without a server of its own a release provisions another's, in its own name, and leaves everything there."""
    infra.installed(sets=["toolbox.enabled=true"], more=["--wait"])
    team = release("team")
    connections = {
        "server": f"nats://{infra.fullname}.{infra.namespace.name}.svc:4222",
        "accounts": {"app": {"user": "provisioner-app", "passwordFile": "password", "inboxPrefix": "_INBOX_natsmith"}},
    }
    files = {"connections.yaml": yaml.safe_dump(connections), "password": infra.password("app.provisioner")}
    login = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "nats-login"}, "stringData": files}
    team.namespace.apply(login)
    sets = [
        "nats.enabled=false",
        "provisioner.connection.existingSecret=nats-login",
        "toolbox.enabled=true",
        "buckets.carts.ttlSeconds=600",
    ]
    way = ["--set-json", 'accounts={"app":{}}']

    notes = team.installed(sets=sets, more=[*way, "--wait"]).out
    assert "this release only provisions it" in notes
    assert [] == team.namespace.all("statefulsets")
    assert (600, 600) == (ttl(team, "carts"), ttl(infra, "carts"))
    assert f"{team.namespace.name}/team" == team.outcome()["owner"]

    team.installed(sets=[*sets, "buckets.carts.ttlSeconds=60"], more=way)
    assert (60, 1) == (ttl(infra, "carts"), team.outcome()["changes"])

    tested = team.run("test", team.name, "--logs")
    assert 0 == tested.code, tested.text

    gone = team.run("uninstall", team.name)
    assert (0, 60) == (gone.code, ttl(infra, "carts"))
