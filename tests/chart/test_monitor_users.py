"""As whom the monitor logs in, and what that user may do and read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from chart import Rendered
from monitored import container, monitor, watching
from releases import EVERY_HELM, NKEY, Values, laid, rendered
from test_settings import conf, sources

TWO: Values = {"accounts": {"A": {"users": {"u": {}}}, "B": {"users": {"v": {}}}}}

LOOKING = (
    *("$JS.API.INFO", "$JS.API.STREAM.LIST", "$JS.API.STREAM.INFO.*", "$JS.API.CONSUMER.LIST.*"),
    "$SYS.REQ.USER.INFO",
)
"""What tells how things are, and nothing of what messages hold."""


def rights(release: Rendered, account: str = "app") -> dict[str, list[str]]:
    """Return what the monitor of an account may publish on and subscribe to."""
    users = conf(release)["accounts"][account]["users"]
    [found] = [each["permissions"] for each in users if each.get("user") == f"monitor-{account}"]
    return {key: found[key]["allow"] for key in ("publish", "subscribe")}


def read(release: Rendered, account: str = "app") -> list[str]:
    """Return the streams of which the monitor of an account may read messages one by one."""
    prefix = "$JS.API.STREAM.MSG.GET."
    return [each.removeprefix(prefix) for each in rights(release, account)["publish"] if each.startswith(prefix)]


@EVERY_HELM
def test_it_logs_in_as_users_of_its_own(helm: Path) -> None:
    """One of each account; it sees the passwords of these, and of nobody else."""
    release = rendered(laid(TWO, monitor()), helm=helm)
    said = yaml.safe_load(release.one("ConfigMap", "-desired")["data"]["monitor.yaml"])

    assert [{"name": "NATSMITH_CONNECTIONS", "value": "/etc/natsmith/monitor.yaml"}] == container(release)["env"]
    assert {"A": "monitor-A", "B": "monitor-B"} == {name: each["user"] for name, each in said["accounts"].items()}
    assert {"dev-natsmith-credentials": ["A.monitor.password", "B.monitor.password"]} == sources(
        watching(release)["spec"], "natsmith"
    )


@EVERY_HELM
def test_its_users_may_be_given_as_others_are(helm: Path) -> None:
    """An nkey with its seed, a Secret, a plain password."""
    values = laid(
        monitor(),
        {
            "accounts": {
                "A": {"users": {"u": {}}, "monitor": {"nkey": NKEY, "seedSecret": {"name": "seed", "key": "nk"}}},
                "B": {"users": {"v": {}}, "monitor": {"existingSecret": "theirs"}},
                "C": {"users": {"w": {}}, "monitor": {"password": "plain"}},
            }
        },
    )
    release = rendered(values, helm=helm)

    assert {
        "seed": ["nk"],
        "theirs": ["B.monitor.password"],
        "dev-natsmith-credentials": ["C.monitor.password"],
    } == sources(watching(release)["spec"], "natsmith")
    assert "plain" == release.secret_files["C.monitor.password"]


@EVERY_HELM
def test_no_password_is_among_its_arguments(helm: Path) -> None:
    """Who lists processes sees arguments: they name files only."""
    values = laid(monitor(), {"accounts": {"A": {"users": {"u": {}}, "monitor": {"password": "marked-password"}}}})
    release = rendered(values, helm=helm)

    assert [] == [each for each in release.manifests if each["kind"] != "Secret" and "marked-password" in str(each)]


@EVERY_HELM
def test_its_users_look_and_write_nothing(helm: Path) -> None:
    """Each right asks, or hears what is in the two buckets that it follows; none of them is to write."""
    release = rendered(monitor(), helm=helm)
    following = [
        f"{each}.KV_{bucket}.{rest}"
        for bucket in ("service_registry", "elections")
        for each, rest in (("$JS.API.CONSUMER.CREATE", "*"), ("$JS.API.CONSUMER.DELETE", "*"), ("$JS.FC", ">"))
    ]

    assert sorted([*LOOKING, "$JS.API.STREAM.MSG.GET.KV_natsmith_state", *following]) == sorted(
        rights(release)["publish"]
    )
    assert [
        "_INBOX_natsmith.>",
        "$JS.EVENT.ADVISORY.STREAM.>",
        "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>",
        "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>",
    ] == rights(release)["subscribe"]


def stream(**consumer: Any) -> Values:
    """Return values of a stream with a consumer."""
    return {"streams": {"S": {"subjects": ["s.>"], "consumers": {"w": consumer}}}}


@EVERY_HELM
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, []),
        ({"deadLetter": {}}, ["S_w_dead"]),
        ({"deadLetter": {"maxAgeSeconds": 60}}, ["S_w_dead"]),
        ({"deadLetter": {"stream": "DEAD"}}, ["DEAD"]),
    ],
)
def test_it_reads_dead_letters_and_no_messages(given: Values, expected: list[str], helm: Path) -> None:
    """Dead letters name messages, and do not hold them; they are where the provisioner puts them."""
    release = rendered(laid(monitor(), stream(**given)), helm=helm)

    assert sorted([*expected, "KV_natsmith_state"]) == sorted(read(release))


@EVERY_HELM
def test_it_reads_dead_letters_of_its_account_alone(helm: Path) -> None:
    """What another account calls its stream is no right in this one."""
    release = rendered(laid(laid(TWO, monitor()), laid(stream(deadLetter={}), {"streams": {"S": {"account": "A"}}})))

    assert (["KV_natsmith_state", "S_w_dead"], ["KV_natsmith_state"]) == (read(release, "A"), read(release, "B"))


@EVERY_HELM
def test_values_are_shown_on_demand_only(helm: Path) -> None:
    """One setting makes both: the flag, and the right without which the flag shows nothing."""
    shy, open_ = (rendered(monitor(showValues=each), helm=helm) for each in (False, True))

    assert ("--show-values" in container(shy)["args"], read(shy)) == (False, ["KV_natsmith_state"])
    assert ("--show-values" in container(open_)["args"], read(open_)) == (True, ["*"])
