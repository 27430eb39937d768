"""What is said on the command line, and what is said back when it was wrong."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

from natsmith.cli.connection_options import VISIBLE
from natsmith.cli.help import EXAMPLES
from natsmith.cli.options import Parser, parsers
from natsmith.errors import WrongValues

_NO_SECRETS = {
    "--password": "a password comes from NATS_PASSWORD or --password-file",
    "--token": "a token comes from NATS_TOKEN",
}
_TEXTS = (
    "bucket",
    "elections",
    "owner",
    "account",
    "expect",
    "reload_expect",
    "name",
    "namespace",
    "release",
    "fullname",
)
"""What is written to the server or compared with what is there; file names may have any bytes."""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the arguments; --help ends the process, a mistake is WrongValues that never shows a value."""
    parser, verbs = parsers()
    argv = _joined(argv)
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
        cure = (
            "write -f before each file"
            if verb in ("plan", "apply", "verify", "credentials")
            else f"see {chosen.prog} --help"
        )
        raise WrongValues(f"{chosen.prog} does not know what to do with {_count(extra)} among its options: {cure}")
    if getattr(args, "values", None) == [] and verb != "monitor":
        raise WrongValues(f"{chosen.prog} needs -f FILE, or -f - for standard input: see {chosen.prog} --help")
    for name in _TEXTS:
        if not _is_text(getattr(args, name, "")):
            raise WrongValues(f"--{name.replace('_', '-')} holds bytes that are not UTF-8: write it as UTF-8")
    return args


def verb_in(argv: Iterable[str]) -> str:
    """Return the verb among words that may not be what can be parsed, or nothing."""
    words = list(argv)
    pairs = (f"{one} {other}" for one, other in zip(words, [*words[1:], ""], strict=True))
    return next((verb for each in zip(words, pairs, strict=True) for verb in each if verb in EXAMPLES), "")


def _joined(argv: Sequence[str]) -> Sequence[str]:
    """Return the words with a verb of two words as one, as the parser has it."""
    if list(argv[:1]) != ["registry"]:
        return argv
    if len(argv) > 1 and argv[1] in ("-h", "--help"):
        return argv[1:]
    if f"registry {argv[1] if len(argv) > 1 else ''}" in EXAMPLES:
        return [f"registry {argv[1]}", *argv[2:]]
    known = [verb.split()[1] for verb in EXAMPLES if verb.startswith("registry ")]
    near = difflib.get_close_matches(argv[1], known, n=1) if len(argv) > 1 and not argv[1].startswith("-") else []
    ends = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}: see natsmith registry list --help"
    raise WrongValues(f"natsmith registry needs what to do after it: {ends}")


def last(option: str, argv: Sequence[str]) -> str:
    """Return what is said last for *option* among words that may not be what can be parsed, or nothing."""
    found = ""
    for word, following in zip(argv, [*argv[1:], ""], strict=False):
        if word == option:
            found = following
        elif word.startswith(f"{option}="):
            found = word.partition("=")[2]
    return found


def _verb_of(argv: Sequence[str], parser: argparse.ArgumentParser, verbs: Mapping[str, Parser]) -> str:
    known = f"plan, apply, verify, status, export, history, reload, bring, backup, restore, registry, monitor, credentials or schema: see {parser.prog} --help"
    if not argv:
        raise WrongValues(f"natsmith needs a verb: {known}")
    first = argv[0]
    if first in verbs or first in parser._option_string_actions:
        return first
    if not first.startswith("-"):
        near = difflib.get_close_matches(first, [*verbs, "registry"], n=1)
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


def _not_an_option(name: str, parser: argparse.ArgumentParser, verbs: Mapping[str, Parser]) -> str:
    what = f"{name} is not an option of {parser.prog}"
    for secret, place in _NO_SECRETS.items():
        if name.startswith(secret[:6]):  # --pass and --password both
            return f"{what}; {place}, {VISIBLE}"
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
    needed = (error.message or "").partition("the following arguments are required: ")[2]
    if needed:
        return f"{parser.prog} needs {needed} after it"
    if action is None:
        return "the command line cannot be read"
    if action.nargs == 0:
        return f"{name} takes no value"
    return f"{name} needs a value after it; one that begins with - is written {name}=VALUE"


def _count(extra: Sequence[str]) -> str:
    return "a word" if len(extra) == 1 else f"{len(extra)} words"


def _is_text(given: str) -> bool:
    return not any("\ud800" <= each <= "\udfff" for each in given)
