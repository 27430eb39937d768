"""What the cluster, or somebody else's server, refuses: the reason is found where the terminal says, and is mended by an upgrade."""

from __future__ import annotations

import json

from e2e.cluster import Manifest, Ran
from e2e.release import MakeRelease, Release
from waiting import eventually

BARE = "toolbox.enabled=false"
SHORT = ["provisioner.deadlineSeconds=60", "provisioner.backoffLimit=0", BARE]
"""For what is to fail: too short for a server that is only being installed."""

OUTSIDE = ["nats.enabled=false", "buckets.sessions.ttlSeconds=60"]


def events(dev: Release) -> str:
    """Return what docs/troubleshooting.md tells to look at when a pod never ran natsmith."""
    return dev.namespace.kubectl("get", "events", "--sort-by=.lastTimestamp").out


def names_the_job(dev: Release, ran: Ran) -> bool:
    """Return whether Helm's own error says which Job it was, and that its time was over or its attempts used up."""
    helm4 = f"resource Job/{dev.namespace.name}/{dev.fullname}-provisioner not ready. status: Failed" in ran.text
    return helm4 or f"job {dev.fullname}-provisioner failed: " in ran.text


def healed(dev: Release, *sets: str) -> None:
    """Upgrade with the mistake corrected: everything is then as after an install."""
    ran = dev.installed("dev.yaml", sets=[BARE, *sets])
    assert "6 changes applied" in ran.text
    assert "deployed" == dev.status


