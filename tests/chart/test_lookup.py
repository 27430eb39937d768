"""What an upgrade finds in the cluster stays: generated passwords, and the data of accounts."""

from __future__ import annotations

import pytest

from chart import Rendered
from memory_cluster import Cluster
from releases import EVERY_HELM, NAMESPACE, NKEY, Values, laid
from test_settings import conf
from upgrades import *  # noqa: F403  # its fixtures
from upgrades import THEIRS, Installed, accounts


def generated(release: Rendered) -> list[str]:
    """Return the users whose passwords a release has generated."""
    keys: str = release.one("Secret")["metadata"]["annotations"]["natsmith/generated"]
    return keys.split()


@EVERY_HELM
def test_generated_passwords_stay(installed: Installed) -> None:
    """An upgrade finds the Secret and keeps every password in it."""
    before = installed.upgraded(accounts(u={}))
    after = installed.upgraded(laid(accounts(u={}), {"buckets": {"b": {}}}))

    assert before.secret_files == after.secret_files


@EVERY_HELM
def test_the_same_upgrade_changes_nothing(installed: Installed) -> None:
    """With the cluster at hand, a second rendering is the first, to the letter."""
    assert installed.upgraded({"nats": {"replicas": 3}}).text == installed.upgraded({"nats": {"replicas": 3}}).text


@EVERY_HELM
def test_a_new_user_gets_a_password_and_the_others_keep_theirs(installed: Installed) -> None:
    """Adding a user changes nobody else's password."""
    before = installed.upgraded(accounts(u={})).secret_files
    after = installed.upgraded(accounts(u={}, v={})).secret_files

    assert before.items() <= after.items()
    assert {f"A.v.{each}" for each in ("conf", "password", "newest.user", "newest.password")} == (
        after.keys() - before.keys()
    )


@EVERY_HELM
def test_a_user_that_is_gone_is_gone_from_the_secret(installed: Installed) -> None:
    """A password that nobody uses is not kept."""
    installed.upgraded(accounts(u={}, v={}))

    assert not [key for key in installed.upgraded(accounts(u={})).secret_files if key.startswith("A.v.")]


@EVERY_HELM
def test_a_plain_password_gives_way_to_a_generated_one(installed: Installed) -> None:
    """Taking a plain password out of the values makes a new one: the old one was read by many."""
    installed.upgraded(accounts(u={"password": "p"}))
    after = installed.upgraded(accounts(u={}))

    assert len(after.secret_files["A.u.password"]) == 32
    assert "A.u" in generated(after)


@EVERY_HELM
def test_a_generated_password_gives_way_to_a_plain_one(installed: Installed) -> None:
    """What the values say is what is, and the Secret no longer calls it generated."""
    installed.upgraded(accounts(u={}))
    after = installed.upgraded(accounts(u={"password": "p"}))

    assert after.secret_files["A.u.password"] == "p"
    assert "A.u" not in generated(after)


@EVERY_HELM
def test_a_secret_that_changed_is_loaded_by_the_next_upgrade(installed: Installed) -> None:
    """Whoever made it: the Job then waits for another configuration, and no pod is another one."""
    values = {"credentials": {"existingSecret": "theirs"}, "nats": {"tls": {"existingSecret": "certificate"}}}
    seen = []
    for versions in (("1", "1"), ("1", "1"), ("2", "1"), ("2", "2")):
        for name, version in zip(("theirs", "certificate"), versions, strict=True):
            keys = [*THEIRS, "tls.crt", "tls.key", "ca.crt"]
            metadata = {"name": name, "resourceVersion": version}
            secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": dict.fromkeys(keys, "")}
            installed.cluster.put(NAMESPACE, f"{installed.release}-others", secret)
        release = installed.upgraded(values)
        seen.append((conf(release)["server_tags"], str(release.one("StatefulSet"))))
    tags, pods = zip(*seen, strict=True)

    assert tags[0] == tags[1]
    assert 3 == len({str(each) for each in tags})
    assert 1 == len(set(pods))


