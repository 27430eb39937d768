"""The verb that makes passwords: for whom, of what kind, and what is said when there is nothing to make."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from natsmith.cli import main
from natsmith.errors import Exit

NAME = ("--name", "users")


def printed(capsys: pytest.CaptureFixture[str], tmp_path: Path, values: Any, *words: str) -> dict[str, str]:
    """Return the files in the Secret that is printed for *values*."""
    assert Exit.DONE == run(tmp_path, values, *NAME, *words)
    output = capsys.readouterr()
    assert "" == output.err
    manifest = yaml.safe_load(output.out)
    assert ("v1", "Secret", "Opaque") == (manifest["apiVersion"], manifest["kind"], manifest["type"])
    files: dict[str, str] = manifest["stringData"]
    return files


def refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, values: Any, *words: str) -> list[str]:
    """Return what is said instead of a Secret."""
    assert Exit.WRONG_VALUES == run(tmp_path, values, *words)
    output = capsys.readouterr()
    assert "" == output.out
    return [each.removeprefix("error: ") for each in output.err.splitlines()]


def run(tmp_path: Path, values: Any, *words: str) -> int:
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    return main(["credentials", "-f", str(file), *words])


def test_every_user_gets_a_password_of_their_own(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    files = printed(capsys, tmp_path, {"accounts": {"APP": {"users": {"a": {}, "b": {"nkey": "U"}}}}})

    users = ["_SYS.sys", "_SYS.reloader", "APP.provisioner", "APP.a"]
    assert [f"{user}.{kind}" for user in users for kind in ("conf", "password")] == [*files]
    passwords = {files[f"{user}.password"] for user in users}
    assert 4 == len(passwords)
    assert all(re.fullmatch(r"[A-Za-z0-9]{32}", each) for each in passwords)
    assert f'password: "{files["APP.a.password"]}"\n' == files["APP.a.conf"]


def test_no_two_runs_make_the_same_password(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert printed(capsys, tmp_path, {}) != printed(capsys, tmp_path, {})


def test_the_name_and_the_place_are_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert Exit.DONE == run(tmp_path, {}, "--name", "users.demo", "--namespace", "default")

    assert {"name": "users.demo", "namespace": "default"} == yaml.safe_load(capsys.readouterr().out)["metadata"]


@pytest.mark.parametrize(
    ("values", "words", "fullname", "count"),
    [
        ({"nats": {"replicas": 5}}, ("--release", "demo"), "demo-natsmith", 5),
        ({"nats": {"replicas": 3}}, ("--fullname", "parent-bus"), "parent-bus", 3),
        ({"nats": {"replicas": 3}, "fullnameOverride": "bus"}, (), "bus", 3),
        ({}, ("--release", "demo", "--only", "routes"), "demo-natsmith", 1),
    ],
    ids=str,
)
def test_servers_speak_to_each_other_by_one_password(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, values: Any, words: tuple[str, ...], fullname: str, count: int
) -> None:
    text = printed(capsys, tmp_path, values, *words)["routes.conf"]

    routes = re.findall(r'"nats-route://routes:(.{32})@(.*?)"', text)
    assert [f"{fullname}-{number}.{fullname}-headless:6222" for number in range(count)] == [host for _, host in routes]
    (password,) = {each for each, _ in routes}
    assert f'authorization: {{user: "routes", password: "{password}"}}' in text


def test_only_some_are_printed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """One user is renewed without the others, also where there are several servers."""
    files = printed(capsys, tmp_path, {"nats": {"replicas": 3}}, "--only", "_SYS.sys", "--only", "app.provisioner")

    assert {"_SYS.sys.conf", "_SYS.sys.password", "app.provisioner.conf", "app.provisioner.password"} == {*files}


def test_the_next_generation_has_keys_of_its_own(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Laid over the Secret that is there, it takes nothing away."""
    values = {"credentials": {"generation": 2, "overlap": True}, "nats": {"replicas": 3}}
    files = printed(capsys, tmp_path, values, "--only", "users")

    users = ("_SYS.sys", "_SYS.reloader", "app.provisioner", "app.app")
    assert {f"{user}.2.{kind}" for user in users for kind in ("conf", "password")} == {*files}
    assert f'password: "{files["app.app.2.password"]}"\n' == files["app.app.2.conf"]