def secret(name: str, **data: str) -> Manifest:
    """Return a Secret."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


async def test_a_secret_that_is_not_there_is_refused_at_once(release: MakeRelease) -> None:
    """On an install, and on an upgrade too, where the server would wait for it and serve nothing."""
    dev = release()
    where = f"credentials.existingSecret is nope, but namespace {dev.namespace.name} has no such Secret"

    ran = dev.upgrade("dev.yaml", sets=[*SHORT, "credentials.existingSecret=nope"])

    assert 0 != ran.code
    assert where in ran.text
    assert (
        "create it first, with _SYS.sys.conf, _SYS.reloader.conf, app.provisioner.conf, app.app.conf, "
        "app.provisioner.password, _SYS.reloader.password" in ran.text
    )
    assert [] == dev.namespace.all("pods")
    healed(dev)
    [server] = dev.pods("nats")

    ran = dev.upgrade("dev.yaml", sets=[*SHORT, "credentials.existingSecret=nope"])

    assert 0 != ran.code
    assert where in ran.text
    assert "deployed" == dev.status
    [same] = dev.pods("nats")
    assert server["metadata"]["uid"] == same["metadata"]["uid"]


async def test_a_secret_that_lacks_a_key_is_refused_at_once(release: MakeRelease) -> None:
    """The terminal says which Secret and which key; with the key in it the same command passes."""
    dev = release()
    words = {"_SYS.sys.conf": "s", "_SYS.reloader.conf": "r", "app.provisioner.conf": "p", "app.app.conf": "a"}
    files = {key: f'password: "secret-{word}"\n' for key, word in words.items()}
    dev.namespace.apply(secret("users", **files))
    using = [*SHORT, "credentials.existingSecret=users"]

    ran = dev.upgrade("dev.yaml", sets=using)

    assert 0 != ran.code
    assert f"credentials.existingSecret is users, but that Secret in namespace {dev.namespace.name} lacks" in ran.text
    assert (
        "lacks app.provisioner.password, _SYS.reloader.password, app.app.password: add them there, or name another Secret"
        in ran.text
    )

    passwords = {"app.provisioner.password": "p", "app.app.password": "a", "_SYS.reloader.password": "r"}
    files |= {key: f"secret-{word}" for key, word in passwords.items()}
    dev.namespace.apply(secret("users", **files))
    healed(dev, "credentials.existingSecret=users")


async def test_a_secret_may_come_later_where_nobody_waits(release: MakeRelease) -> None:
    """With mode job, as under GitOps, pods wait for it; the events say which one, and it heals without an upgrade."""
    dev = release()
    dev.installed("dev.yaml", sets=[*SHORT, "provisioner.mode=job", "accounts.app.users.app.existingSecret=late"])

    async def told() -> bool:
        return 'secret "late" not found' in events(dev)

    await eventually(told, within=30)
    dev.namespace.apply(secret("late", **{"app.app.conf": 'password: "x"\n', "app.app.password": "x"}))

    # The kubelet tries again at growing intervals.
    dev.namespace.wait(f"pod/{dev.fullname}-0", "condition=Ready", seconds=90)


async def test_an_image_that_does_not_exist_ends_at_the_deadline(release: MakeRelease) -> None:
    """There is no log: Helm says which Job, and the events say which image; the server has its data and serves."""
    dev = release()
    # Never, so that the time to ask a registry is not in this test.
    missing = ["--set-string", "provisioner.image.tag=missing"]
    ran = dev.upgrade("dev.yaml", sets=[*SHORT, "provisioner.image.pullPolicy=Never"], more=missing)

    assert 0 != ran.code
    assert names_the_job(dev, ran), ran.text
    assert "failed" == dev.status
    assert "DeadlineExceeded" in events(dev)
    assert 'natsmith:missing" is not present' in events(dev)
    healed(dev)


async def test_a_quota_that_blocks_the_job_ends_at_the_deadline(release: MakeRelease) -> None:
    """There is no pod at all: `kubectl describe` of the Job that Helm names says which quota."""
    dev = release()
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "tight"},
        "spec": {"hard": {"pods": "1"}},
    }
    dev.namespace.apply(quota)

    ran = dev.upgrade("dev.yaml", sets=SHORT)

    assert 0 != ran.code
    assert names_the_job(dev, ran), ran.text
    told = dev.namespace.kubectl("describe", "job", f"{dev.fullname}-provisioner").out
    assert "exceeded quota: tight, requested: pods=1, used: pods=1, limited: pods=1" in told
    assert "exceeded quota: tight" in events(dev)
    dev.namespace.kubectl("delete", "resourcequota", "tight")
    healed(dev)


async def test_a_server_that_never_answers_is_given_up_before_the_deadline(release: MakeRelease) -> None:
    """Each attempt ends by itself with its reason, so that the Job still has a log when Helm prints it."""
    dev = release()
    dev.namespace.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "nobody"},
            "spec": {"ports": [{"port": 4222}], "selector": {"app": "nobody"}},
        }
    )
    sets = [*OUTSIDE, "provisioner.connection.server=nats://nobody:4222"]

    ran = dev.upgrade(sets=[*sets, "provisioner.deadlineSeconds=70", "provisioner.backoffLimit=1"])

    assert 0 != ran.code
    assert names_the_job(dev, ran), ran.text
    assert "error: nats://nobody:4222 was not ready for a client without a user within 15 s" in ran.text
    assert "Check that the server runs, and its address" in ran.text
    ended = [each["status"]["containerStatuses"][0]["state"]["terminated"] for each in dev.pods("provisioner")]
    assert [75, 75] == [each["exitCode"] for each in ended]
    assert "not ready" == dev.outcome()["result"]
    job = dev.namespace.get("job", f"{dev.fullname}-provisioner")
    assert {"BackoffLimitExceeded"} == {each["reason"] for each in job["status"]["conditions"]}

    # The Service gets its server: the same upgrade passes.
    server = release("server")
    server.installed(sets=["provisioner.mode=none"])
    server.namespace.wait(f"pod/{server.fullname}-0", "create")
    server.namespace.wait(f"pod/{server.fullname}-0", "condition=Ready")
    selector = {"app.kubernetes.io/instance": "server", "app.kubernetes.io/component": "nats"}
    patch = json.dumps({"spec": {"selector": {"app": None, **selector}}})
    dev.namespace.kubectl("patch", "service", "nobody", "-p", patch)
    dev.namespace.apply(login(server, server.password("app.provisioner")))
    ran = dev.installed(sets=[*sets, "provisioner.connection.existingSecret=login"])
    assert "create bucket sessions: ttlSeconds 60" in ran.text
    assert "deployed" == dev.status


def login(server: Release, password: str) -> Manifest:
    """Return a Secret with how to connect to *server* as its provisioner."""
    connections = {
        "server": f"nats://{server.fullname}:4222",
        "accounts": {"app": {"user": "provisioner-app", "passwordFile": "password", "inboxPrefix": "_INBOX_natsmith"}},
    }
    return secret("login", **{"connections.yaml": json.dumps(connections), "password": password})


async def test_a_server_of_others_that_refuses_the_login(release: MakeRelease) -> None:
    """The terminal names server and user; with the right password in the Secret the same upgrade passes."""
    server = release("server")
    server.installed(sets=["provisioner.mode=none"])
    server.namespace.wait(f"pod/{server.fullname}-0", "create")
    server.namespace.wait(f"pod/{server.fullname}-0", "condition=Ready")
    dev = release()
    dev.namespace.apply(login(server, "wrong"))
    sets = [*SHORT, *OUTSIDE, "provisioner.connection.existingSecret=login"]

    ran = dev.upgrade(sets=sets)

    assert 0 != ran.code
    assert names_the_job(dev, ran), ran.text
    assert f"error: nats://{server.fullname}:4222" in ran.text
    assert "user provisioner-app" in ran.text
    assert "refuses the user or its credentials" in ran.text
    assert "wrong" not in ran.text
    assert "failed" == dev.status

    dev.namespace.apply(login(server, server.password("app.provisioner")))
    ran = dev.installed(sets=sets)
    assert "create bucket sessions: ttlSeconds 60" in ran.text
    assert "deployed" == dev.status
