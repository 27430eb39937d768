"""What is wrong with the values is said before anything is installed: which key, and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from releases import EVERY_HELM, NKEY, Values, refused, refused_with_cure, rendered

USERS: Values = {"users": {"u": {}}}


def account(**settings: Any) -> Values:
    """Return values with one account A, with *settings* and the user u."""
    return {"accounts": {"A": {**USERS, **settings}}}


def user(**settings: Any) -> Values:
    """Return values with one account A, whose only user u has *settings*."""
    return {"accounts": {"A": {"users": {"u": settings}}}}


def tls(**settings: Any) -> Values:
    """Return values with *settings* of the server's certificate."""
    return {"nats": {"tls": settings}}


def connection(**settings: Any) -> Values:
    """Return values with *settings* of the connection to a server."""
    return {"provisioner": {"connection": settings}}


TWO: Values = {"A": USERS, "B": {"users": {"v": {}}}}

TYPOS: list[tuple[Values, str, str]] = [
    ({"bukets": {}}, "", "bukets"),
    ({"nats": {"replcas": 3}}, "nats", "replcas"),
    ({"nats": {"jetstream": {"storage": {"sizze": "1Gi"}}}}, "nats.jetstream.storage", "sizze"),
    ({"nats": {"tls": {"certManager": {"isuer": "x"}}}}, "nats.tls.certManager", "isuer"),
    (account(jetsream={}), "accounts.A", "jetsream"),
    (account(jetstream={"memry": "1Gi"}), "accounts.A.jetstream", "memry"),
    (user(pasword="p"), "accounts.A.users.u", "pasword"),
    (user(nkey=NKEY, seedSecret={"name": "s", "kee": "x"}), "accounts.A.users.u.seedSecret", "kee"),
    ({"buckets": {"b": {"ttl": 3}}}, "buckets.b", "ttl"),
    ({"streams": {"S": {"subject": ["s"]}}}, "streams.S", "subject"),
    ({"streams": {"S": {"subjects": ["s"], "consumers": {"w": {"acks": 1}}}}}, "streams.S.consumers.w", "acks"),
    ({"objectStores": {"o": {"maxbytes": "1Gi"}}}, "objectStores.o", "maxbytes"),
    ({"provisioner": {"onImutable": "move"}}, "provisioner", "onImutable"),
    ({"toolbox": {"enable": True}}, "toolbox", "enable"),
    ({"tests": {"enable": True}}, "tests", "enable"),
    ({"credentials": {"existing": "s"}}, "credentials", "existing"),
]


@EVERY_HELM
@pytest.mark.parametrize(("values", "path", "key"), TYPOS, ids=[f"{path}.{key}" for _, path, key in TYPOS])
def test_a_key_with_a_typo_is_named_with_where_it_is(values: Values, path: str, key: str, helm: Path) -> None:
    """At every level, a key that nothing reads is a mistake."""
    message = refused(values, helm)

    assert key in message
    assert path in message


VALUES: list[tuple[Values, str]] = [
    ({"buckets": {"b": {"ttlSeconds": "30s"}}}, "buckets.b.ttlSeconds"),
    ({"buckets": {"b": {"ttlSeconds": -1}}}, "buckets.b.ttlSeconds"),
    ({"buckets": {"b": {"profile": "cache"}}}, "buckets.b.profile"),
    ({"nats": {"replicas": 2}}, "nats.replicas"),
    ({"nats": {"jetstream": {"memory": "1GB"}}}, "nats.jetstream.memory"),
    ({"nats": {"jetstream": {"storage": {"size": 5}}}}, "nats.jetstream.storage.size"),
    ({"nats": {"lameDuckSeconds": 10}}, "nats.lameDuckSeconds"),
    ({"nats": {"image": {"digest": "abc"}}}, "nats.image.digest"),
    ({"nats": {"systemUser": {"name": "a b"}}}, "nats.systemUser.name"),
    (user(nkey="SUAX"), "accounts.A.users.u.nkey"),
    (user(generation=0), "accounts.A.users.u.generation"),
    (user(overlap="yes"), "accounts.A.users.u.overlap"),
    ({"credentials": {"generation": 0}}, "credentials.generation"),
    ({"credentials": {"overlap": "yes"}}, "credentials.overlap"),
    (user(nkey=NKEY, seedSecret={}), "accounts.A.users.u.seedSecret"),
    ({"provisioner": {"mode": "controller"}}, "provisioner.mode"),
    ({"provisioner": {"onImmutable": "recreate"}}, "provisioner.onImmutable"),
    ({"provisioner": {"deadlineSeconds": 10}}, "provisioner.deadlineSeconds"),
]


