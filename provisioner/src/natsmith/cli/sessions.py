"""Which accounts a run serves, and the connection to each."""

from __future__ import annotations

import argparse
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from natsmith.adapters import connections
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import JetStream, connect
from natsmith.errors import DecisionNeeded, WrongValues
from natsmith.log import Log

UNNAMED = "app"
"""What an account is called in values that name none."""

CONNECTION_FLAGS = (
    *("--server", "--user", "--password-file", "--creds", "--nkey", "--tls-ca", "--tls-cert", "--tls-key"),
    *("--inbox-prefix", "--context", "--connections"),
)


def accounts(args: argparse.Namespace, named: tuple[str, ...]) -> tuple[str, ...]:
    """Return the accounts that this run serves."""
    have = tuple(connections.from_file(Path(args.connections))) if args.connections else ()
    known = named or have or ("app",)
    if args.account:
        if named and args.account not in named:
            raise WrongValues(f"--account is {args.account}, but the accounts of the values are {', '.join(named)}")
        return (args.account,)
    missing = [account for account in known if have and account not in have]
    if missing:
        raise DecisionNeeded(
            f"--connections names no connection for {', '.join(missing)}: add it there, or pick an account with --account"
        )
    if len(known) > 1 and not have:
        raise WrongValues(
            f"the values have several accounts ({', '.join(known)}), but one connection serves one: "
            "pick one with --account, or name each one's connection in a file with --connections"
        )
    return known


def connection(args: argparse.Namespace, account: str) -> Connection:
    """Return how to connect to one account."""
    if args.connections:
        known = connections.from_file(Path(args.connections))
        if account not in known:
            raise WrongValues(f"--account is {account}, but {args.connections} names only {', '.join(known)}")
        return known[account]
    return connections.from_environment(os.environ, args, home=connections.home_directory())


@asynccontextmanager
async def server(args: argparse.Namespace, account: str, log: Log) -> AsyncIterator[JetStream]:
    """Connect to one account for a block."""
    async with await connect(connection(args, account), timeout=args.timeout, log=log) as connected:
        await _right_account(connected, account)
        yield connected


async def _right_account(server: JetStream, account: str) -> None:
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
