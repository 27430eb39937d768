"""The monitor, from the command line."""

from __future__ import annotations

import argparse
from dataclasses import replace

from natsmith.cli import sessions
from natsmith.errors import DecisionNeeded, Exit, WrongValues
from natsmith.log import Log
from natsmith.model.desired import Desired

try:
    from natsmith.monitor.serving import Served, serve
except ModuleNotFoundError as missing:
    raise DecisionNeeded(
        f"the monitor needs {missing.name}, which is not installed: pip install 'natsmith[monitor]'"
    ) from missing


async def run(args: argparse.Namespace, desired: Desired | None, log: Log) -> int:
    """Serve until the program is told to stop."""
    host, port = _address(args.listen)
    if desired and args.owner:
        desired = replace(desired, owner=args.owner)
    served = Served(
        accounts=sessions.accounts(args, desired.accounts if desired else ()),
        desired=desired,
        host=host,
        port=port,
        bucket=args.bucket,
        elections=args.elections,
        values=args.show_values,
    )
    await serve(served, lambda account, log: sessions.server(args, account, log), log)
    return Exit.DONE


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("["), host.endswith("]")
    named = host and "/" not in host and bracketed in {(True, True), (False, False)}
    if not colon or not named or not port.isdigit() or int(port) > 65535:
        raise WrongValues(f"--listen is {text!r}, but must be a host and a port such as 127.0.0.1:8280")
    return host.strip("[]"), int(port)