@EVERY_HELM
@pytest.mark.parametrize(("values", "key"), VALUES, ids=[f"{key}-{place}" for place, (_, key) in enumerate(VALUES)])
def test_a_value_that_cannot_be_is_refused_by_its_key(values: Values, key: str, helm: Path) -> None:
    """The schema names the key, however deep."""
    assert key in refused(values, helm)


LETTERS = "use letters, digits, - and _ only"
STREAMS = "leave out spaces, dots, *, > and slashes"
TAKEN = "a login name is unique over all accounts"
CURED: list[tuple[Values, str, str]] = [
    (
        account(users={"u": {"nkey": NKEY}, "v": {"nkey": NKEY}}),
        "accounts.A.users.v.nkey is the one of accounts.A.users.u",
        "make another",
    ),
    (user(nkey="SUAM0SEED"), "accounts.A.users.u.nkey is not the public key of a user", "stays with its client"),
    ({"nats": {"config": {"merge": {"port": 1}}}}, "nats.config.merge.port is what Services", "see nats.service"),
    ({"nats": {"config": {"merge": {"jetstream": {"store_dir": "/x"}}}}}, "store_dir is where the volume is", "remove"),
    ({"nats": {"config": {"merge": {"accounts": "x"}}}}, "nats.config.merge.accounts would take away", "write a map"),
    ({"fullnameOverride": "Bad_Name"}, "would be called Bad_Name", "set fullnameOverride"),
    ({"nameOverride": "a.b"}, "would be called dev-a.b", "set fullnameOverride"),
    (
        {"provisioner": {"deadlineSeconds": 60, "backoffLimit": 3}},
        "provisioner.deadlineSeconds is 60, which leaves no 15 seconds",
        "raise it to 160",
    ),
    (user(password="p", nkey=NKEY), "accounts.A.users.u has password and nkey", "keep one"),
    (user(password="p", existingSecret="s"), "accounts.A.users.u has password and existingSecret", "keep one"),
    ({"nats": {"systemUser": {"password": "p", "nkey": NKEY}}}, "nats.systemUser has", "keep one"),
    (
        user(nkey=NKEY, previousNkey=NKEY),
        "accounts.A.users.u.previousNkey is the one of accounts.A.users.u",
        "make another",
    ),
    (user(nkey=NKEY, previousNkey="SUAM"), "accounts.A.users.u.previousNkey is not the public key of a user", "stays"),
    (user(previousNkey=NKEY), "accounts.A.users.u.previousNkey is what the user had before", "or remove previousNkey"),
    (user(previousPassword="p"), "accounts.A.users.u.previousPassword is what", "or remove previousPassword"),
    (user(nkey=NKEY, generation=2), "accounts.A.users.u has nkey and generation", "as accounts.A.users.u.previousNkey"),
    (user(nkey=NKEY, overlap=False), "accounts.A.users.u has nkey and overlap", "as accounts.A.users.u.previousNkey"),
    (
        user(password="p", generation=3, overlap=True),
        "accounts.A.users.u is at generation 3 with an overlap, but there is no password that u.2 had before",
        "add it as accounts.A.users.u.previousPassword",
    ),
    (
        user(password="p", previousPassword="a\nb", generation=2, overlap=True),
        "accounts.A.users.u.previousPassword has a line break",
        "remove it",
    ),
    (
        user(password="p", previousPassword="$2a$11$x", generation=2, overlap=True),
        "accounts.A.users.u.previousPassword is a bcrypt hash",
        "write that",
    ),
    (
        {"accounts": {"A": USERS, "B": {"users": {"u": {"generation": 2, "overlap": True}}}}},
        "accounts.B.users.u has the login name u,",
        TAKEN,
    ),
    (
        {"accounts": {"A": USERS, "B": USERS}, "credentials": {"generation": 2, "overlap": True}},
        "accounts.B.users.u has the login name u.2,",
        TAKEN,
    ),
    ({"accounts": {"A": {}}}, "accounts.A has no users", "accounts.A.users.a: {}"),
    ({"accounts": {"$SYS": {"jetstream": {}}, "A": USERS}}, "accounts.$SYS", "its user is nats.systemUser"),
    (
        {"nats": {"config": {"merge": {"accounts": {"$SYS": {"jetstream": "enabled"}}}}}},
        "nats.config.merge.accounts.$SYS.jetstream",
        "remove it",
    ),
    ({"buckets": {"b": {"account": "B"}}}, "buckets.b.account is B, but the accounts are app", "add it under accounts"),
    ({"accounts": TWO, "buckets": {"b": {}}}, "buckets.b says no account", "set buckets.b.account to one of A, B"),
    (
        {"accounts": TWO, "streams": {"S": {"subjects": ["s"]}}},
        "streams.S says no account",
        "set streams.S.account to one of A, B",
    ),
    ({"buckets": {"b": {"replicas": 3}}}, "buckets.b.replicas is 3", "set nats.replicas to 3, or lower"),
    ({"buckets": {"b": {"replicas": 5}}}, "buckets.b.replicas is 5", "set nats.replicas to 5, or lower"),
    ({"streams": {"S": {"subjects": ["s"], "replicas": 3}}}, "streams.S.replicas is 3", "set nats.replicas to 3"),
    ({"objectStores": {"o": {"replicas": 3}}}, "objectStores.o.replicas is 3", "set nats.replicas to 3"),
    ({"buckets": {"a.b": {}}}, "buckets.a.b has a name", LETTERS),
    ({"buckets": {"ä": {}}}, "buckets.ä has a name", LETTERS),
    ({"objectStores": {"a b": {}}}, "objectStores.a b has a name", LETTERS),
    ({"streams": {"a.b": {"subjects": ["s"]}}}, "streams.a.b has a name", STREAMS),
    ({"streams": {"S": {"subjects": ["s"], "consumers": {"a>": {}}}}}, "streams.S.consumers.a> has a name", STREAMS),
    ({"accounts": {"A B": USERS}}, "accounts.A B has a name", LETTERS),
    ({"accounts": {"A": {"users": {"_u": {}}}}}, "accounts.A.users._u has a name", LETTERS),
    ({"accounts": {"A": USERS, "B": USERS}}, "accounts.B.users.u has the login name u", TAKEN),
    ({"accounts": {"A": {"users": {"sys": {}}}}}, "accounts.A.users.sys has the login name sys", TAKEN),
    (
        {"accounts": {"A": {"users": {"provisioner-A": {}}}}},
        "accounts.A.users.provisioner-A has the login name provisioner-A",
        TAKEN,
    ),
    (
        {"accounts": {"A": {"users": {"provisioner": {}}}}},
        "accounts.A.users.provisioner has the name",
        "give its credentials under accounts.A.provisioner",
    ),
    (user(password="$2a$11$abcdefghijklmnopqrstuv"), "accounts.A.users.u.password is a bcrypt hash", "existingSecret"),
    (user(password="a\nb"), "accounts.A.users.u.password has a line break", "remove it"),
    (user(seedSecret={"name": "s"}), "accounts.A.users.u.seedSecret", "add the public key as accounts.A.users.u.nkey"),
    (account(provisioner={"nkey": NKEY}), "accounts.A.provisioner.nkey", "accounts.A.provisioner.seedSecret: {name"),
    (connection(server="nats://x:4222"), "provisioner.connection is for a server", "set nats.enabled to false"),
    (connection(existingSecret="s"), "provisioner.connection is for a server", "set nats.enabled to false"),
    ({"nats": {"enabled": False}}, "nats.enabled is false", "set provisioner.connection.server"),
    (connection(tls={"clientCertificate": True}), "provisioner.connection.tls.clientCertificate", "existingSecret"),
    (tls(certManager={"enabled": True}), "nats.tls.certManager.enabled", "nats.tls.certManager.issuer"),
    (
        tls(existingSecret="s", certManager={"enabled": True, "issuer": "i"}),
        "nats.tls has existingSecret and certManager.enabled",
        "empty the first or disable the second",
    ),
    (tls(monitoring=True), "nats.tls.monitoring is true", "nats.tls.existingSecret"),
    (tls(verifyClients=True), "nats.tls.verifyClients is true", "nats.tls.existingSecret"),
    (
        {"streams": {"S": {"subjects": [f"{place}.{'x' * 1000}" for place in range(1000)]}}},
        "bytes together, but a ConfigMap holds 1000000",
        "divide them between two releases",
    ),
    ({"nats": {"config": {"merge": {"server_tags": ["a\u0001b"]}}}}, "nats.config.merge", "remove it"),
]


