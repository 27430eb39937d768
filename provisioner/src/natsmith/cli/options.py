"""What can be said on the command line: the verbs and their options."""

from __future__ import annotations

import argparse
from typing import Any

import natsmith
from natsmith.cli.connection_options import connection_of
from natsmith.cli.help import EPILOG, EXAMPLES
from natsmith.cli.option_types import count, seconds, text_or_json


class Parser(argparse.ArgumentParser):
    """argparse, but a mistake is an error like every other.

    No abbreviations: ``--password x`` would be taken as ``--password-file x``, and the error shows a path.
    """

    def __init__(self, **given: Any) -> None:
        settings = {"allow_abbrev": False, "exit_on_error": False, **given}
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **settings)

    def error(self, message: str) -> Any:
        """Raise instead of exiting."""
        raise argparse.ArgumentError(None, message)


def parsers() -> tuple[Parser, dict[str, Parser]]:
    """Return the parser of everything, and the one of each verb."""
    parser = Parser(
        prog="natsmith",
        description="Make the buckets, streams, object stores and consumers of a NATS account be what values files say.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"natsmith {natsmith.__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    _plan(verbs)
    _apply(verbs)
    _verify(verbs)
    _verb(verbs, "status", "show what is provisioned, who holds the lock, and the last run")
    _verb(verbs, "export", "print the account as values that plan to nothing")
    _verb(verbs, "history", "show the last runs")
    _reloading(_verb(verbs, "reload", "have the servers load their files again, and say what each answers"), "")
    _bring(verbs)
    _backup(verbs)
    _registry(verbs)
    _monitor(verbs)
    _credentials(verbs)
    schema = _bare(verbs, "schema", "print the JSON Schema of the values, or with --markdown its page")
    schema.add_argument("--markdown", action="store_true", help="the page for people")
    return parser, dict(verbs.choices)


def _bare(verbs: argparse._SubParsersAction[Parser], name: str, what: str) -> Parser:
    description = what[0].upper() + what[1:] + "."
    return verbs.add_parser(name, help=what, description=description, epilog=f"examples:\n{EXAMPLES[name]}")


def _verb(
    verbs: argparse._SubParsersAction[Parser],
    name: str,
    what: str,
    *,
    values: bool = False,
    told: str = "needed, repeatable",
    answers: bool = True,
) -> Parser:
    verb = _bare(verbs, name, what)
    if values:
        _values(verb, told)
        verb.add_argument(
            "--owner",
            default="",
            metavar="NAME",
            help="in whose name (default: local; the Helm chart's Job uses namespace/release)",
        )
    verb.add_argument("--account", default="", metavar="NAME", help="only this account of the values")
    verb.add_argument(
        "--timeout",
        type=seconds,
        default=30.0,
        metavar="SECONDS",
        help="wait so long for server and lock (30)",
    )
    if answers:
        verb.add_argument(
            "--output",
            type=text_or_json,
            default="text",
            metavar="text|json",
            help="json: one document on stdout, whatever happens (docs/json.md)",
        )
    verb.add_argument(
        "--log",
        type=text_or_json,
        default="text",
        metavar="text|json",
        help="how events and errors on stderr look",
    )
    connection_of(verb)
    return verb


def _plan(verbs: argparse._SubParsersAction[Parser]) -> None:
    plan = _verb(verbs, "plan", "say what would change, why, and what it does to the data", values=True)
    plan.add_argument("--check", action="store_true", help="exit with 4 if anything differs")


def _apply(verbs: argparse._SubParsersAction[Parser]) -> None:
    apply = _verb(verbs, "apply", "make it so, or refuse and change nothing", values=True)
    apply.add_argument(
        "--expect", default="", metavar="DIGEST", help="only if the plan is still the one with this digest"
    )
    apply.add_argument(
        "--outcome", default="", metavar="FILE", help="where to write one line of JSON at the end (docs/json.md)"
    )
    apply.add_argument(
        "--within",
        type=seconds,
        default=None,
        metavar="SECONDS",
        help="begin no move that may take longer than this",
    )
    _reloading(apply, "reload-")
    apply.add_argument(
        "--reload",
        default="",
        metavar="FILE",
        help="first have the servers load their files again, as the one user that this file of connections names",
    )
    apply.add_argument(
        "--reload-within",
        type=seconds,
        default=90.0,
        metavar="SECONDS",
        help="wait so long for that at most (90)",
    )
    apply.add_argument(
        "--bring",
        default="",
        metavar="FILE",
        help="first bring what the servers have that this file of connections names",
    )
    _leave(apply)


def _verify(verbs: argparse._SubParsersAction[Parser]) -> None:
    verify = _verb(verbs, "verify", "check that everything is as the values say, and that entries expire", values=True)
    verify.add_argument("--prove", action="store_true", help="with a canary in a short-lived twin of each object")
    verify.add_argument(
        "--in-place", action="store_true", help="with a canary in each bucket itself, waiting its real time to live"
    )
    verify.add_argument(
        "--as",
        default="",
        metavar="FILE",
        dest="applications",
        help="as applications, that this file of connections names: put a canary, get it, remove it again",
    )


def _reloading(verb: Parser, prefix: str) -> None:
    verb.add_argument(
        f"--{prefix}expect",
        default="",
        metavar="TAG",
        help="until each has the configuration that the chart gave this tag; one that has it is not asked",
    )
    verb.add_argument(
        f"--{prefix}servers",
        type=count,
        default=0,
        metavar="COUNT",
        help="how many servers there are (those that answer)",
    )


def _bring(verbs: argparse._SubParsersAction[Parser]) -> None:
    verb = _verb(
        verbs, "bring", "bring the streams of an account from another server, as they are and where they stand"
    )
    for flag, name, metavar, meaning in (
        ("--from", "from_url", "URL", "the other server, connected to as to this one"),
        ("--from-context", "from_context", "NAME", "the other server, as a context of the nats CLI has it"),
        (
            "--from-connections",
            "from_connections",
            "FILE",
            "the other server, as a file has it that names the connection of each account",
        ),
    ):
        verb.add_argument(flag, default="", dest=name, metavar=metavar, help=meaning)
    _leave(verb)


def _backup(verbs: argparse._SubParsersAction[Parser]) -> None:
    for name, what, where in (
        (
            "backup",
            "write every stream of an account, with its durable consumers, into a directory",
            "empty, or not there; - for a tar on standard output",
        ),
        (
            "restore",
            "make the streams that are missing from a backup, as they were; none is overwritten",
            "the backup; - for a tar on standard input",
        ),
    ):
        verb = _verb(verbs, name, what)
        verb.add_argument("directory", metavar="DIR", help=where)
        _leave(verb, name.replace("backup", "back up"))
    verb.add_argument(
        "--only", action="append", default=[], metavar="STREAM", help="restore this one and no other (repeatable)"
    )


def _leave(verb: Parser, does: str = "bring") -> None:
    verb.add_argument(
        "--leave", action="append", default=[], metavar="STREAM", help=f"do not {does} this one (repeatable)"
    )


def _registry(verbs: argparse._SubParsersAction[Parser]) -> None:
    listing = _verb(verbs, "registry list", "show every entry of the service registry, stale ones too, and who leads")
    watch = _verb(verbs, "registry watch", "tell what happens to services, until Ctrl-C")
    clean = _verb(verbs, "registry clean", "remove what is stale, shut down, or unhealthy and silent; never what lives")
    doctor = _verb(verbs, "registry doctor", "say what is wrong with the registry, and let a canary expire")
    for verb in (listing, watch, clean, doctor):
        verb.add_argument(
            "--bucket", default="service_registry", metavar="NAME", help="the registry (service_registry)"
        )
        verb.add_argument("--elections", default="elections", metavar="NAME", help="where leaders are (elections)")
    watch.add_argument("--seconds", type=seconds, default=None, metavar="SECONDS", help="end after so long")
    clean.add_argument("--dry-run", action="store_true", help="say what would go, and remove nothing")
    clean.add_argument("--unread", action="store_true", help="remove stale entries that are not understood, too")
    doctor.add_argument(
        "--prove-seconds",
        type=seconds,
        default=60.0,
        metavar="SECONDS",
        help="wait so long at most for a canary to expire (60)",
    )


def _values(verb: Parser, told: str = "needed, repeatable") -> None:
    verb.add_argument(
        "-f",
        "--values",
        action="append",
        default=[],
        metavar="FILE",
        help=f"values file, - for standard input; later ones win ({told})",
    )
    verb.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="sets",
        help="one value, as Helm's --set (repeatable)",
    )


def _monitor(verbs: argparse._SubParsersAction[Parser]) -> None:
    what, told = "serve a page, metrics and a JSON API that show it all", "repeatable; without one there is no plan"
    monitor = _verb(verbs, "monitor", what, values=True, told=told, answers=False)
    for flag, default, metavar, meaning in (
        ("--listen", "127.0.0.1:8280", "HOST:PORT", "where the page is served (127.0.0.1:8280)"),
        ("--bucket", "service_registry", "NAME", "the bucket of the service registry (service_registry)"),
        ("--elections", "elections", "NAME", "the bucket of elections (elections)"),
    ):
        monitor.add_argument(flag, default=default, metavar=metavar, help=meaning)
    monitor.add_argument(
        "--show-values", action="store_true", help="show what instances and dead letters hold; it may be secret"
    )


def _credentials(verbs: argparse._SubParsersAction[Parser]) -> None:
    verb = _bare(verbs, "credentials", "print a Secret with fresh passwords for the users of the chart's values")
    _values(verb)
    for flag, metavar, meaning in (
        ("--name", "NAME", "what the Secret is called, as in credentials.existingSecret (needed)"),
        ("--namespace", "NAME", "where it belongs"),
        ("--release", "NAME", "the Helm release, for the routes between several servers"),
        ("--fullname", "NAME", "instead of --release: what the servers are called before -0"),
    ):
        verb.add_argument(flag, default="", metavar=metavar, help=meaning)
    verb.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="ACCOUNT.USER",
        help="only this user, such as APP.app, APP.provisioner or _SYS.sys, only users, or only routes (repeatable)",
    )