@EVERY_HELM
def test_routes_follow_the_servers_and_keep_their_password(installed: Installed) -> None:
    """From three servers to five: more routes, the same password, so that old and new servers trust each other."""
    before, after = (installed.upgraded({"nats": {"replicas": each}}).secret_files for each in (3, 5))

    assert before["routes.password"] == after["routes.password"]
    assert [3, 5] == [each["routes.conf"].count("nats-route://") for each in (before, after)]


@EVERY_HELM
def test_a_renamed_account_is_refused_with_the_cure(installed: Installed) -> None:
    """Its data would stay on the disk under a name that nobody has."""
    installed.upgraded(accounts(u={}))
    message = installed.refused({"accounts": {"B": {"users": {"u": {}}}}})

    assert "accounts.A was in this release and is gone" in message
    assert "Keep accounts.A; or, to give up all that it holds, add A to nats.forgetAccounts" in message


@EVERY_HELM
def test_the_default_account_is_not_lost_by_naming_another(installed: Installed) -> None:
    """Who begins with the account app and then names one of his own is told that app goes."""
    installed.upgraded({})

    assert "accounts.app was in this release and is gone" in installed.refused(accounts(u={}))


@EVERY_HELM
def test_the_former_server_goes_when_what_it_has_was_brought(installed: Installed) -> None:
    """A Job that brought it has to have ended well; one that did something else says nothing."""
    growing: Values = {"nats": {"replicas": 3, "grow": {"fromOne": True}}}
    installed.upgraded({})
    during = installed.upgraded(growing)
    job = during.one("Job") | {"status": {"failed": 1}}
    installed.cluster.put(NAMESPACE, installed.release, job)
    assert "no run has brought yet what the former server has" in installed.refused({"nats": {"replicas": 3}})

    job["status"] = {"succeeded": 1}
    container = job["spec"]["template"]["spec"]["containers"][0]
    words = container["args"]
    container["args"] = [each for each in words if each != "--bring"]
    installed.cluster.put(NAMESPACE, installed.release, job)
    assert "no run has brought yet what the former server has" in installed.refused({"nats": {"replicas": 3}})

    container["args"] = words
    installed.cluster.put(NAMESPACE, installed.release, job)
    assert installed.upgraded({"nats": {"replicas": 3}}).manifests


@EVERY_HELM
def test_an_account_goes_when_it_may(installed: Installed) -> None:
    """nats.forgetAccounts is the owner's word."""
    installed.upgraded(accounts(u={}))

    assert installed.upgraded({"accounts": {"B": {"users": {"u": {}}}}, "nats": {"forgetAccounts": ["A"]}}).manifests


@EVERY_HELM
def test_another_account_may_be_added(installed: Installed) -> None:
    """Only what goes is refused."""
    installed.upgraded(accounts(u={}))

    assert installed.upgraded(laid(accounts(u={}), {"accounts": {"B": {"users": {"v": {}}}}})).manifests


def nats(replicas: int = 1, **storage: object) -> Values:
    """Return values with so many servers and such volumes."""
    return {"nats": {"replicas": replicas, "jetstream": {"storage": storage}}}


@EVERY_HELM
@pytest.mark.parametrize(
    ("before", "after", "why", "cure"),
    [
        (nats(1), nats(3), "a cluster deletes what one server stored", "Set nats.grow.fromOne: true"),
        (nats(1), nats(3), "a cluster deletes what one server stored", "keep nats.replicas: 1"),
        (nats(3), nats(1), "one server does not read what a cluster stored", "natsmith bring"),
        (nats(5), nats(3), "this release has 5 servers", "Keep nats.replicas: 5"),
        (nats(size="5Gi"), nats(size="6Gi"), "were made with 5Gi", "docs/upgrade.md"),
        (nats(className="a"), nats(className="b"), 'were made with "a"', 'Set it to "a"'),
        (nats(persistent=True), nats(persistent=False), "was installed with true", "Set it to true"),
        (nats(persistent=False), nats(persistent=True), "was installed with false", "Set it to false"),
    ],
)
def test_what_would_lose_data_or_fail_halfway_is_refused(
    installed: Installed, before: Values, after: Values, why: str, cure: str
) -> None:
    """Servers cannot become fewer, nor one several, and volumes stay as they are."""
    installed.upgraded(before)

    refusal = installed.refused(after)

    assert why in refusal
    assert cure in refusal
    installed.upgraded(before)


