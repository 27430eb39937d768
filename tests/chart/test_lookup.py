"""What an upgrade finds in the cluster stays: generated passwords, and the data of accounts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from chart import NotRendered, Rendered
from memory_cluster import Cluster, serving
from releases import EVERY_HELM, NAMESPACE, NKEY, Values, laid, rendered
from test_settings import conf

RUNS = count(1)
THEIRS = [
    *(f"{user}.conf" for user in ("_SYS.sys", "_SYS.reloader", "app.provisioner", "app.app")),
    *(f"{user}.password" for user in ("_SYS.reloader", "app.provisioner", "app.app")),
]
"""What somebody's Secret has for the default account."""


def accounts(**users: Values) -> Values:
    """Return values with the account A and its users."""
    return {"accounts": {"A": {"users": users}}}


@dataclass
class Installed:
    """A release in a cluster: what it was rendered to last."""

    cluster: Cluster
    helm: Path
    release: str

    def upgraded(self, values: Values, *more: str) -> Rendered:
        """Return the release after an upgrade to *values*, and let the cluster have it."""
        flags = ("--dry-run=server", *self.cluster.flags, *more)
        after = rendered(values, helm=self.helm, release=self.release, more=flags, again=next(RUNS))
        kept = [each for kind in ("Secret", "ConfigMap", "StatefulSet") for each in after.all(kind)]
        self.cluster.put(NAMESPACE, self.release, *kept)
        return after

    def refused(self, values: Values, *more: str) -> str:
        """Return what an upgrade to *values* is refused with."""
        with pytest.raises(NotRendered) as caught:
            self.upgraded(values, *more)
        return str(caught.value)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Serve a cluster for all tests here; each has a release of its own."""
    with serving(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
def installed(cluster: Cluster, helm: Path) -> Installed:
    """Return a release that is not there yet."""
    return Installed(cluster, helm, f"r{next(RUNS)}")


def problems(refusal: str) -> list[str]:
    """Return what a refusal says, a line for each problem."""
    return [line for line in refusal.splitlines() if "eneration" in line]


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


def renewed(generation: int, *, overlap: bool = False, **user: object) -> Values:
    """Return values with the user u of account A, and everybody's credentials at a generation."""
    return laid(accounts(u=user), {"credentials": {"generation": generation, "overlap": overlap}})  # type: ignore[no-any-return]


def of(release: Rendered, user: str = "A.u") -> Values:
    """Return what the Secret of a release holds for a user, but for what servers include."""
    return {
        key.removeprefix(f"{user}."): text
        for key, text in release.secret_files.items()
        if key.startswith(f"{user}.") and not key.endswith(".conf")
    }


@EVERY_HELM
def test_an_overlap_has_the_password_before_and_a_new_one(installed: Installed) -> None:
    """The key of a generation keeps its password, and what applications read names the newest."""
    before = of(installed.upgraded(renewed(1)))
    during = of(installed.upgraded(renewed(2, overlap=True)))
    after = of(installed.upgraded(renewed(2)))

    assert {"password": before["password"], "newest.user": "u", "newest.password": before["password"]} == before
    old, new = before["password"], during["2.password"]
    assert {"password": old, "2.password": new, "newest.user": "u.2", "newest.password": new} == during
    assert {"2.password": new, "newest.user": "u.2", "newest.password": new} == after
    assert (32, True) == (len(new), old != new)


@EVERY_HELM
def test_an_overlap_that_goes_on_changes_nothing(installed: Installed) -> None:
    """Both passwords stay through any other upgrade."""
    installed.upgraded(renewed(1))
    during = installed.upgraded(renewed(2, overlap=True))

    assert (
        during.secret_files == installed.upgraded(laid(renewed(2, overlap=True), {"buckets": {"b": {}}})).secret_files
    )


@EVERY_HELM
def test_a_secret_of_a_release_before_generations_is_the_first(installed: Installed, cluster: Cluster) -> None:
    """Who upgrades from a chart that knew no generations can renew at once."""
    before = installed.upgraded(renewed(1))
    old = before.one("Secret")
    old["data"] = {key: text for key, text in old["data"].items() if ".newest." not in key}
    cluster.put(NAMESPACE, installed.release, old)

    assert of(before)["password"] == of(installed.upgraded(renewed(2, overlap=True)))["password"]


