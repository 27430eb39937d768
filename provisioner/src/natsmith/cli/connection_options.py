"""How a verb is told which server to connect to, and as whom."""

from __future__ import annotations

import argparse

VISIBLE = "since every user sees a command line"


def connection_of(verb: argparse.ArgumentParser) -> None:
    """Let *verb* be told how to connect."""
    connection = verb.add_argument_group("connection, by default from the environment")
    for flag, metavar, meaning in (
        ("--server", "URL", "address, such as nats://127.0.0.1:4222"),
        ("--user", "NAME", "user name"),
        (
            "--password-file",
            "FILE",
            f"file with the password; there is no flag for the password, {VISIBLE}",
        ),
        ("--creds", "FILE", "credentials file"),
        ("--nkey", "FILE", "file with an nkey's seed"),
        ("--tls-ca", "FILE", "certificates to trust"),
        ("--tls-cert", "FILE", "our certificate"),
        ("--tls-key", "FILE", "its key"),
        ("--inbox-prefix", "PREFIX", "what the subjects of answers begin with"),
        ("--context", "NAME", "context of the nats CLI"),
        ("--connections", "FILE", "file that names the connection of each account (NATSMITH_CONNECTIONS)"),
    ):
        connection.add_argument(flag, default="", metavar=metavar, help=meaning)