@EVERY_HELM
@pytest.mark.parametrize(
    ("before", "after"),
    [(nats(3), nats(5)), (nats(persistent=False), nats(3, persistent=False)), (nats(size="1Gi"), nats(size="1024Mi"))],
)
def test_what_keeps_data_is_let_through(installed: Installed, before: Values, after: Values) -> None:
    """More servers of several, the same size in other words, and no volumes at all."""
    installed.upgraded(before)

    assert installed.upgraded(after).one("StatefulSet")


def monitored(given: Values) -> Values:
    """Return the default account, with what is given for its monitor's user."""
    return {"app": {"users": {"app": {}}, "monitor": given}}


AGAIN: Values = {"credentials": {"existingSecret": "half", "generation": 2, "overlap": True}}

SECRETS: list[tuple[Values, str]] = [
    (
        AGAIN,
        "app.provisioner.2.conf, app.provisioner.conf, app.app.2.conf, app.provisioner.password, _SYS.reloader.password, app.app.password: "
        "add them there, or name "
        "another Secret. They come from `natsmith credentials -f VALUES --name half --only _SYS.sys --only _SYS.reloader --only app.provisioner "
        "--only app.app`: docs/credentials.md. Where nobody uses what was before, set overlap to false",
    ),
    ({"credentials": {"existingSecret": "no"}}, "credentials.existingSecret is no, but namespace"),
    (
        {"credentials": {"existingSecret": "half"}},
        "lacks _SYS.sys.conf, _SYS.reloader.conf, app.provisioner.conf, app.provisioner.password, "
        "_SYS.reloader.password, app.app.password: add them",
    ),
    ({"nats": {"tls": {"existingSecret": "no"}}}, "nats.tls.existingSecret is no, but namespace"),
    (
        {"monitor": {"enabled": True}, "accounts": monitored({"existingSecret": "half"})},
        "accounts.app.monitor.existingSecret is half, but that Secret in namespace messaging lacks "
        "app.monitor.conf, app.monitor.password: add them",
    ),
    (
        {"monitor": {"enabled": True}, "accounts": monitored({"nkey": NKEY, "seedSecret": {"name": "half"}})},
        "accounts.app.monitor.seedSecret.name is half, but that Secret in namespace messaging lacks seed: add it",
    ),
]


@EVERY_HELM
@pytest.mark.parametrize(("values", "told"), SECRETS)
def test_a_missing_secret_is_told_before_pods_wait_for_it(
    installed: Installed, cluster: Cluster, values: Values, told: str
) -> None:
    """With a terminal to tell it to; with mode job it may come later, and where nothing can be looked up it is not asked."""
    half = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "half"}, "data": {"app.app.conf": "eA=="}}
    cluster.put(NAMESPACE, "somebody", half)
    assert installed.upgraded(laid(values, {"provisioner": {"mode": "job"}}))
    everywhere = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kube-root-ca.crt"}, "data": {}}
    cluster.put(NAMESPACE, "somebody", everywhere)

    assert told in installed.refused(values)
    assert installed.upgraded(laid(values, {"provisioner": {"mode": "job"}}))


@EVERY_HELM
@pytest.mark.parametrize(
    ("after", "why"),
    [
        ({"nameOverride": "other"}, "would be removed for empty ones called"),
        (
            {"nats": {"enabled": False}, "provisioner": {"connection": {"server": "nats://x:4222"}}},
            "nats.enabled is false, but this release runs servers",
        ),
        ({"nats": {"forgetAccounts": ["app"]}}, "nats.forgetAccounts names app, which is there"),
    ],
)
def test_what_would_leave_data_out_of_sight_is_refused(installed: Installed, after: Values, why: str) -> None:
    """Another name, no servers any more, and a word that would be taken one day."""
    installed.upgraded({})

    assert why in installed.refused(after, "--is-upgrade")