def test_who_has_a_secret_of_their_own_gets_files_for_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    values = {"accounts": {"A": {"users": {"a": {"existingSecret": "users", "generation": 2}, "b": {}}}}}
    files = printed(capsys, tmp_path, values, "--only", "A.a")

    assert {"A.a.2.conf", "A.a.2.password"} == {*files}


SETTLED = {
    "nats": {"systemUser": {"nkey": "U"}, "reloader": {"nkey": "U"}},
    "accounts": {"A": {"users": {"a": {"password": "x"}}, "provisioner": {"existingSecret": "s"}}},
}


@pytest.mark.parametrize(
    ("values", "words", "problem"),
    [
        (
            {},
            (),
            "natsmith credentials needs --name, what the Secret is called: "
            "the same as credentials.existingSecret in the values",
        ),
        (
            {"nats": {"replicas": 3}},
            NAME,
            "nats.replicas is 3, and routes hold the names of the servers: give --release, as helm install gets it, "
            "or --fullname for a chart under an alias; or leave them out with --only ACCOUNT.USER",
        ),
        (
            {},
            (*NAME, "--only", "routes"),
            "--only says routes, and routes hold the names of the servers: give --release, as helm install gets it, "
            "or --fullname for a chart under an alias; or leave them out with --only ACCOUNT.USER",
        ),
        (
            SETTLED,
            NAME,
            "there is nothing to print: the values settle every user "
            "(nats.systemUser.nkey, nats.reloader.nkey, accounts.A.provisioner.existingSecret, accounts.A.users.a.password). "
            "Take nkey, password or existingSecret out where a password shall be made",
        ),
        (
            SETTLED,
            (*NAME, "--only", "A.a"),
            "--only is A.a, but accounts.A.users.a.password settles it: take that out of the values first",
        ),
        (
            SETTLED,
            (*NAME, "--only", "A.provisioner"),
            "--only is A.provisioner, but accounts.A.provisioner.existingSecret settles it: "
            "take that out of the values first, or say --name s",
        ),
        (
            {},
            (*NAME, "--only", "app.ap"),
            "--only is app.ap, but there are _SYS.sys, _SYS.reloader, app.provisioner, app.app, routes",
        ),
        (
            {},
            ("--name", "My_Users"),
            "--name is 'My_Users', which is not a name in Kubernetes: use small letters, digits and -, at most 253",
        ),
        (
            {},
            (*NAME, "--release", "a.b"),
            "--release is 'a.b', which is not a name in Kubernetes: use small letters, digits and -, at most 53",
        ),
        (
            {},
            (*NAME, "--release", "a", "--fullname", "b"),
            "--release and --fullname both say what the servers are called: remove one",
        ),
        ({"accounts": []}, NAME, "accounts is a list, but must be a map"),
    ],
)
def test_a_mistake_is_told_with_its_cure(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, values: Any, words: tuple[str, ...], problem: str
) -> None:
    assert [problem] == refused(capsys, tmp_path, values, *words)


def test_on_a_terminal_it_is_told_where_passwords_belong(tmp_path: Path) -> None:
    """They stay on the screen, and in what it remembers."""
    file = tmp_path / "values.yaml"
    file.write_text("accounts: {}")
    ours, terminal = os.openpty()
    words = [str(Path(sys.executable).parent / "natsmith"), "credentials", "-f", str(file), *NAME]
    done = subprocess.run(words, stdout=terminal, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(terminal)
    shown = os.read(ours, 2**16).decode()
    os.close(ours)

    assert (0, "kind: Secret") == (done.returncode, shown.splitlines()[1])
    assert done.stderr.startswith("warning: the passwords are on this screen now")
    assert "| kubectl apply -f -" in done.stderr
    assert "| kubeseal" in done.stderr
