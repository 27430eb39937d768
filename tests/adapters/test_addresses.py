"""Addresses of servers: users inside them, and what is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.contexts import connection, refused
from natsmith.adapters.connections import Connection


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("nats://u:p@host:4222", Connection(server="nats://host:4222", user="u", password="p")),
        ("nats://t%40@host", Connection(server="nats://host", token="t@")),
        ("u:p%2F@host:4222", Connection(server="nats://host:4222", user="u", password="p/")),
        ("tls://u:p@a,tls://u:p@b", Connection(server="tls://a,tls://b", user="u", password="p")),
        ("nats://u:@host", Connection(server="nats://host", user="u")),
        ("wss://host/path", Connection(server="wss://host/path")),
        ("nats://[::1]:4222", Connection(server="nats://[::1]:4222")),
        ("host", Connection(server="nats://host")),
    ],
)
def test_a_user_inside_an_address_becomes_a_setting(tmp_path: Path, url: str, expected: Connection) -> None:
    assert expected == connection(tmp_path, {"NATS_URL": url})
    assert expected == connection(tmp_path, server=url)


def test_a_user_beside_an_address_wins_over_the_one_inside(tmp_path: Path) -> None:
    made = connection(tmp_path, {"NATS_URL": "nats://a:b@host", "NATS_USER": "u", "NATS_PASSWORD": "p"})

    assert Connection(server="nats://host", user="u", password="p") == made


@pytest.mark.parametrize(
    "url", ["http://host", "nats://", "nats://u:hunter2@", "nats://h:hunter2", "nats://hunter2,", "a b"]
)
def test_what_is_no_address_is_refused_without_being_shown(tmp_path: Path, url: str) -> None:
    problem = refused(tmp_path, {"NATS_URL": url})

    assert problem.startswith("the environment: the server is not an address: write it as nats://host:4222")
    assert "hunter2" not in problem


def test_different_users_inside_addresses_are_refused(tmp_path: Path) -> None:
    assert "the servers' addresses name different users" in refused(tmp_path, server="nats://a:b@x,nats://c:d@y")


def test_a_password_is_never_shown() -> None:
    made = Connection(
        server="nats://u:hunter2/x@host:4222,nats://hunter2@b", user="u", password="hunter2", token="hunter2"
    )

    assert "nats://host:4222,nats://b" == made.shown
    assert "hunter2" not in repr(Connection(user="u", password="hunter2", token="hunter2"))