@EVERY_HELM
@pytest.mark.parametrize(
    ("values", "problem", "cure"), CURED, ids=[f"{problem[:40]}-{place}" for place, (_, problem, _) in enumerate(CURED)]
)
def test_what_cannot_work_is_refused_with_the_cure(values: Values, problem: str, cure: str, helm: Path) -> None:
    """What the schema cannot know is said by the chart, on one line, with what to do."""
    refused_with_cure(values, problem, cure, helm)


@EVERY_HELM
def test_all_mistakes_are_told_at_once(helm: Path) -> None:
    """Nobody has to run Helm once for each mistake."""
    values = {**account(provisioner={"nkey": NKEY}), **tls(monitoring=True), "buckets": {"a.b": {"replicas": 3}}}
    message = refused(values, helm)

    for problem in (
        "accounts.A.provisioner.nkey",
        "nats.tls.monitoring",
        "buckets.a.b has a name",
        "buckets.a.b.replicas",
    ):
        assert problem in message


@EVERY_HELM
def test_all_mistakes_that_the_schema_finds_are_told_at_once(helm: Path) -> None:
    """Three keys are wrong, and three are named."""
    values = {"nats": {"replcas": 3}, "buckets": {"b": {"ttlSeconds": "30s"}}, "provisioner": {"mode": "x"}}
    message = refused(values, helm)

    assert all(key in message for key in ("replcas", "buckets.b.ttlSeconds", "provisioner.mode"))


@EVERY_HELM
@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("nats.replicas=2", "nats.replicas"),
        ("buckets.b.ttlSeconds=30s", "buckets.b.ttlSeconds"),
        ("toolbox.enabled=maybe", "toolbox.enabled"),
        ("provisioner.consent.b=123456", "provisioner.consent.b"),
    ],
)
def test_what_set_says_is_checked_too(setting: str, key: str, helm: Path) -> None:
    """A slip on the command line is found as one in a file is."""
    assert key in refused({}, helm, more=("--set", setting))


@EVERY_HELM
def test_a_release_with_the_longest_name_is_fine(helm: Path) -> None:
    """Helm allows 53 characters, and so does the chart: no name is longer than Kubernetes allows."""
    release = rendered({"nats": {"replicas": 3}}, helm=helm, release="r" * 53)

    assert max(len(each["metadata"]["name"]) for each in release.manifests) <= 63


@EVERY_HELM
def test_what_says_nothing_is_fine(helm: Path) -> None:
    """`sessions:` and `u:` with nothing after them are what their defaults are."""
    values: Values = {"buckets": {"sessions": None}, "accounts": {"A": {"users": {"u": None, "v": {}}}}}

    assert rendered(values, helm=helm).manifests
