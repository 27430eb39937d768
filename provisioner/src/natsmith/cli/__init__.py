"""The command line: arguments, then adapters, an action, a view, and an exit code."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
from collections.abc import Awaitable, Sequence

from natsmith.cli.arguments import last, parse, verb_in
from natsmith.cli.ending import BY_KEYBOARD, BY_SIGNAL, told_to_stop
from natsmith.cli.report import Report
from natsmith.cli.streams import streams
from natsmith.errors import DecisionNeeded, Exit, NatsmithError, StoppedHalfway
from natsmith.log import Log

ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""The signals that ask a run to end."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; every error is a sentence, never a traceback."""
    words = sys.argv[1:] if argv is None else argv
    # A run is short and makes nearly no cycles; looking for them takes a tenth of a run on 10,000 objects.
    gc.disable()
    report = Report.of(words)
    with streams():
        code = _run(words, report)
        sys.stdout.flush()
        lost = getattr(sys.stdout, "lost", None)
        # A reader that left early has seen enough; who writes to a full disk has not.
        if lost is not None and not isinstance(lost, BrokenPipeError):
            text = f"the run ended with exit code {int(code)}, but its results could not be written: {lost.strerror}"
            cure = "Mend what stdout goes to, then run the same command again"
            code = _fail(words, StoppedHalfway(f"{text}. {cure}"), report)
        return report.write(code, words)


def _run(words: Sequence[str], report: Report) -> int:
    try:
        args = parse(words)
        if args.verb in ("schema", "credentials"):
            from natsmith.cli import offline  # noqa: PLC0415  (each verb pays only for its own imports)

            return offline.schema(args) if args.verb == "schema" else offline.credentials(args)
        from natsmith.cli import commands  # noqa: PLC0415  (nats-py takes 80 ms, --help does not need it)

        return asyncio.run(_until_told_to_stop(commands.run(args, report)))
    except SystemExit as end:  # --help and --version
        report.path = ""
        return int(end.code or Exit.DONE)
    except NatsmithError as error:
        return _fail(words, error, report)
    except KeyboardInterrupt:
        return _fail(words, StoppedHalfway(BY_KEYBOARD), report)
    except Exception as error:  # whatever it is, nobody is shown a traceback unasked
        if os.environ.get("NATSMITH_TRACEBACK"):
            raise
        return _fail(words, as_sentence(error), report)


def as_sentence(error: Exception) -> NatsmithError:
    """Return what *error*, which nobody expected here, says to a person."""
    from natsmith.adapters.server import Refused  # noqa: PLC0415  (only failures need it here)

    if isinstance(error, Refused):
        return DecisionNeeded(
            f"the server refused {error.request}: {error}. Mend what it names, then run the same command again"
        )
    return StoppedHalfway(
        f"natsmith itself failed ({type(error).__name__}: {error}): this is a bug. "
        "Run it again with NATSMITH_TRACEBACK=1 in the environment and report what it prints"
    )


async def _until_told_to_stop(work: Awaitable[int]) -> int:
    """Await *work*; a signal ends it in order, with the lock given back and nothing left in /tmp.

    Kubernetes sends a SIGTERM, a terminal that is closed a SIGHUP, which nohup has a run ignore.
    """
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    numbers = [each for each in ENDING if signal.getsignal(each) is not signal.SIG_IGN]
    try:
        for each in numbers:
            loop.add_signal_handler(each, task.cancel, BY_SIGNAL)
    except NotImplementedError:  # Windows has no such handlers
        return await task
    try:
        return await task
    except asyncio.CancelledError as error:
        raise told_to_stop(error) from None
    finally:
        for each in numbers:
            loop.remove_signal_handler(each)


def _fail(words: Sequence[str], error: NatsmithError, report: Report) -> int:
    report.problems += error.problems
    # The words themselves are asked: what is wrong may be one of them, and a program still waits for its document.
    if last("--output", words) == "json":
        from natsmith.views import as_json  # noqa: PLC0415  (only failures in JSON need it here)

        verb = verb_in(words)
        # Who reads one object a line reads this one so, too.
        print(
            json.dumps(as_json.error(verb, error.code, error.problems), indent=None if verb == "registry watch" else 2)
        )
    log = Log(format="json" if last("--log", words) == "json" else "text")
    for problem in error.problems:
        log.fail(problem)
    return int(error.code)