@EVERY_HELM
def test_what_a_rollback_brings_back_is_found(installed: Installed, cluster: Cluster) -> None:
    """Helm lays out the objects of then, so the first password is there; the second is another one the next time."""
    before = installed.upgraded(renewed(1))
    during = installed.upgraded(renewed(2, overlap=True))
    installed.upgraded(renewed(2))
    cluster.put(NAMESPACE, installed.release, before.one("Secret"), before.one("ConfigMap", "-config"))

    again = of(installed.upgraded(renewed(2, overlap=True)))
    assert of(before)["password"] == again["password"]
    assert of(during)["2.password"] != again["2.password"]


@EVERY_HELM
@pytest.mark.parametrize(
    ("during", "forgotten", "who"),
    [
        (renewed(2, overlap=True), renewed(1), "credentials.generation is"),
        (renewed(2, overlap=True), renewed(1, overlap=True), "credentials.generation is"),
        (accounts(u={"generation": 2, "overlap": True}), accounts(u={}), "accounts.A.users.u is at generation"),
    ],
)
def test_a_generation_forgotten_during_its_overlap_is_refused(
    installed: Installed, during: Values, forgotten: Values, who: str
) -> None:
    """Who had changed over would be cut off for good; a rollback is the way to give the renewal up."""
    before = installed.upgraded(accounts(u={}))
    both = installed.upgraded(during)

    [line] = problems(installed.refused(forgotten))
    assert f"{who} 1, but this release has 2: clients that log in with 2 would be cut off" in line
    assert (
        f"Keep generation 2 in the values, with overlap as it was; or raise it to 3 for a new password. To give 2 up, go back with `helm rollback {installed.release} REVISION`"
        in line
    )

    assert both.secret_files == installed.upgraded(during).secret_files
    installed.cluster.put(NAMESPACE, installed.release, before.one("Secret"), before.one("ConfigMap", "-config"))
    assert before.secret_files == installed.upgraded(accounts(u={})).secret_files


@EVERY_HELM
@pytest.mark.parametrize(
    ("over", "again"),
    [
        (renewed(2), renewed(2, overlap=True)),
        (accounts(u={"generation": 2}), accounts(u={"generation": 2, "overlap": True})),
    ],
)
def test_an_overlap_that_ended_does_not_begin_again(installed: Installed, over: Values, again: Values) -> None:
    """The login before would get a password that no client has."""
    installed.upgraded(accounts(u={}))
    installed.upgraded(over)

    [line] = problems(installed.refused(again))
    assert "accounts.A.users.u: overlap is true, but the password of the generation before is gone" in line
    assert f"Set overlap to false; or bring the password back with `helm rollback {installed.release} REVISION`" in line
    assert ("accounts.A.provisioner, " in line) == ("credentials" in again)
    installed.upgraded(over)


@EVERY_HELM
def test_a_plain_overlap_begins_again(installed: Installed) -> None:
    """The password before stands in the values; and giving it up by values loses nothing that they do not have."""
    user = {"password": "new", "previousPassword": "old", "generation": 2}
    installed.upgraded(accounts(u={"password": "old"}))
    installed.upgraded(accounts(u=user))

    again = of(installed.upgraded(accounts(u={**user, "overlap": True})))
    assert ("old", "new") == (again["password"], again["2.password"])
    assert "old" == of(installed.upgraded(accounts(u={"password": "old"})))["password"]


@EVERY_HELM
def test_an_overlap_of_ones_own_secret_begins_again(installed: Installed) -> None:
    """Its keys are still there, also after the step was taken back."""
    theirs = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"own-{installed.release}"}}
    keys = [
        each.replace(user, user + suffix)
        for each in THEIRS
        for user in [each.rsplit(".", 1)[0]]
        for suffix in ("", ".2")
    ]
    installed.cluster.put(NAMESPACE, f"{installed.release}-own", {**theirs, "data": dict.fromkeys(keys, "")})
    steps = [(1, False), (2, True), (2, False), (2, True), (1, False), (2, False)]

    for generation, overlap in steps:
        said = {"existingSecret": f"own-{installed.release}", "generation": generation, "overlap": overlap}
        assert installed.upgraded({"credentials": said}).manifests


