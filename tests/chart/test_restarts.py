"""What restarts the servers, what the Job has them load instead, and what is neither."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chart import Rendered
from releases import EVERY_HELM, EVERYTHING, EXTERNAL, NKEY, Values, laid, refused, rendered
from test_settings import conf, nats
from test_settings_provisioner import job

USERS: Values = {"accounts": {"A": {"users": {"u": {"password": "p"}, "v": {}}}}, "buckets": {"b": {}}}


def merged(**more: object) -> Values:
    """Return values with something laid over nats.conf."""
    return nats(config={"merge": more})


def account(**more: object) -> Values:
    """Return values that change the account."""
    return {"accounts": {"A": more}}


NOTHING: list[Values] = [
    {},
    {"buckets": {"b": {"ttlSeconds": 60}}},
    {"provisioner": {"image": {"tag": "other"}}},
    {"drift": {"enabled": True}},
    {"toolbox": {"enabled": True}},
    nats(pdb={"enabled": False}),
    nats(networkPolicy={"enabled": False}),
    nats(service={"type": "LoadBalancer"}),
]
"""What is no matter of the servers."""

LOADED: list[Values] = [
    account(users={"new": {}}),
    account(users={"new": {"nkey": NKEY}}),
    account(users={"new": {"password": "p"}}),
    account(users={"v": None}),
    account(users={"u": {"password": "q"}}),
    account(users={"v": {"permissions": {"publish": {"allow": ["x"]}}}}),
    account(jetstream={"storage": "64Mi"}),
    account(provisioner={"password": "p"}),
    {"accounts": {"B": {"users": {"b": {}}}}, "buckets": {"b": {"account": "A"}}},
    {"monitor": {"enabled": True}},
    {"registry": {"clean": {"enabled": True, "bucket": "b"}}},
    nats(systemUser={"name": "root"}),
    nats(systemUser={"password": "p"}),
    merged(accounts={"A": {"mappings": {"a": "b"}}}),
]
"""What servers load while they run."""

RESTARTS: list[Values] = [
    merged(max_payload=2097152),
    merged(server_tags=["az:1"]),
    merged(debug=True),
    merged(jetstream={"max_outstanding_catchup": "32MB"}),
    merged(websocket={"port": 8080, "no_tls": True}),
    merged(mqtt={"port": 1883}),
    merged(leafnodes={"port": 7422}),
    nats(jetstream={"memory": "2Gi"}),
    nats(jetstream={"domain": "leaf"}),
    nats(lameDuckSeconds=60),
    nats(tls={"existingSecret": "tls"}),
    nats(replicas=3),
    nats(extraPorts={"x": {"port": 7422}}),
    nats(image={"tag": "other"}),
    nats(resources={"limits": {"memory": "1Gi"}}),
    nats(podAnnotations={"x": "y"}),
    account(users={"new": {"existingSecret": "other"}}),
    nats(reloader={"password": "p"}),
    nats(reloader={"nkey": NKEY, "seedSecret": {"name": "seed"}}),
]
"""What they cannot, or what is not known to be safe."""


def pods(release: Rendered) -> str:
    """Return the servers' pods: another one is a restart."""
    return json.dumps(release.one("StatefulSet")["spec"]["template"], sort_keys=True)


def arguments(release: Rendered) -> list[str]:
    """Return what the Job is started with."""
    said: list[str] = job(release)["containers"][0]["args"]
    return said


def tag(release: Rendered) -> str:
    """Return what the Job waits for."""
    said = arguments(release)
    return said[said.index("--reload-expect") + 1]


def changed(overlay: Values, *, mode: str = "hook") -> tuple[bool, bool]:
    """Return whether an overlay restarts the servers, and whether the Job then waits for something else."""
    base = laid(USERS, {"provisioner": {"mode": mode}})
    before, after = rendered(base), rendered(laid(base, overlay))
    return pods(before) != pods(after), tag(before) != tag(after)


@pytest.mark.parametrize("overlay", NOTHING, ids=json.dumps)
def test_what_is_no_matter_of_the_servers_leaves_them_alone(overlay: Values) -> None:
    """Neither a restart nor a reload."""
    assert (False, False) == changed(overlay)


@pytest.mark.parametrize("overlay", LOADED, ids=json.dumps)
def test_accounts_and_users_are_loaded_without_a_restart(overlay: Values) -> None:
    """The pods stay as they are, and the Job waits for another configuration."""
    assert (False, True) == changed(overlay)


