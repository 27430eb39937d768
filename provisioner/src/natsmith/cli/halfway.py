"""A run over several streams and accounts that stops in the middle: what was done is told, then what ended it."""

from __future__ import annotations

import argparse
import asyncio

from natsmith.adapters.server import Refused
from natsmith.cli import screen
from natsmith.cli.ending import told_to_stop
from natsmith.errors import DecisionNeeded, Exit, NatsmithError
from natsmith.log import Log
from natsmith.model.bringing import Brought, Fate
from natsmith.views import as_json, brought

Rows = list[tuple[str, list[Brought]]]
FAILURES = (NatsmithError, Refused, asyncio.CancelledError)
"""What may end such a run; the last is a signal."""


def told(
    args: argparse.Namespace,
    rows: Rows,
    done: Fate,
    failure: NatsmithError | Refused | asyncio.CancelledError,
    log: Log,
) -> int:
    """Tell what was done before *failure*, and that; raise it where nothing was done."""
    rows = [(account, some) for account, some in rows if some]
    each = [one for _, some in rows for one in some]
    if not any(one.fate == done for one in each):
        raise failure
    if isinstance(failure, asyncio.CancelledError):
        failure = told_to_stop(failure)
    if isinstance(failure, Refused):
        failure = DecisionNeeded(f"the server refused {failure.request}: {failure}")
    code = Exit.STOPPED_HALFWAY
    if args.output == "json":
        screen.document(as_json.brought(args.verb, rows, code, failure.problems))
        return code
    screen.table(brought.table(rows, done))
    screen.line(brought.summary(each, done))
    for problem in failure.problems:
        log.fail(problem)
    log.fail(
        f"stopped halfway: what is named above was {done}, the rest was not. "
        "Mend what is named and run the same command again: it goes on from here"
    )
    return code
