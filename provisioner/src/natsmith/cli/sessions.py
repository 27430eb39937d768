"""Which accounts a run serves, and the connection to each."""

from __future__ import annotations

import argparse
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from natsmith.adapters import connections
from natsmith.adapters.application import NatsApplication, connect_application
from natsmith.adapters.connections import Connection
from natsmith.adapters.connections_file import from_file
from natsmith.adapters.jetstream import JetStream, connect
from natsmith.errors import DecisionNeeded, WrongValues
from natsmith.log import Log

UNNAMED = "app"
"""What an account is called in values that name none."""

CONNECTION_FLAGS = (
    *("--server", "--user", "--password-file", "--creds", "--nkey", "--tls-ca", "--tls-cert", "--tls-key"),
    *("--inbox-prefix", "--context", "--connections"),
)


VARIABLE = "NATSMITH_CONNECTIONS"
WHO = ("user", "creds", "nkey", "context", "password_file")
"""The flags that say who connects, as a connections file does."""


def accounts(args: argparse.Namespace, named: tuple[str, ...]) -> tuple[str, ...]:
    """Return the accounts that this run serves."""
    have = tuple(_named(args))
    known = named or have or ("app",)
    if args.account:
        if named and args.account not in named:
            raise WrongValues(f"--account is {args.account}, but the accounts of the values are {', '.join(named)}")
        return (args.account,)
    missing = [account for account in known if have and account not in have]
    if missing:
        raise DecisionNeeded(
            f"{_file(args)[1]} names no connection for {', '.join(missing)}: "
            "add it there, or pick an account with --account"
        )
    if len(known) > 1 and not have:
        raise WrongValues(
            f"the values have several accounts ({', '.join(known)}), but one connection serves one: "
            "pick one with --account, or name each one's connection in a file with --connections"
        )
    return known


def applications(args: argparse.Namespace, named: tuple[str, ...]) -> dict[str, Connection]:
    """Return how the applications of ``--as`` connect, by account."""
    if not args.applications:
        return {}
    # The server is the same one, but what a user may subscribe to is that user's own.
    above = {name: value for name, value in _overrides(args).items() if name != "inbox_prefix"}
    found = from_file(Path(args.applications), above)
    strange = [account for account in found if account not in named]
    if strange:
        raise WrongValues(
            f"--as {args.applications} names users of {', '.join(strange)}, but the accounts of the values are "
            f"{', '.join(named)}: remove them there, or add the accounts to the values"
        )
    return found


def connection(args: argparse.Namespace, account: str) -> Connection:
    """Return how to connect to one account."""
    known = _named(args)
    if known and account not in known:
        raise WrongValues(f"--account is {account}, but {_file(args)[0]} names only {', '.join(known)}")
    if known:
        return known[account]
    return connections.from_environment(os.environ, args, home=connections.home_directory())


def _file(args: argparse.Namespace) -> tuple[str, str]:
    """Return the connections file and what names it; nothing where flags or the environment say who connects."""
    who = [f"--{name.replace('_', '-')}" for name in WHO if getattr(args, name)]
    if args.connections and who:
        raise WrongValues(f"--connections and {', '.join(who)} all say who connects: remove one or the other")
    if args.connections:
        return args.connections, "--connections"
    return ("", "") if who else (os.environ.get(VARIABLE, ""), VARIABLE)


def _named(args: argparse.Namespace) -> dict[str, Connection]:
    """Return the connections that a file names, by account."""
    file, _ = _file(args)
    return from_file(Path(file), _overrides(args)) if file else {}


def _overrides(args: argparse.Namespace) -> dict[str, str]:
    return connections.overrides(args, home=connections.home_directory())


@asynccontextmanager
async def server(args: argparse.Namespace, account: str, log: Log) -> AsyncIterator[JetStream]:
    """Connect to one account for a block."""
    async with await connect(connection(args, account), timeout=args.timeout, log=log) as connected:
        await _right_account(connected, account)
        yield connected


@asynccontextmanager
async def application(
    args: argparse.Namespace, connection: Connection, account: str, log: Log
) -> AsyncIterator[NatsApplication]:
    """Connect to one account as an application for a block."""
    async with await connect_application(connection, timeout=args.timeout, log=log) as connected:
        await _right_account(connected, account)
        yield connected


async def _right_account(server: JetStream | NatsApplication, account: str) -> None:
    """Raise DecisionNeeded where the user belongs to another account than the values mean.

    A server without accounts, and one whose accounts are public keys, cannot tell; nor can a user that may not ask.
    """
    theirs = await server.user_account()
    if account != UNNAMED and theirs not in {"", account, "$G"} and not (len(theirs) == 56 and theirs.startswith("A")):
        raise DecisionNeeded(
            f"the values are for account {account}, but the user that connects belongs to {theirs}: "
            f"connect as a user of {account}, or pick the account that is meant with --account"
        )


def connection_words(args: argparse.Namespace) -> list[str]:
    """Return the connection flags that were given; an address is left out if it holds a user."""
    words = []
    for flag in CONNECTION_FLAGS:
        value = getattr(args, flag[2:].replace("-", "_"))
        if value:
            # An address may hold a user and a password, and a user without a password is a token.
            token = flag == "--user" and not (args.password_file or os.environ.get("NATS_PASSWORD"))
            secret = "@" in value or token
            words += [flag, "…" if secret else value]
    return words
