"""The Secret of credentials: what Kubernetes, nats-server and a client read in it."""

from __future__ import annotations

import yaml

from natsmith.views.secret import routes_file, secret, user_files


def test_a_secret_is_read_as_it_was_meant() -> None:
    files = {**user_files("APP.app", "pass"), **user_files("_SYS.sys", 'a"b\\c\nd\té')}

    manifest = yaml.safe_load(secret(files, name="users", namespace="default"))

    assert {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "users", "namespace": "default"},
        "type": "Opaque",
        "stringData": {
            "APP.app.conf": 'password: "pass"\n',
            "APP.app.password": "pass",
            "_SYS.sys.conf": 'password: "a\\"b\\\\c\\nd\\té"\n',
            "_SYS.sys.password": 'a"b\\c\nd\té',
        },
    } == manifest


def test_a_namespace_is_left_to_kubectl() -> None:
    assert {"name": "no"} == yaml.safe_load(secret({"a": "b"}, name="no"))["metadata"]


def test_routes_name_every_server() -> None:
    assert {
        "routes.conf": 'authorization: {user: "routes", password: "p"}\n'
        "routes: [\n"
        '  "nats-route://routes:p@demo-0.demo-headless:6222",\n'
        '  "nats-route://routes:p@demo-1.demo-headless:6222"\n'
        "]\n"
    } == routes_file("demo", 2, "p")
