"""The command line: arguments, then adapters, an action, a view, and an exit code."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
from collections.abc import Awaitable, Sequence

from natsmith.cli.arguments import parse
from natsmith.errors import Exit, NatsmithError, StoppedHalfway


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; every error is a sentence, never a traceback."""
    args = parse(sys.argv[1:] if argv is None else argv)
    # A run is short and makes nearly no cycles; looking for them takes a tenth of a run on 10,000 objects.
    gc.disable()
    try:
        if args.verb == "schema":
            from natsmith.cli.offline import schema  # noqa: PLC0415  (each verb pays only for its own imports)

            return schema(args)
        from natsmith.cli import commands  # noqa: PLC0415  (nats-py takes 80 ms, --help does not need it)

        return asyncio.run(_until_told_to_stop(commands.run(args)))
    except NatsmithError as error:
        return _fail(args.verb, args.output, error)
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    except KeyboardInterrupt:
        return _fail(
            args.verb, args.output, StoppedHalfway("stopped by the keyboard: run the same command again to go on")
        )
    except Exception as error:
        if os.environ.get("NATSMITH_TRACEBACK"):
            raise
        text = (
            f"natsmith itself failed ({type(error).__name__}: {error}): this is a bug. "
            "Run it again with NATSMITH_TRACEBACK=1 in the environment and report what it prints"
        )
        return _fail(args.verb, args.output, StoppedHalfway(text))


async def _until_told_to_stop(work: Awaitable[int]) -> int:
    """Await *work*; a SIGTERM, as Kubernetes sends it, ends it in order, with the lock given back."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    except NotImplementedError:  # Windows has no such handlers
        return await task
    try:
        return await task
    except asyncio.CancelledError:
        raise StoppedHalfway("stopped by a signal: run the same command again to go on") from None
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


def _fail(verb: str, output: str, error: NatsmithError) -> int:
    if output == "json":
        from natsmith.views import as_json  # noqa: PLC0415  (only failures in JSON need it here)

        print(json.dumps(as_json.error(verb, error.code, error.problems), indent=2))
    for problem in error.problems:
        print(f"error: {problem}", file=sys.stderr)
    return int(error.code)