@pytest.mark.parametrize("overlay", RESTARTS, ids=json.dumps)
def test_all_else_restarts(overlay: Values) -> None:
    """Other pods."""
    assert changed(overlay)[0]


@EVERY_HELM
def test_the_job_waits_for_what_the_servers_say(helm: Path) -> None:
    """Nats.conf has the same tag, and as many servers are asked as there are."""
    release = rendered(nats(replicas=3), helm=helm)
    said = arguments(release)

    assert [tag(release)] == conf(release)["server_tags"]
    assert "3" == said[said.index("--reload-servers") + 1]
    assert "120" == said[said.index("--reload-within") + 1], "two thirds of the 180 s that all attempts have"


@EVERY_HELM
def test_a_second_rendering_waits_for_the_same(helm: Path) -> None:
    """Generated passwords, which differ, are no other configuration."""
    assert tag(rendered(USERS, helm=helm)) == tag(rendered(USERS, helm=helm, again=1))


@pytest.mark.parametrize(("given", "expected"), [(["az:1"], ["az:1"]), ("az:1", ["az:1"]), ([], []), (None, [])])
@pytest.mark.parametrize("key", ["server_tags", "Server_Tags"])
def test_tags_of_ones_own_stay(key: str, given: object, expected: list[str]) -> None:
    """Placement needs them; ours comes after them."""
    release = rendered(merged(**{key: given}))
    [found] = [value for name, value in conf(release).items() if name.lower() == "server_tags"]

    assert [*expected, tag(release)] == found


def test_a_plain_password_is_tied_to_its_file() -> None:
    """Nats.conf includes a file whose name changes with it: who has one of the two cannot load it alone."""
    one, other = (rendered(laid(USERS, account(users={"u": {"password": each}}))) for each in ("p", "q"))
    [first], [second] = ([key for key in each.secret_files if key.startswith("plain-")] for each in (one, other))

    assert first != second
    assert first == conf(one)["include"]
    assert "include" not in conf(rendered())


@pytest.mark.parametrize("overlay", LOADED, ids=json.dumps)
def test_without_a_job_everything_restarts(overlay: Values) -> None:
    """Nobody would ask the servers to load it."""
    base = laid(USERS, {"provisioner": {"mode": "none"}})

    assert pods(rendered(base)) != pods(rendered(laid(base, overlay)))


def test_a_server_of_someone_else_is_asked_nothing() -> None:
    """There is no such user there."""
    release = rendered(EXTERNAL)

    assert not [each for each in arguments(release) if each.startswith("--reload")]
    assert "reloader.yaml" not in release.one("ConfigMap", "-desired")["data"]


@EVERY_HELM
@pytest.mark.parametrize(
    ("values", "why", "cure"),
    [
        (nats(systemUser={"name": "reloader"}), "nats.systemUser.name is reloader", "under nats.reloader"),
        (nats(reloader={"nkey": NKEY}), "the Job cannot log in without its seed", "nats.reloader.seedSecret: {name"),
        (nats(reloader={"nkey": NKEY, "password": "p"}), "nats.reloader has password and nkey", "keep one"),
        (merged(accounts={"$SYS": {"exports": []}}), "accounts.$SYS.exports is how the servers", "remove it"),
        (merged(accounts={"_natsmith": {"imports": []}}), "accounts._natsmith.imports is how the servers", "remove it"),
        ({"accounts": {"A": {"users": {"reloader-SYS": {}}}}}, "reloader-SYS, which nats.reloader has", "unique"),
    ],
)
def test_its_user_is_one_of_its_own(values: Values, why: str, cure: str, helm: Path) -> None:
    """Each mistake is told with its cure."""
    said = refused(values, helm)

    assert why in said
    assert cure in said


def test_everything_at_once_has_one_user_for_reloads() -> None:
    """It may ask and have servers reload, and hears only its answers."""
    accounts = conf(rendered(EVERYTHING))["accounts"]
    [found] = accounts["_natsmith"]["users"]
    questions = [each["service"] for each in accounts["$SYS"]["exports"]]

    assert {"allow": ["$SYS.REQ.SERVER.PING", "$SYS.REQ.SERVER.*.RELOAD"]} == found["permissions"]["publish"]
    assert {"allow": ["_INBOX_natsmith.>"]} == found["permissions"]["subscribe"]
    assert found["permissions"]["publish"]["allow"] == questions
    assert [{"account": "$SYS", "subject": each} for each in questions] == [
        each["service"] for each in accounts["_natsmith"]["imports"]
    ]
    assert {("_natsmith",)} == {tuple(each["accounts"]) for each in accounts["$SYS"]["exports"]}
