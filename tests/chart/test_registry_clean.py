"""The CronJob that cleans a registry: as whom it connects, what that user may then do, and when it cannot work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from chart import Manifest, Rendered
from memory_cluster import serving
from releases import (
    ANOTHER,
    EVERY_HELM,
    EVERYTHING,
    EXTERNAL,
    NKEY,
    Values,
    laid,
    refused_with_cure,
    rendered,
    runs_on_a_clock,
)
from test_notes import notes
from test_settings import conf, sources, with_reloader
from test_settings_provisioner import job

REGISTRY: Values = {"buckets": {"service_registry": {"profile": "serviceRegistry", "ttlSeconds": 30}}}
TWO: Values = {"accounts": {"A": {"users": {"u": {}}}, "B": {"users": {"v": {}}}}}


def clean(**settings: Any) -> Values:
    """Return values of a registry that is cleaned, with *settings* of that."""
    return laid(REGISTRY, {"registry": {"clean": {"enabled": True, **settings}}})  # type: ignore[no-any-return]


def cleaner(release: Rendered) -> Manifest:
    """Return the spec of the CronJob's pod."""
    found: Manifest = release.one("CronJob", "-registry-clean")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return found


def rights(release: Rendered, account: str = "app") -> list[str]:
    """Return on what the provisioner of an account may publish."""
    users = conf(release)["accounts"][account]["users"]
    [found] = [each["permissions"]["publish"]["allow"] for each in users if "_natsmith.park.*" in str(each)]
    return list(found)


def arguments(release: Rendered) -> list[str]:
    """Return what natsmith is told."""
    [container] = cleaner(release)["containers"]
    return list(container["args"])


@EVERY_HELM
def test_nobody_cleans_unasked(helm: Path) -> None:
    """Without a word there is no CronJob, and the provisioner may write into no bucket of an application."""
    release = rendered(REGISTRY, helm=helm)

    assert [] == release.all("CronJob")
    assert [] == [each for each in rights(release) if "service_registry" in each]


@EVERY_HELM
def test_the_provisioner_s_user_may_read_and_write_one_bucket_more(helm: Path) -> None:
    """What cleaning needs, on the bucket that is cleaned, and in its account alone."""
    values = laid(clean(account="A"), {**TWO, "buckets": {"service_registry": {"account": "A"}}})
    release = rendered(values, helm=helm)
    bare = rendered(laid(values, {"registry": {"clean": {"enabled": False}}}), helm=helm)

    assert rights(bare, "A") == rights(release, "B")
    assert [
        *rights(bare, "A"),
        *(
            "$JS.FC.KV_service_registry.>",
            "$KV.service_registry.>",
        ),
    ] == rights(release, "A")


@EVERY_HELM
def test_it_logs_in_as_the_job_does(helm: Path) -> None:
    """The same user and files, but for what other accounts log in with."""
    release = rendered(clean(), helm=helm)

    assert sources(job(release), "natsmith") == with_reloader(sources(cleaner(release), "natsmith"))
    assert ["registry", "clean", "--bucket", "service_registry", "--account", "app"] == arguments(release)


@EVERY_HELM
def test_it_gets_the_password_of_its_own_account_only(helm: Path) -> None:
    """What the file of connections names is what is mounted."""
    values = laid(clean(account="B"), {**TWO, "buckets": {"service_registry": {"account": "B"}}})
    release = rendered(values, helm=helm)
    said = yaml.safe_load(release.one("ConfigMap", "-desired")["data"]["registry-clean.yaml"])
    [container] = cleaner(release)["containers"]

    assert {"B"} == said["accounts"].keys()
    assert {"dev-natsmith-credentials": ["B.provisioner.password"]} == sources(cleaner(release), "natsmith")
    assert [{"name": "NATSMITH_CONNECTIONS", "value": "/etc/natsmith/registry-clean.yaml"}] == container["env"]


