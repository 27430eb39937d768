"""What can be said on the command line, and what is said back when it was wrong."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import natsmith
from natsmith.cli.help import EPILOG, EXAMPLES
from natsmith.errors import WrongValues

_NO_SECRETS = {
    "--password": "a password comes from NATS_PASSWORD or --password-file",
    "--token": "a token comes from NATS_TOKEN",
}
_VISIBLE = "since every user sees a command line"

_TEXTS = ("owner", "account", "expect")
"""What is written to the server or compared with what is there; file names may have any bytes."""


class _Parser(argparse.ArgumentParser):
    """argparse, but a mistake is an error like every other.

    No abbreviations: ``--password x`` would be taken as ``--password-file x``, and the error shows a path.
    """

    def __init__(self, **given: Any) -> None:
        settings = {"allow_abbrev": False, "exit_on_error": False, **given}
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **settings)

    def error(self, message: str) -> Any:
        """Raise instead of exiting."""
        raise argparse.ArgumentError(None, message)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the arguments; --help ends the process, a mistake is WrongValues that never shows a value."""
    parser, verbs = _parsers()
    verb = _verb_of(argv, parser, verbs)
    chosen = verbs.get(verb, parser)
    # Before argparse reads on: it stops at the first mistake, and takes what follows an unknown option for something else.
    unknown = _unknown(argv, chosen)
    if unknown:
        raise WrongValues(*(_not_an_option(each, chosen, verbs) for each in unknown))
    try:
        args, extra = parser.parse_known_args(argv)
    except argparse.ArgumentError as error:
        raise WrongValues(f"{_meaning(error, chosen)}: see {chosen.prog} --help") from error
    if extra:
        cure = "write -f before each file" if verb in ("plan", "apply", "verify") else f"see {chosen.prog} --help"
        raise WrongValues(f"{chosen.prog} does not know what to do with {_count(extra)} among its options: {cure}")
    if getattr(args, "values", None) == []:
        raise WrongValues(f"{chosen.prog} needs -f FILE, or -f - for standard input: see {chosen.prog} --help")
    for name in _TEXTS:
        if not _is_text(getattr(args, name, "")):
            raise WrongValues(f"--{name} holds bytes that are not UTF-8: write it as UTF-8")
    return args


def verb_in(argv: Iterable[str]) -> str:
    """Return the verb among words that may not be what can be parsed, or nothing."""
    return next((word for word in argv if word in EXAMPLES), "")


def last(option: str, argv: Sequence[str]) -> str:
    """Return what is said last for *option* among words that may not be what can be parsed, or nothing."""
    found = ""
    for word, following in zip(argv, [*argv[1:], ""], strict=False):
        if word == option:
            found = following
        elif word.startswith(f"{option}="):
            found = word.partition("=")[2]
    return found


def _verb_of(argv: Sequence[str], parser: argparse.ArgumentParser, verbs: Mapping[str, _Parser]) -> str:
    known = f"plan, apply, verify, status, export, history or schema: see {parser.prog} --help"
    if not argv:
        raise WrongValues(f"natsmith needs a verb: {known}")
    first = argv[0]
    if first in verbs or first in parser._option_string_actions:
        return first
    if not first.startswith("-"):
        near = difflib.get_close_matches(first, verbs, n=1)
        raise WrongValues(
            f"natsmith has no verb {first!r}: " + (f"did you mean {near[0]}?" if near else f"there are {known}")
        )
    name = _name(first)
    if any(name in each._option_string_actions for each in verbs.values()):
        raise WrongValues(f"the verb comes first: write natsmith {verb_in(argv) or 'VERB'} {name}")
    raise WrongValues(_not_an_option(name, parser, verbs))


def _unknown(argv: Sequence[str], parser: argparse.ArgumentParser) -> list[str]:
    """Return the names of the options that *parser* does not know."""
    names = []
    for word in argv:
        if word == "--":
            break
        name = _name(word)
        # As to argparse, a word with a space and a negative number are values.
        is_value = not word.startswith("-") or word == "-" or " " in name or re.match(r"-[0-9.]", word)
        if not is_value and name not in parser._option_string_actions:
            names.append(name)
    return list(dict.fromkeys(names))


def _name(word: str) -> str:
    """Return the option in *word* without a value that hangs on it, as in --user=me and -fvalues.yaml."""
    return word.partition("=")[0] if word.startswith("--") else word[:2]


def _not_an_option(name: str, parser: argparse.ArgumentParser, verbs: Mapping[str, _Parser]) -> str:
    what = f"{name} is not an option of {parser.prog}"
    for secret, place in _NO_SECRETS.items():
        if name.startswith(secret[:6]):  # --pass and --password both
            return f"{what}; {place}, {_VISIBLE}"
    others = [verb for verb, each in verbs.items() if name in each._option_string_actions]
    if others:
        return f"{what}, but of {', '.join(others)}: see {parser.prog} --help"
    near = difflib.get_close_matches(name, parser._option_string_actions, n=1)
    return f"{what}: did you mean {near[0]}?" if near else f"{what}: see {parser.prog} --help"


