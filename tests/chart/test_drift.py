"""The CronJob that finds or heals what differs from the values: as whom, by which policy, and when it cannot work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chart import Manifest, Rendered
from memory_cluster import serving
from releases import (
    EVERY_HELM,
    EVERYTHING,
    EXTERNAL,
    Values,
    laid,
    refused,
    refused_with_cure,
    rendered,
    runs_on_a_clock,
)
from test_notes import notes
from test_settings import conf, sources, with_reloader
from test_settings_provisioner import job

TWO: Values = {"accounts": {"A": {"users": {"u": {}}}, "B": {"users": {"v": {}}}}}
DESIRED = "/etc/natsmith/desired.yaml"


def drift(**settings: Any) -> Values:
    """Return values of a release that is compared on a clock, with *settings* of that."""
    return {"drift": {"enabled": True, **settings}}


def runner(release: Rendered) -> Manifest:
    """Return the spec of the CronJob's pod."""
    found: Manifest = release.one("CronJob", "-drift")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return found


def arguments(release: Rendered) -> list[str]:
    """Return what natsmith is told."""
    [container] = runner(release)["containers"]
    return list(container["args"])


def flag(words: list[str], name: str) -> list[str]:
    """Return what is said with a flag, each time."""
    return [words[place + 1] for place, word in enumerate(words) if word == name]


@EVERY_HELM
def test_nobody_compares_unasked(helm: Path) -> None:
    """Without a word there is no CronJob."""
    assert [] == rendered(helm=helm).all("CronJob")


@EVERY_HELM
def test_it_reports_unless_it_is_told_to_heal(helm: Path) -> None:
    """To compare changes nothing, and its exit code says what it found."""
    assert ["plan", "--check", "-f", DESIRED, "--timeout", "105"] == arguments(rendered(drift(), helm=helm))


@EVERY_HELM
def test_it_heals_as_the_job_does_and_begins_nothing_that_it_cannot_end(helm: Path) -> None:
    """What it waits for and what it does are over before Kubernetes ends it."""
    words = arguments(rendered(drift(mode="heal", deadlineSeconds=90), helm=helm))

    assert ["apply", "-f", DESIRED] == words[:3]
    assert (["30"], ["60"]) == (flag(words, "--timeout"), flag(words, "--within"))


@EVERY_HELM
@pytest.mark.parametrize(("loss", "expected"), [("expire", "expire"), ("refuse", "refuse"), ("allow", "expire")])
def test_no_clock_consents_to_a_loss(loss: str, expected: str, helm: Path) -> None:
    """Neither by a consent that is left in the values, nor since the values allow everything."""
    values = laid(drift(mode="heal"), {"provisioner": {"loss": loss, "consent": {"ORDERS": "c-123456"}}})

    said = flag(arguments(rendered(values, helm=helm)), "--set")
    assert ["provisioner.consent=null", f"provisioner.loss={expected}"] == said


@EVERY_HELM
@pytest.mark.parametrize("mode", ["report", "heal"])
def test_it_is_the_job_s_user_with_its_image_and_files(mode: str, helm: Path) -> None:
    """In every account, and without a right more than it has anyway."""
    release = rendered(laid(TWO, drift(mode=mode)), helm=helm)
    [mine], [theirs] = (each["containers"] for each in (runner(release), job(release)))

    assert ["A.provisioner.password", "B.provisioner.password"] == sources(runner(release), "natsmith")[
        "dev-natsmith-credentials"
    ]
    assert sources(job(release), "natsmith") == with_reloader(sources(runner(release), "natsmith"))
    for key in ("image", "imagePullPolicy", "env", "resources", "securityContext", "volumeMounts"):
        assert theirs[key] == mine[key]
    assert job(release)["serviceAccountName"] == runner(release)["serviceAccountName"]
    assert conf(release) == conf(rendered(TWO, helm=helm))


@EVERY_HELM
def test_a_server_of_someone_else_is_reached_as_the_job_reaches_it(helm: Path) -> None:
    """With its Secret, address and certificates."""
    said = {"existingSecret": "login", "tls": {"existingSecret": "ca", "clientCertificate": True}}
    release = rendered(laid(laid(EXTERNAL, drift()), {"provisioner": {"connection": said}}), helm=helm)

    assert sources(job(release), "natsmith") == sources(runner(release), "natsmith")
    assert job(release)["containers"][0]["args"][-8:] == arguments(release)[-8:]


