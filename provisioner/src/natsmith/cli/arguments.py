"""What can be said on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import natsmith

EXAMPLES = """\
examples:
  natsmith plan -f values/dev.yaml                        what would change, and what that does to the data
  natsmith apply -f values/dev.yaml                       change it
  natsmith apply -f values/dev.yaml --set buckets.service_registry.ttlSeconds=60
  natsmith verify -f values/dev.yaml --prove              is it so, and does expiry really work?
  natsmith status                                         what is provisioned here
  natsmith export > values/live.yaml                      the account as values
  helm template n charts/natsmith | natsmith plan -f -    the chart's own output

connection:
  as the nats CLI knows it: NATS_URL, NATS_USER, NATS_PASSWORD, NATS_TOKEN, NATS_CREDS, NATS_NKEY, NATS_CA, NATS_CERT,
  NATS_KEY, NATS_CONTEXT and its context files. Flags win over the environment, the environment over a context.

exit codes:
  0 done   1 stopped halfway   2 the values are wrong   3 a decision is needed
  4 differs (plan --check, verify)   75 not ready, try later
"""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the arguments; --help and mistakes end the process as every command does."""
    parser = argparse.ArgumentParser(
        prog="natsmith",
        description="Make the buckets, streams, object stores and consumers of a NATS account be what values files say.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
    schema = verbs.add_parser("schema", help="print the JSON Schema of the values, or with --markdown its page")
    schema.add_argument("--markdown", action="store_true", help="the page for people")
    schema.set_defaults(output="text")
    return parser.parse_args(argv)


def _verb(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], name: str, what: str, *, values: bool = False
) -> argparse.ArgumentParser:
    verb = verbs.add_parser(
        name,
        help=what,
        description=what[0].upper() + what[1:] + ".",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if values:
        verb.add_argument(
            "-f",
            "--values",
            action="append",
            default=[],
            required=True,
            metavar="FILE",
            help="values file, - for standard input; later ones win (repeatable)",
        )
        verb.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="KEY=VALUE",
            dest="sets",
            help="one value, as Helm's --set (repeatable)",
        )
        verb.add_argument("--owner", default="", help="who provisions: namespace/release of the Job, else local")
    verb.add_argument("--account", default="", help="only this account of the values")
    verb.add_argument(
        "--timeout", type=_seconds, default=30.0, metavar="SECONDS", help="wait so long for server and lock (30)"
    )
    verb.add_argument("--output", choices=("text", "json"), default="text", help="json: one document, see docs/json.md")
    verb.add_argument("--log", choices=("text", "json"), default="text", help="how events on stderr look")
    connection = verb.add_argument_group("connection, by default from the environment")
    for flag, what_ in (
        ("--server", "address, such as nats://127.0.0.1:4222"),
        ("--user", "user name"),
        (
            "--password-file",
            "file with the password; there is no flag for the password, since every user sees a command line",
        ),
        ("--creds", "credentials file"),
        ("--nkey", "file with an nkey's seed"),
        ("--tls-ca", "certificates to trust"),
        ("--tls-cert", "our certificate"),
        ("--tls-key", "its key"),
        ("--inbox-prefix", "what answers come in on"),
        ("--context", "context of the nats CLI"),
        ("--connections", "file that names the connection of each account"),
    ):
        connection.add_argument(flag, default="", metavar="X" if flag != "--server" else "URL", help=what_)
    return verb


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 86400:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 86400 seconds")
    return value