@EVERY_HELM
def test_credentials_of_every_kind_do(helm: Path) -> None:
    """A Secret of all users, the provisioner's own, or an nkey and its seed."""
    users = {"users": {"u": {"nkey": NKEY}}}
    for said, expected in (
        ({"credentials": {"existingSecret": "all"}}, {"all": ["app.provisioner.password"]}),
        (
            {"accounts": {"A": {**users, "provisioner": {"existingSecret": "own"}}}},
            {"own": ["A.provisioner.password"]},
        ),
        (
            {
                "accounts": {
                    "A": {**users, "provisioner": {"nkey": ANOTHER, "seedSecret": {"name": "seed", "key": "nk"}}}
                }
            },
            {"seed": ["nk"]},
        ),
    ):
        release = rendered(laid(clean(), said), helm=helm)
        account = arguments(release)[-1]
        mine = [each for each in rights(release, account) if each == "$KV.service_registry.>"]

        assert (expected, 1) == (sources(cleaner(release), "natsmith"), len(mine))


@EVERY_HELM
def test_it_trusts_the_server_s_certificate_and_shows_its_own(helm: Path) -> None:
    """As the Job does, where the server asks for one."""
    release = rendered(laid(clean(), {"nats": {"tls": {"existingSecret": "tls", "verifyClients": True}}}), helm=helm)
    said = yaml.safe_load(release.one("ConfigMap", "-desired")["data"]["registry-clean.yaml"])

    assert ["ca.crt", "tls.crt", "tls.key"] == sources(cleaner(release), "natsmith")["tls"]
    assert ("tls/ca.crt", "tls/tls.crt", "tls/tls.key") == tuple(said[key] for key in ("tlsCA", "tlsCert", "tlsKey"))


@EVERY_HELM
def test_a_server_of_someone_else_is_reached_as_the_job_reaches_it(helm: Path) -> None:
    """With its Secret, address and certificates; or without a login."""
    said = {"existingSecret": "login", "tls": {"existingSecret": "ca", "clientCertificate": True}}
    release = rendered(laid(laid(EXTERNAL, clean()), {"provisioner": {"connection": said}}), helm=helm)
    [container] = cleaner(release)["containers"]
    opened = rendered(laid(EXTERNAL, clean()), helm=helm)

    assert sources(job(release), "natsmith") == sources(cleaner(release), "natsmith")
    assert job(release)["containers"][0]["args"][-8:] == arguments(release)[-8:]
    assert [{"name": "NATSMITH_CONNECTIONS", "value": "/etc/natsmith/connections.yaml"}] == container["env"]
    assert {} == sources(cleaner(opened), "natsmith")


@EVERY_HELM
def test_runs_neither_meet_nor_pile_up(helm: Path) -> None:
    """One at a time, each with an end; a failed one is not repeated but followed by the next."""
    spec = rendered(clean(schedule="0 3 * * *", deadlineSeconds=90), helm=helm).all("CronJob")[0]["spec"]

    runs_on_a_clock(spec, "0 3 * * *", seconds=90)


@EVERY_HELM
def test_a_dry_run_is_one(helm: Path) -> None:
    """Who wants to look first says so."""
    assert "--dry-run" in arguments(rendered(clean(dryRun=True), helm=helm))


@EVERY_HELM
def test_it_gets_what_the_job_gets_unless_it_is_told(helm: Path) -> None:
    """Resources of its own replace those of the Job."""
    own = {"requests": {"cpu": "7m"}}
    [theirs], [container], [other] = (
        each["containers"]
        for each in (
            job(rendered(clean(), helm=helm)),
            cleaner(rendered(clean(), helm=helm)),
            cleaner(rendered(clean(resources=own), helm=helm)),
        )
    )

    assert (theirs["resources"], own) == (container["resources"], other["resources"])