@EVERY_HELM
def test_runs_neither_meet_nor_pile_up(helm: Path) -> None:
    """One at a time, each with an end; a failed one is not repeated but followed by the next."""
    spec = rendered(drift(schedule="0 3 * * *", deadlineSeconds=90), helm=helm).one("CronJob", "-drift")["spec"]

    runs_on_a_clock(spec, "0 3 * * *", seconds=90)


@EVERY_HELM
def test_it_gets_what_the_job_gets_unless_it_is_told(helm: Path) -> None:
    """Resources of its own replace those of the Job."""
    own = {"requests": {"cpu": "7m"}}
    [container] = runner(rendered(drift(resources=own), helm=helm))["containers"]

    assert own == container["resources"]


@EVERY_HELM
def test_its_pods_are_let_in(helm: Path) -> None:
    """A NetworkPolicy that names the clients lets those of the release in, by labels that this pod has."""
    release = rendered(EVERYTHING, helm=helm)
    policy = release.one("NetworkPolicy", "-natsmith")["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"]
    labels = release.one("CronJob", "-drift")["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]

    assert policy.items() <= labels.items()


@EVERY_HELM
def test_it_is_found_apart_from_the_job(helm: Path) -> None:
    """What asks how the last upgrade ended finds no run of the clock."""
    release = rendered(drift(), helm=helm)
    component = "app.kubernetes.io/component"
    labels = release.one("CronJob", "-drift")["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]

    assert "drift" == labels[component] != release.one("Job")["spec"]["template"]["metadata"]["labels"][component]


@EVERY_HELM
def test_who_provisions_by_hand_can_be_told_what_differs(helm: Path) -> None:
    """With mode none there is no Job, and its service account is there all the same."""
    values = laid(drift(), {"provisioner": {"mode": "none"}, "tests": {"enabled": False}})

    assert rendered(values, helm=helm).one("ServiceAccount", "-provisioner")


@EVERY_HELM
def test_comparing_is_no_other_work_for_the_provisioner(helm: Path) -> None:
    """No new Job runs because somebody compares."""
    mode = {"provisioner": {"mode": "job"}}
    names = {rendered(laid(mode, values), helm=helm).one("Job")["metadata"]["name"] for values in ({}, drift())}

    assert 1 == len(names)


REFUSED: list[tuple[Values, str, str]] = [
    (drift(schedule=""), "drift.schedule is empty", "write it as minute, hour, day, month and weekday"),
    (drift(schedule="  "), "drift.schedule is empty", "or set drift.enabled to false"),
    (
        laid(drift(mode="heal"), {"provisioner": {"mode": "none"}}),
        "drift.mode is heal, but provisioner.mode is none",
        "set drift.mode to report, or provisioner.mode to hook or job",
    ),
]


@EVERY_HELM
@pytest.mark.parametrize(("values", "problem", "cure"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_work_is_refused_with_the_cure(values: Values, problem: str, cure: str, helm: Path) -> None:
    """A CronJob that could only fail, or that contradicts the rest, is not installed."""
    refused_with_cure(values, problem, cure, helm)


@EVERY_HELM
@pytest.mark.parametrize(
    ("settings", "key"),
    [({"mode": "mend"}, "drift.mode"), ({"deadlineSeconds": 59}, "drift.deadlineSeconds"), ({"mod": "x"}, "mod")],
)
def test_a_slip_is_named(settings: dict[str, Any], key: str, helm: Path) -> None:
    """The schema knows the two modes, how short a run can be, and every key."""
    assert key in refused(drift(**settings), helm)


@EVERY_HELM
def test_what_is_not_enabled_is_not_looked_at(helm: Path) -> None:
    """Settings of a CronJob that is not there are nobody's trouble."""
    values = {"drift": {"schedule": "", "mode": "heal"}, "provisioner": {"mode": "none"}}

    assert rendered(values, helm=helm).manifests


@EVERY_HELM
def test_the_notes_say_how_to_look_at_once(tmp_path: Path, helm: Path) -> None:
    """The command makes a Job of the CronJob, and what that does is said."""
    with serving(tmp_path) as cluster:
        report, heal = (notes(cluster, helm, drift(mode=each)) for each in ("report", "heal"))

    line = "\n  kubectl create job -n messaging --from=cronjob/dev-natsmith-drift drift-now\n"
    assert f'See what differs from the values now; a CronJob does it at "*/15 * * * *":\n{line}' in report
    assert f'Restore what differs from the values now; a CronJob does it at "*/15 * * * *":\n{line}' in heal