@EVERY_HELM
@pytest.mark.parametrize(
    ("during", "third"),
    [
        (renewed(2, overlap=True), renewed(3, overlap=True)),
        (accounts(u={"generation": 2, "overlap": True}), accounts(u={"generation": 3, "overlap": True})),
        (
            accounts(u={"password": "b", "previousPassword": "a", "generation": 2, "overlap": True}),
            accounts(u={"password": "c", "previousPassword": "b", "generation": 3, "overlap": True}),
        ),
    ],
)
def test_an_overlap_ends_before_the_next_begins(installed: Installed, during: Values, third: Values) -> None:
    """The first of its two generations was promised to work until the end."""
    installed.upgraded(accounts(u={}))
    installed.upgraded(during)

    [line] = problems(installed.refused(third))
    assert "accounts.A.users.u: the generation was raised during an overlap" in line
    assert "End the overlap first" in line
    ended = {"credentials": {"overlap": False}, **({} if "credentials" in during else accounts(u={"overlap": False}))}
    installed.upgraded(laid(during, ended))
    assert "u.3" == of(installed.upgraded(third))["newest.user"]


@EVERY_HELM
def test_a_leaked_password_is_renewed_during_an_overlap_too(installed: Installed) -> None:
    """Without an overlap, both generations before are gone."""
    installed.upgraded(renewed(1))
    installed.upgraded(renewed(2, overlap=True))

    assert {"3.password", "newest.user", "newest.password"} == set(of(installed.upgraded(renewed(3))))


@EVERY_HELM
def test_a_user_alone_is_renewed(installed: Installed) -> None:
    """Nobody else's password changes; and what is then said for all counts on from there."""
    before = installed.upgraded(accounts(u={}, v={})).secret_files
    after = installed.upgraded(accounts(u={"generation": 2, "overlap": True}, v={})).secret_files
    assert {"A.u.2.conf", "A.u.2.password"} == after.keys() - before.keys()
    assert {"A.u.newest.user", "A.u.newest.password"} == {key for key in before if before[key] != after[key]}

    installed.upgraded(accounts(u={"generation": 2}, v={}))
    said = laid(accounts(u={"generation": 2}, v={}), {"credentials": {"generation": 2, "overlap": True}})
    everybody = installed.upgraded(said)
    assert ("u.3", "v.2") == (of(everybody)["newest.user"], of(everybody, "A.v")["newest.user"])
    assert after["A.u.2.password"] == of(everybody)["2.password"]


@EVERY_HELM
@pytest.mark.parametrize(
    ("before", "after", "why", "cure"),
    [
        (
            accounts(u={}),
            accounts(u={"generation": 3, "overlap": True}),
            "accounts.A.users.u is at generation 3 with an overlap, so 2 would work too; but clients of this release use 1",
            "change it by one, to 2 in all",
        ),
        (
            renewed(2),
            renewed(1),
            "credentials.generation is 1, but this release has 2: clients that log in with 2 would be cut off",
            "Keep generation 2 in the values, with overlap as it was; or raise it to 3",
        ),
        (
            accounts(u={"generation": 2}),
            accounts(u={}),
            "accounts.A.users.u is at generation 1, but this release has 2: clients that log in with 2 would be cut off",
            "Keep generation 2 in the values, with overlap as it was; or raise it to 3",
        ),
    ],
)
def test_a_step_that_cuts_clients_off_unseen_is_refused(
    installed: Installed, before: Values, after: Values, why: str, cure: str
) -> None:
    """An overlap that is none, and a generation that was forgotten in the values."""
    installed.upgraded(before)

    [line] = problems(installed.refused(after))
    assert why in line
    assert cure in line.partition(why)[2]


@EVERY_HELM
def test_a_forgotten_generation_is_refused_after_an_uninstall_too(installed: Installed, cluster: Cluster) -> None:
    """The Secret stays, and it tells."""
    kept = installed.upgraded(renewed(2)).one("Secret")
    cluster.forget(NAMESPACE)
    cluster.put(NAMESPACE, installed.release, kept)

    [line] = problems(installed.refused(renewed(1)))
    assert "credentials.generation is 1, but this release has 2" in line


@EVERY_HELM
@pytest.mark.parametrize("overlap", [False, True])
def test_a_generation_cannot_be_skipped(installed: Installed, overlap: bool) -> None:
    """Who asks for the reload logs in with the one before, which would be one that servers do not know."""
    installed.upgraded(renewed(1))

    [line] = problems(installed.refused(renewed(5, overlap=overlap)))
    assert "credentials.generation is 5, but this release has 1: raise it by one, to 2" in line


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