@EVERY_HELM
def test_its_pods_are_let_in(helm: Path) -> None:
    """A NetworkPolicy that names the clients lets those of the release in, by labels that this pod has."""
    release = rendered(EVERYTHING, helm=helm)
    policy = release.one("NetworkPolicy", "-natsmith")["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"]
    labels = release.one("CronJob", "-registry-clean")["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]

    assert policy.items() <= labels.items()


@EVERY_HELM
def test_its_service_account_is_there_without_a_job(helm: Path) -> None:
    """Also where nobody provisions, tests or looks."""
    values = laid(clean(), {"provisioner": {"mode": "none"}, "tests": {"enabled": False}})

    assert rendered(values, helm=helm).one("ServiceAccount", "-provisioner")


@EVERY_HELM
def test_a_bucket_that_somebody_else_makes_is_cleaned_too(helm: Path) -> None:
    """Where nobody provisions, the values need not have it."""
    values = laid(clean(bucket="theirs"), {"provisioner": {"mode": "none"}})

    assert "theirs" in arguments(rendered(values, helm=helm))


@EVERY_HELM
def test_cleaning_gives_the_provisioner_rights_that_a_job_has_loaded(helm: Path) -> None:
    """No server restarts because somebody cleans: another Job runs, which has the servers load the rights."""
    mode = {"provisioner": {"mode": "job"}}
    releases = [rendered(laid(mode, values), helm=helm) for values in (REGISTRY, clean())]

    assert 2 == len({each.one("Job")["metadata"]["name"] for each in releases})
    assert 1 == len({str(each.one("StatefulSet")) for each in releases})


REFUSED: list[tuple[Values, str, str]] = [
    (clean(schedule=""), "registry.clean.schedule is empty", "write it as minute, hour, day, month and weekday"),
    (clean(schedule="  "), "registry.clean.schedule is empty", "write it as minute, hour, day, month and weekday"),
    (clean(account="B"), "registry.clean.account is B, but the accounts are app", "add it under accounts"),
    (laid(clean(), TWO), "registry.clean.account is empty", "set registry.clean.account to one of A, B"),
    (
        clean(bucket="other"),
        "registry.clean.bucket is other, but buckets has none of that name",
        "add buckets.other: {profile: serviceRegistry}, or name one of service_registry",
    ),
    (
        laid(clean(), {"buckets": {"service_registry": None}}),
        "registry.clean.bucket is service_registry, but buckets has none",
        "add buckets.service_registry: {profile: serviceRegistry};",
    ),
    (
        laid(clean(account="A"), {**TWO, "buckets": {"service_registry": {"account": "B"}}}),
        "registry.clean.bucket is service_registry, which is in account B, and not in A",
        "set registry.clean.account to B",
    ),
    (clean(bucket=""), 'registry.clean.bucket is "", which cannot be the name', "such as service_registry"),
    (
        laid(clean(bucket=">"), {"provisioner": {"mode": "none"}}),
        'registry.clean.bucket is ">", which cannot be the name',
        "such as service_registry",
    ),
]


@EVERY_HELM
@pytest.mark.parametrize(("values", "problem", "cure"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_work_is_refused_with_the_cure(values: Values, problem: str, cure: str, helm: Path) -> None:
    """A CronJob that could only fail is not installed."""
    refused_with_cure(values, problem, cure, helm)


@EVERY_HELM
def test_what_is_not_enabled_is_not_looked_at(helm: Path) -> None:
    """Settings of a CronJob that is not there are nobody's trouble."""
    assert rendered({"registry": {"clean": {"schedule": "", "bucket": "", "account": "X"}}}, helm=helm).manifests


@EVERY_HELM
def test_the_notes_say_how_to_clean_at_once(tmp_path: Path, helm: Path) -> None:
    """The command makes a Job of the CronJob; a dry run is called one."""
    with serving(tmp_path) as cluster:
        told, dry = (notes(cluster, helm, clean(dryRun=each)) for each in (False, True))

    line = "kubectl create job -n messaging --from=cronjob/dev-natsmith-registry-clean clean-now"
    assert f"\n  {line}\n" in told
    assert "dryRun" not in told
    assert "registry.clean.dryRun is true" in dry
