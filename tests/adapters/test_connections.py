"""Where natsmith connects and as whom: flags, variables, contexts of the nats CLI, and the Job's file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.contexts import connection, refused, write_context
from natsmith.adapters.connecting import user_of
from natsmith.adapters.connections import DEFAULT_SERVER, Connection, home_directory

# Where from


def test_without_any_word_it_is_the_server_on_this_machine(tmp_path: Path) -> None:
    assert Connection(server=DEFAULT_SERVER) == connection(tmp_path)


def test_every_variable_of_the_cli_is_read(tmp_path: Path) -> None:
    environ = {
        "NATS_URL": "tls://a:4222, b:4222",
        "NATS_USER": "u",
        "NATS_PASSWORD": "p",
        "NATS_CA": "~/ca.pem",
        "NATS_CERT": "/c.pem",
        "NATS_KEY": "k.pem",
    }
    expected = Connection(
        server="tls://a:4222,nats://b:4222",
        user="u",
        password="p",
        tls_ca=f"{tmp_path}/ca.pem",
        tls_cert="/c.pem",
        tls_key="k.pem",
    )
    assert expected == connection(tmp_path, environ)


@pytest.mark.parametrize(("name", "field"), [("NATS_CREDS", "creds"), ("NATS_NKEY", "nkey"), ("NATS_TOKEN", "token")])
def test_each_other_way_in_has_its_variable(tmp_path: Path, name: str, field: str) -> None:
    assert "x" == getattr(connection(tmp_path, {name: "x"}), field)


def test_every_key_of_a_context_is_read(tmp_path: Path) -> None:
    context = {
        "description": "ignored",
        "url": "nats://c:4222",
        "user": "u",
        "password": "p",
        "token": "",
        "creds": "",
        "ca": "$CERTS/ca.pem",
        "cert": "~/c.pem",
        "key": "file:///k.pem",
        "inbox_prefix": "_INBOX_u",
        "color_scheme": "ignored",
        "tls_first": False,
    }
    expected = Connection(
        server="nats://c:4222",
        user="u",
        password="p",
        tls_ca="/certs/ca.pem",
        tls_cert=f"{tmp_path}/c.pem",
        tls_key="/k.pem",
        inbox_prefix="_INBOX_u",
    )
    assert expected == connection(tmp_path, {"CERTS": "/certs"}, selected=context)


def test_flags_win_over_the_environment_and_that_over_the_context(tmp_path: Path) -> None:
    context = {"url": "nats://context", "ca": "/context", "inbox_prefix": "context"}
    environ = {"NATS_URL": "nats://environment", "NATS_CA": "/environment"}

    made = connection(tmp_path, environ, selected=context, server="nats://flag")

    assert ("nats://flag", "/environment", "context") == (made.server, made.tls_ca, made.inbox_prefix)


def test_a_context_is_picked_by_flag_then_variable_then_selection(tmp_path: Path) -> None:
    for name in ("flag", "variable", "selected"):
        write_context(tmp_path / ".config", name, {"url": f"nats://{name}"})

    assert "nats://selected" == connection(tmp_path).server
    assert "nats://variable" == connection(tmp_path, {"NATS_CONTEXT": "variable"}).server
    assert "nats://flag" == connection(tmp_path, {"NATS_CONTEXT": "variable"}, context="flag").server


def test_contexts_live_where_xdg_says(tmp_path: Path) -> None:
    write_context(tmp_path / "xdg", "main", {"url": "nats://xdg"})

    assert "nats://xdg" == connection(tmp_path, {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}).server


def test_a_context_can_be_named_by_its_file(tmp_path: Path) -> None:
    file = tmp_path / "some.json"
    file.write_text('{"url": "nats://file"}')

    assert "nats://file" == connection(tmp_path, {"NATS_CONTEXT": str(file)}).server


# As whom


def test_a_way_in_of_a_higher_place_replaces_those_below(tmp_path: Path) -> None:
    """Credentials on the command line are never mixed with the user of a context."""
    context = {"url": "nats://c", "user": "u", "password": "p"}

    assert Connection(server="nats://c", creds="/x.creds") == connection(tmp_path, selected=context, creds="/x.creds")
    assert Connection(server="nats://c", token="t") == connection(tmp_path, {"NATS_TOKEN": "t"}, selected=context)


def test_user_and_password_may_come_from_different_places(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")

    made = connection(tmp_path, {"NATS_USER": "u"}, password_file="~/password")

    assert ("u", "secret") == (made.user, made.password)


def test_the_password_of_another_user_is_not_taken(tmp_path: Path) -> None:
    made = connection(tmp_path, selected={"user": "alice", "password": "p"}, user="bob")

    assert ("", "", "bob") == (made.user, made.password, made.token)


def test_a_user_without_a_password_is_a_token_as_in_the_cli(tmp_path: Path) -> None:
    assert Connection(token="t", token_from="NATS_USER") == connection(tmp_path, {"NATS_USER": "t"})
    assert Connection(user="u") == connection(tmp_path, selected={"user": "u"})


def test_who_forgot_the_password_reads_that_the_user_is_a_token(tmp_path: Path) -> None:
    """The name itself may be a token, so it is not shown."""
    taken = "taken as a token because there is no password (set NATS_PASSWORD or --password-file)"
    assert f"the user in NATS_USER, {taken}" == user_of(connection(tmp_path, {"NATS_USER": "hunter2"}))
    assert f"the user in --user, {taken}" == user_of(connection(tmp_path, user="hunter2"))
    assert "the holder of the token" == user_of(connection(tmp_path, {"NATS_TOKEN": "hunter2"}))


def test_several_ways_in_at_one_place_are_refused(tmp_path: Path) -> None:
    expected = "the environment says several ways to log in (user, creds), but one is needed: remove the others"
    assert expected == refused(tmp_path, {"NATS_USER": "u", "NATS_CREDS": "c"})


def test_a_password_without_a_user_is_refused(tmp_path: Path) -> None:
    assert "there is a password, but no user: give --user, or set NATS_USER" == refused(
        tmp_path, {"NATS_PASSWORD": "p"}
    )


def test_a_key_without_a_certificate_is_refused(tmp_path: Path) -> None:
    assert "there is a key for TLS, but no certificate" in refused(tmp_path, tls_key="/k")


@pytest.mark.parametrize(
    ("content", "expected"),
    [(None, "does not exist"), (b"\n", "is empty, but must hold a password"), (b"\xff", "is not UTF-8 text")],
)
def test_a_password_file_that_holds_none_is_refused(tmp_path: Path, content: bytes | None, expected: str) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)

    assert expected in refused(tmp_path, user="u", password_file=str(file))


# Without a home directory


def test_who_has_no_home_directory_connects_by_the_environment() -> None:
    """A container may run as a user that its system does not know."""
    assert Connection(server="nats://a") == connection(None, {"NATS_URL": "nats://a"})


def test_who_has_no_home_directory_has_no_contexts_but_where_xdg_says(tmp_path: Path) -> None:
    write_context(tmp_path, "main", {"url": "nats://xdg"})

    assert "nats://xdg" == connection(None, {"XDG_CONFIG_HOME": str(tmp_path)}).server
    assert "--context or NATS_CONTEXT says 'main', but this user has no home directory" in refused(None, context="main")


def test_a_path_from_home_needs_a_home_directory() -> None:
    assert "~/x: this user has no home directory: set HOME, or write the path in full" == refused(None, creds="~/x")


def test_the_home_directory_is_where_contexts_are_looked_for() -> None:
    assert home_directory() == Path("~").expanduser()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become a user without a home directory")
def test_a_user_without_a_home_directory_has_none() -> None:
    """As in a container that runs with a uid of its own."""
    script = (
        "import os; from natsmith.adapters.connections import home_directory; "
        "os.environ.pop('HOME', None); os.setuid(54321); print(home_directory())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ("None\n", "") == (done.stdout, done.stderr)
