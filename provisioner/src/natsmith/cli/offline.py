"""The verbs that need no server."""

from __future__ import annotations

import argparse
import json
import re
import secrets
import string
import sys

from natsmith.adapters import values
from natsmith.errors import Exit, WrongValues
from natsmith.log import Log
from natsmith.model import schema as generated
from natsmith.model.chart_users import ROUTES, USERS, ChartUsers, chart_users
from natsmith.views.secret import routes_file, secret, user_files

PASSWORD_LETTERS = string.ascii_letters + string.digits
PASSWORD_LENGTH = 32
"""190 bits; a password of letters and digits needs no escaping anywhere."""

_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"


def schema(args: argparse.Namespace) -> int:
    """Print what can be written into a values file."""
    print(generated.markdown() if args.markdown else json.dumps(generated.json_schema(), indent=2), end="\n")
    return Exit.DONE


def credentials(args: argparse.Namespace) -> int:
    """Print a Secret with a fresh password for each user of the chart that waits for one."""
    _check_names(args)
    users = chart_users(values.load(args.values, args.sets, stdin=sys.stdin.buffer))
    if users.problems:
        raise WrongValues(*users.problems)
    fullname = args.fullname or (users.servers(args.release) if args.release else users.fullname and users.servers(""))
    chosen = _chosen(users, args.only, args.name)
    if ROUTES in chosen and not fullname:
        why = f"nats.replicas is {users.replicas}, and" if users.replicas > 1 else "--only says routes, and"
        raise WrongValues(
            f"{why} routes hold the names of the servers: give --release, as helm install gets it, "
            "or --fullname for a chart under an alias; or leave them out with --only ACCOUNT.USER"
        )
    files: dict[str, str] = {}
    for key in chosen:
        if key == ROUTES:
            files |= routes_file(fullname, users.replicas, _password())
        else:
            files |= user_files(users.files(key), _password())
    sys.stdout.write(secret(files, name=args.name, namespace=args.namespace))
    if sys.stdout.isatty():
        Log().warn(
            "the passwords are on this screen now, and in what it remembers. Next time send them on: "
            "`natsmith credentials … | kubectl apply -f -`, or `| kubeseal -o yaml > sealed.yaml` for a repository"
        )
    return Exit.DONE


def _check_names(args: argparse.Namespace) -> None:
    """Raise WrongValues for every name that Kubernetes would not take."""
    if not args.name:
        raise WrongValues(
            "natsmith credentials needs --name, what the Secret is called: "
            "the same as credentials.existingSecret in the values"
        )
    problems = [
        f"--{flag} is {given!r}, which is not a name in Kubernetes: use small letters, digits and -, at most {most}"
        for flag, most in (("name", 253), ("namespace", 63), ("release", 53), ("fullname", 51))
        if (given := getattr(args, flag))
        and (len(given) > most or not re.fullmatch(rf"{_LABEL}(\.{_LABEL})*" if flag == "name" else _LABEL, given))
    ]
    if args.release and args.fullname:
        problems.append("--release and --fullname both say what the servers are called: remove one")
    if problems:
        raise WrongValues(*problems)


def _chosen(users: ChartUsers, only: list[str], name: str) -> list[str]:
    """Return whose passwords are printed: of all that wait for one, or of *only* some; *name* is what the Secret is called."""
    waiting = [*users.waiting, *([ROUTES] if not users.routes_settled else [])]
    settled = {**users.settled, **({ROUTES: users.routes_settled} if users.routes_settled else {})}
    own = [key for key in only if users.secrets.get(key) == name]
    problems = []
    for each in only:
        if each in settled and each not in own:
            problems.append(
                f"--only is {each}, but {settled[each]} settles it: take that out of the values first"
                + (f", or say --name {users.secrets[each]}" if each in users.secrets else "")
            )
        elif each not in (*waiting, *own, USERS):
            problems.append(f"--only is {each}, but there are {', '.join([*waiting, *settled])}")
    if problems:
        raise WrongValues(*problems)
    said = {*only, *(users.waiting if USERS in only else ())}
    chosen = [each for each in (*waiting, *own) if (each in said if only else each != ROUTES or users.needs_routes)]
    if not chosen:
        raise WrongValues(
            f"there is nothing to print: the values settle every user ({', '.join(settled.values())}). "
            "Take nkey, password or existingSecret out where a password shall be made"
        )
    return chosen


def _password() -> str:
    return "".join(secrets.choice(PASSWORD_LETTERS) for _ in range(PASSWORD_LENGTH))
