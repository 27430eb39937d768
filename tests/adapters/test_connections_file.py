"""The connections file: what it holds, what flags say over it, and how its mistakes are told."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from natsmith.adapters.connections import Connection, overrides
from natsmith.adapters.connections_file import from_file
from natsmith.errors import WrongValues


def wrong_file(tmp_path: Path, text: str, **above: str) -> list[str]:
    file = tmp_path / "connections.yaml"
    file.write_text(text)
    with pytest.raises(WrongValues) as caught:
        from_file(file, above)
    return [each.replace(f"{file}: ", "") for each in caught.value.problems]


def test_a_file_names_the_connection_of_each_account(tmp_path: Path) -> None:
    (tmp_path / "app-password").write_text("secret")
    file = tmp_path / "connections.yaml"
    file.write_text("""
server: nats://demo:4222
tlsCA: tls/ca.crt
accounts:
  APP: {user: provisioner, passwordFile: app-password, inboxPrefix: _INBOX_provisioner}
  BILLING: {server: tls://other:4222, nkey: /etc/seed, tlsCA: null, tlsName: nats.infra}
  OLD: {creds: old.creds, tlsCert: c.pem, tlsKey: k.pem}
""")
    ca = f"{tmp_path}/tls/ca.crt"
    expected = {
        "APP": Connection(
            server="nats://demo:4222",
            user="provisioner",
            password="secret",
            tls_ca=ca,
            inbox_prefix="_INBOX_provisioner",
        ),
        "BILLING": Connection(server="tls://other:4222", nkey="/etc/seed", tls_ca=ca, tls_name="nats.infra"),
        "OLD": Connection(
            server="nats://demo:4222",
            creds=f"{tmp_path}/old.creds",
            tls_ca=ca,
            tls_cert=f"{tmp_path}/c.pem",
            tls_key=f"{tmp_path}/k.pem",
        ),
    }
    assert expected == from_file(file)


def test_the_file_may_be_json_and_hold_a_user_in_its_address(tmp_path: Path) -> None:
    file = tmp_path / "connections.json"
    file.write_text('{"accounts": {"A": {"server": "nats://u:p@host"}}}')

    assert {"A": Connection(server="nats://host", user="u", password="p")} == from_file(file)


def test_every_mistake_of_the_file_is_named_at_once(tmp_path: Path) -> None:
    text = """
sever: nats://demo
user: u
accounts:
  A: {server: nats://a, usr: u, password: 12345}
  B: {server: nats://b, user: u}
  C: {user: u, password: p}
  D: {server: nats://d, creds: x, nkey: z}
  E: 3
  F: {server: nats://f, password: a, passwordFile: b, user: u}
  G: {server: nats://g, user: u, passwordFile: no-such-file}
  H: {server: "http://h", token: yes}
  I: {server: nats://i, user: "", tlsKey: k}
  on: {server: nats://j}
"""
    expected = [
        "sever is not a key that natsmith knows: did you mean server?",
        "user is not a key that natsmith knows: did you mean server?",
        "accounts.A.usr is not a key that natsmith knows: did you mean user?",
        "accounts.A.password is not text: put it in quotes",
        "accounts.B has a user, but no password or passwordFile: add it",
        "accounts.C has no server: write server: nats://host:4222 there, or at the top for all accounts, or give --server",
        "accounts.D says several ways to log in (creds, nkey), but one is needed: remove the others",
        "accounts.E must be a map of server, user, password, passwordFile, token, creds, nkey, tlsCA, tlsCert, tlsKey, tlsName, inboxPrefix",
        "accounts.F.password and passwordFile are both there: remove one",
        f"accounts.F.passwordFile: {tmp_path}/b does not exist: check its name and the directory you are in",
        f"accounts.G.passwordFile: {tmp_path}/no-such-file does not exist: check its name and the directory you are in",
        "accounts.H.token is not text: put it in quotes",
        "accounts.H: the server is not an address: write it as nats://host:4222, several with commas between them, "
        "and percent-encode what is special in a user or password",
        "accounts.I.user is empty: fill it in, or remove it",
        "accounts.on has a name that YAML readers take for different things: put it in quotes",
    ]
    assert expected == wrong_file(tmp_path, text)


@pytest.mark.parametrize("text", ["", "accounts: {}", "accounts: [A]", "server: nats://x"])
def test_a_file_without_accounts_is_refused(tmp_path: Path, text: str) -> None:
    assert ["accounts must be a map from each account's name to its connection"] == wrong_file(tmp_path, text)


def test_an_error_of_the_file_never_shows_a_password(tmp_path: Path) -> None:
    for text in (
        "accounts: {A: {server: nats://a, password: hunter2}}",
        "accounts: {A: {server: 'nats://u:hunter2@', password: [hunter2], token: {hunter2: 1}}}",
        "accounts: {A: {password: hunter2",
        "accounts: {A: {server: nats://a, user: hunter2, password: hunter2, token: hunter2}}",
    ):
        assert "hunter2" not in "\n".join(wrong_file(tmp_path, text)).replace("user: hunter2", "")


# Flags over it


def test_flags_say_where_every_account_is(tmp_path: Path) -> None:
    """The file need not hold a server then, and who connects stays what it says."""
    file = tmp_path / "connections.yaml"
    file.write_text("""
accounts:
  A: {user: u, password: p, inboxPrefix: _INBOX_u}
  B: {server: "nats://x:y@other:4222", tlsCA: other.crt}
""")
    flags = Namespace(server="tls://flag:4222", tls_ca="~/ca.crt", tls_cert="", tls_key="", inbox_prefix="_INBOX_flag")
    rest = {"server": "tls://flag:4222", "tls_ca": f"{tmp_path}/ca.crt", "inbox_prefix": "_INBOX_flag"}

    assert {
        "A": Connection(user="u", password="p", **rest),
        "B": Connection(user="x", password="y", **rest),
    } == from_file(file, overrides(flags, home=tmp_path))


def test_a_file_under_flags_is_checked_as_if_there_were_none(tmp_path: Path) -> None:
    text = "accounts: {A: {server: 'http://a', usr: u}, B: {user: u}}"

    assert [
        "accounts.A.usr is not a key that natsmith knows: did you mean user?",
        "accounts.A: the server is not an address: write it as nats://host:4222, several with commas between them, "
        "and percent-encode what is special in a user or password",
        "accounts.B has a user, but no password or passwordFile: add it",
    ] == wrong_file(tmp_path, text, server="nats://flag:4222")


@pytest.mark.parametrize(
    ("server", "problem"),
    [
        ("nats://u:hunter2@host", "--server holds a user, but the connections file says who connects"),
        ("http://u:hunter2@host", "the flags: the server is not an address"),
    ],
)
def test_an_address_over_the_file_says_only_where(tmp_path: Path, server: str, problem: str) -> None:
    with pytest.raises(WrongValues, match=problem) as caught:
        overrides(Namespace(server=server), home=tmp_path)
    assert "hunter2" not in str(caught.value)


def test_a_key_over_the_file_needs_its_certificate(tmp_path: Path) -> None:
    assert ["accounts.A has a tlsKey, but no tlsCert: add it"] == wrong_file(
        tmp_path, "accounts: {A: {server: nats://a}}", tls_key="k"
    )
