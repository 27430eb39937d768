"""Passwords are renewed from one release to the next: what an upgrade finds, keeps, makes and refuses."""

from __future__ import annotations

import pytest

from chart import Rendered
from memory_cluster import Cluster
from releases import EVERY_HELM, NAMESPACE, Values, laid
from upgrades import *  # noqa: F403  # its fixtures
from upgrades import THEIRS, Installed, accounts


def problems(refusal: str) -> list[str]:
    """Return what a refusal says, a line for each problem."""
    return [line for line in refusal.splitlines() if "eneration" in line]


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