def _meaning(error: argparse.ArgumentError, parser: argparse.ArgumentParser) -> str:
    """Return what *error* says, without the value that argparse may quote."""
    name = (error.argument_name or "").partition("/")[0]
    if isinstance(error.__context__, argparse.ArgumentTypeError):
        return f"{name} {error.__context__}"
    action = parser._option_string_actions.get(name)
    if action is None:
        return "the command line cannot be read"
    if action.nargs == 0:
        return f"{name} takes no value"
    return f"{name} needs a value after it; one that begins with - is written {name}=VALUE"


def _count(extra: Sequence[str]) -> str:
    return "a word" if len(extra) == 1 else f"{len(extra)} words"


def _is_text(given: str) -> bool:
    return not any("\ud800" <= each <= "\udfff" for each in given)


def _parsers() -> tuple[_Parser, dict[str, _Parser]]:
    """Return the parser of everything, and the one of each verb."""
    parser = _Parser(
        prog="natsmith",
        description="Make the buckets, streams, object stores and consumers of a NATS account be what values files say.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"natsmith {natsmith.__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    plan = _verb(verbs, "plan", "say what would change, why, and what it does to the data", values=True)
    plan.add_argument("--check", action="store_true", help="exit with 4 if anything differs")
    apply = _verb(verbs, "apply", "make it so, or refuse and change nothing", values=True)
    apply.add_argument(
        "--expect", default="", metavar="DIGEST", help="only if the plan is still the one with this digest"
    )
    verify = _verb(verbs, "verify", "check that everything is as the values say, and that entries expire", values=True)
    verify.add_argument("--prove", action="store_true", help="with a canary in a short-lived twin of each object")
    verify.add_argument(
        "--in-place", action="store_true", help="with a canary in each bucket itself, waiting its real time to live"
    )
    _verb(verbs, "status", "show what is provisioned, who holds the lock, and the last run")
    _verb(verbs, "export", "print the account as values that plan to nothing")
    _verb(verbs, "history", "show the last runs")
    schema = _bare(verbs, "schema", "print the JSON Schema of the values, or with --markdown its page")
    schema.add_argument("--markdown", action="store_true", help="the page for people")
    return parser, dict(verbs.choices)


def _bare(verbs: argparse._SubParsersAction[_Parser], name: str, what: str) -> _Parser:
    description = what[0].upper() + what[1:] + "."
    return verbs.add_parser(name, help=what, description=description, epilog=f"examples:\n{EXAMPLES[name]}")


def _verb(verbs: argparse._SubParsersAction[_Parser], name: str, what: str, *, values: bool = False) -> _Parser:
    verb = _bare(verbs, name, what)
    if values:
        verb.add_argument(
            "-f",
            "--values",
            action="append",
            default=[],
            metavar="FILE",
            help="values file, - for standard input; later ones win (needed, repeatable)",
        )
        verb.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="KEY=VALUE",
            dest="sets",
            help="one value, as Helm's --set (repeatable)",
        )
        verb.add_argument(
            "--owner",
            default="",
            metavar="NAME",
            help="in whose name (default: local; the Helm chart's Job uses namespace/release)",
        )
    verb.add_argument("--account", default="", metavar="NAME", help="only this account of the values")
    verb.add_argument(
        "--timeout", type=_seconds, default=30.0, metavar="SECONDS", help="wait so long for server and lock (30)"
    )
    verb.add_argument(
        "--output",
        type=_text_or_json,
        default="text",
        metavar="text|json",
        help="json: one document on stdout, whatever happens (docs/json.md)",
    )
    verb.add_argument(
        "--log", type=_text_or_json, default="text", metavar="text|json", help="how events and errors on stderr look"
    )
    connection = verb.add_argument_group("connection, by default from the environment")
    for flag, metavar, meaning in (
        ("--server", "URL", "address, such as nats://127.0.0.1:4222"),
        ("--user", "NAME", "user name"),
        (
            "--password-file",
            "FILE",
            f"file with the password; there is no flag for the password, {_VISIBLE}",
        ),
        ("--creds", "FILE", "credentials file"),
        ("--nkey", "FILE", "file with an nkey's seed"),
        ("--tls-ca", "FILE", "certificates to trust"),
        ("--tls-cert", "FILE", "our certificate"),
        ("--tls-key", "FILE", "its key"),
        ("--inbox-prefix", "PREFIX", "what the subjects of answers begin with"),
        ("--context", "NAME", "context of the nats CLI"),
        ("--connections", "FILE", "file that names the connection of each account"),
    ):
        connection.add_argument(flag, default="", metavar=metavar, help=meaning)
    return verb


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not value > 0:
        raise argparse.ArgumentTypeError(f"is {text!r}, but must be seconds such as 30")
    if value > 86400:
        raise argparse.ArgumentTypeError(f"is {text}, but must be at most 86400 seconds, a day")
    return value


def _text_or_json(text: str) -> str:
    if text not in ("text", "json"):
        raise argparse.ArgumentTypeError(f"is {text!r}, but must be text or json")
    return text
