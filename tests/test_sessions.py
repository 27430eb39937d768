"""Which connections a command line means: flags, a connections file, or the variable that names one."""

from __future__ import annotations

from pathlib import Path

import pytest

from natsmith.adapters.connections import Connection
from natsmith.cli import sessions
from natsmith.cli.arguments import parse
from natsmith.errors import DecisionNeeded, WrongValues

FILE = "accounts: {A: {user: a, password: p}, B: {user: b, password: q}}"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a connections file of two accounts, and an environment that names another one."""
    for name in ("NATS_URL", "NATS_USER", "NATS_PASSWORD", "NATS_CONTEXT", "NATSMITH_CONNECTIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NATS_URL", "nats://environment:4222")
    path = tmp_path / "connections.yaml"
    path.write_text(f"server: nats://file:4222\n{FILE}")
    return path


def connection(*words: str, account: str = "A") -> Connection:
    return sessions.connection(parse(["status", *words]), account)


def test_the_variable_names_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NATSMITH_CONNECTIONS", str(file))

    assert Connection(server="nats://file:4222", user="b", password="q") == connection(account="B")
    assert ("A", "B") == sessions.accounts(parse(["status"]), ())


def test_the_flag_wins_over_the_variable(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NATSMITH_CONNECTIONS", "/no/such/file")

    assert "a" == connection("--connections", str(file)).user


def test_an_empty_variable_is_none(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NATSMITH_CONNECTIONS", "")

    assert "nats://environment:4222" == connection().server


@pytest.mark.parametrize("flag", ["--user", "--creds", "--nkey"])
def test_a_flag_that_says_who_connects_is_enough(file: Path, monkeypatch: pytest.MonkeyPatch, flag: str) -> None:
    """The file of a toolbox does not stand in the way of another user."""
    monkeypatch.setenv("NATSMITH_CONNECTIONS", "/no/such/file")

    assert "nats://environment:4222" == connection(flag, "x").server
    assert ("app",) == sessions.accounts(parse(["status", flag, "x"]), ())


def test_flags_say_where_every_account_of_the_file_is(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(FILE)
    monkeypatch.setenv("NATSMITH_CONNECTIONS", str(file))
    expected = Connection(server="nats://flag:4222", user="a", password="p", tls_ca="ca.crt", inbox_prefix="_INBOX_x")

    words = ("--server", "nats://flag:4222", "--tls-ca", "ca.crt", "--inbox-prefix", "_INBOX_x")

    assert expected == connection(*words)
    assert expected == connection(*words, "--connections", str(file))


def test_who_connects_is_said_once(file: Path) -> None:
    with pytest.raises(WrongValues) as caught:
        connection("--connections", str(file), "--user", "x", "--password-file", "y")

    assert "--connections and --user, --password-file all say who connects: remove one or the other" == str(
        caught.value
    )


def test_an_account_that_the_file_lacks_is_told_with_what_named_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NATSMITH_CONNECTIONS", str(file))

    with pytest.raises(DecisionNeeded, match="NATSMITH_CONNECTIONS names no connection for C: add it there, or pick"):
        sessions.accounts(parse(["plan", "-f", "x"]), ("A", "C"))


def test_applications_are_where_the_flags_say_but_listen_where_they_may(file: Path) -> None:
    file.write_text("accounts: {A: {user: app, password: p, inboxPrefix: _INBOX_app}}")
    words = [
        "verify",
        "-f",
        "x",
        "--as",
        str(file),
        "--server",
        "nats://flag:4222",
        "--inbox-prefix",
        "_INBOX_natsmith",
    ]

    assert {
        "A": Connection(server="nats://flag:4222", user="app", password="p", inbox_prefix="_INBOX_app")
    } == sessions.applications(parse(words), ("A", "B"))


def test_an_application_of_no_account_of_the_values_is_refused(file: Path) -> None:
    with pytest.raises(WrongValues) as caught:
        sessions.applications(parse(["verify", "-f", "x", "--as", str(file)]), ("A",))

    assert (
        f"--as {file} names users of B, but the accounts of the values are A: "
        "remove them there, or add the accounts to the values"
    ) == str(caught.value)
