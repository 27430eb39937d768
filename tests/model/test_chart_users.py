"""Which users of the chart's values wait for a password, and what its servers are called."""

from __future__ import annotations

from typing import Any

import pytest

from natsmith.model.chart_users import chart_users
from natsmith.model.reading import read
from natsmith.model.units import Ambiguous


def test_the_default_account_waits_whole() -> None:
    assert ("_SYS.sys", "_SYS.reloader", "app.provisioner", "app.app") == chart_users({}).waiting


def test_who_says_anything_does_not_wait() -> None:
    users = chart_users(
        {
            "nats": {"systemUser": {"name": "root", "nkey": "U1"}},
            "accounts": {
                "APP": {
                    "provisioner": {"existingSecret": "p"},
                    "users": {"a": {}, "b": {"password": "x"}, "c": {"nkey": "U2", "seedSecret": {"name": "s"}}},
                },
                "B": {"users": {"d": {"password": "", "existingSecret": "", "permissions": {"publish": ["x"]}}}},
            },
        }
    )

    assert ("_SYS.reloader", "APP.a", "B.provisioner", "B.d") == users.waiting
    assert {
        "_SYS.root": "nats.systemUser.nkey",
        "APP.provisioner": "accounts.APP.provisioner.existingSecret",
        "APP.b": "accounts.APP.users.b.password",
        "APP.c": "accounts.APP.users.c.nkey",
    } == users.settled


def test_a_generation_is_what_all_and_the_user_say_together() -> None:
    """The next generation has files of its own, so that nobody's password before is written over."""
    users = chart_users(
        {
            "credentials": {"generation": 2},
            "nats": {"systemUser": {"generation": 1}},
            "accounts": {"A": {"users": {"u": {"generation": 3}, "v": {"generation": None}}}},
        }
    )

    assert ["_SYS.sys.2", "_SYS.reloader.2", "A.provisioner.2", "A.u.4", "A.v.2"] == [
        users.files(key) for key in users.waiting
    ]
    assert "app.app" == chart_users({}).files("app.app")


@pytest.mark.parametrize(
    ("values", "needed"),
    [
        ({}, False),
        ({"nats": {"replicas": 3}}, True),
        ({"nats": {"replicas": 3, "cluster": {"existingSecret": "r"}}}, False),
    ],
    ids=str,
)
def test_several_servers_need_routes(values: dict[str, Any], needed: bool) -> None:
    assert needed == chart_users(values).needs_routes


@pytest.mark.parametrize(
    ("values", "release", "expected"),
    [
        ({}, "demo", "demo-natsmith"),
        ({}, "natsmith", "natsmith"),
        ({"nameOverride": "queue"}, "demo", "demo-queue"),
        ({"fullnameOverride": "bus"}, "demo", "bus"),
        ({}, "a" * 42, "a" * 42 + "-natsmith"),
        # The hash is sha256's of the whole name.
        ({}, "a" * 43, "a" * 43 + "-n-8cc05"),
        ({}, "a" * 44, "a" * 44 + "-fa612"),
    ],
    ids=str,
)
def test_servers_are_called_as_the_chart_calls_them(values: dict[str, Any], release: str, expected: str) -> None:
    assert expected == chart_users(values).servers(release)


def test_every_mistake_is_named_at_once() -> None:
    users = chart_users(
        {
            "nats": {"replicas": "3", "systemUser": []},
            "accounts": {"A.B": {}, "C": {"users": {Ambiguous("no"): {}, "u": 3, "x y": {}}}},
            "nameOverride": 3,
            "credentials": {"generation": 0},
        }
    )

    assert [
        "credentials.generation is 0, but must be a whole number, 1 or more",
        "nats.systemUser is a list, but must be a map",
        "accounts.A.B: 'A.B' is not the name of an account: "
        "use letters, digits, - and _, and begin with a letter or a digit",
        "accounts.C.users.no is called the bare word no, which YAML readers take for different things: put it in quotes",
        "accounts.C.users.u is 3, but must be a map",
        "accounts.C.users.x y: 'x y' is not the name of a user: "
        "use letters, digits, - and _, and begin with a letter or a digit",
        "nats.replicas is '3', but must be a number of servers such as 1 or 3",
        "nameOverride is 3, but must be text: put it in quotes",
    ] == list(users.problems)


def test_without_a_server_of_the_chart_there_are_no_users() -> None:
    (problem,) = chart_users({"nats": {"enabled": False}}).problems
    assert problem.startswith("nats.enabled is false, so the chart installs no server that could have users: set ")


def test_what_the_chart_reads_is_none_of_our_business_elsewhere() -> None:
    """A values file of the chart is a values file of natsmith."""
    _, problems = read(
        {
            "nameOverride": "",
            "fullnameOverride": "",
            "global": {"imageRegistry": ""},
            "enabled": True,
            "commonLabels": {},
            "imagePullSecrets": [],
            "nats": {"enabled": True, "replicas": 3, "systemUser": {"name": "sys"}},
            "credentials": {"existingSecret": "", "generation": 2, "overlap": True},
            "toolbox": {"enabled": True},
            "accounts": {
                "APP": {
                    "jetstream": {"memory": "", "streams": None},
                    "users": {"app": {"permissions": {"publish": ["x"]}}},
                    "provisioner": {"nkey": "U", "seedSecret": {"name": "s", "key": "k"}},
                },
                "EMPTY": None,
            },
            "provisioner": {
                "mode": "hook",
                "image": {"repository": "r", "tag": ""},
                "connection": {"server": "", "tls": {"existingSecret": ""}},
                "deadlineSeconds": 240,
                "backoffLimit": 2,
                "resources": {},
                "podLabels": {},
                "podAnnotations": {},
                "nodeSelector": {},
                "tolerations": [],
                "loss": "expire",
            },
        }
    )
    assert [] == problems
