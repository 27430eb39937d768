"""The command line without a server: what is refused, how it is said, and what stands at the ends of its streams."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from natsmith.adapters.server import Refused
from natsmith.cli import as_sentence, main
from natsmith.cli.arguments import parse
from natsmith.cli.help import EXAMPLES
from natsmith.errors import DecisionNeeded, Exit, WrongValues

NATSMITH = Path(sys.executable).parent / "natsmith"
SECRET = "hunter2"


def refused(*words: str) -> list[str]:
    """Return what is said about a command line that is wrong."""
    with pytest.raises(WrongValues) as caught:
        parse(words)
    return list(caught.value.problems)


def shell(command: str) -> tuple[int, str]:
    """Return the exit code and stderr of a shell's *command*, in which natsmith is a program."""
    script = f'set -o pipefail; natsmith() {{ "{NATSMITH}" "$@"; }}; {command}'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert "Exception ignored" not in done.stderr
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


# Options that are none


@pytest.mark.parametrize(
    "words",
    [
        ("status", "--password", SECRET),
        ("status", f"--password={SECRET}"),
        ("--password", SECRET, "status"),
        ("plan", "--pass", SECRET),
        ("plan", "-f", "x", f"-p{SECRET}"),
        ("plan", "-f", "x", "-p", SECRET),
        ("plan", "-f", "x", f"--password={SECRET} {SECRET}"),
        ("plan", "-f", "x", SECRET),
        ("plan", "-f", "x", f"--check={SECRET}"),
        ("plan", "-f", "x", "--", f"--{SECRET}"),
        ("--version", f"--token={SECRET}"),
    ],
)
def test_what_is_wrong_on_a_command_line_is_never_shown(words: tuple[str, ...]) -> None:
    """It may be a password, and errors end in logs."""
    assert SECRET not in "\n".join(refused(*words))


def test_a_password_on_the_command_line_is_told_where_it_belongs() -> None:
    expected = (
        "--password is not an option of natsmith status; a password comes from NATS_PASSWORD or --password-file, "
        "since every user sees a command line"
    )
    assert [expected] == refused("status", "--password", SECRET)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("plan", "--timout=3"), "--timout is not an option of natsmith plan: did you mean --timeout?"),
        (("plan", "--val", "x"), "--val is not an option of natsmith plan: did you mean --values?"),
        (("plan", "--zzz"), "--zzz is not an option of natsmith plan: see natsmith plan --help"),
        (("status", "--check"), "--check is not an option of natsmith status, but of plan: see natsmith status --help"),
        (("-f", "x", "plan"), "the verb comes first: write natsmith plan -f"),
        (("aply",), "natsmith has no verb 'aply': did you mean apply?"),
        (
            (),
            "natsmith needs a verb: plan, apply, verify, status, export, history, reload, bring, backup, restore, registry, monitor, credentials or schema: see natsmith --help",
        ),
        (
            ("registry",),
            "natsmith registry needs what to do after it: there are list, watch, clean, doctor: "
            "see natsmith registry list --help",
        ),
        (("registry", "lst"), "natsmith registry needs what to do after it: did you mean list?"),
        (("registy", "list"), "natsmith has no verb 'registy': did you mean registry?"),
        (
            ("registry", "list", "--dry-run"),
            "--dry-run is not an option of natsmith registry list, but of registry clean: "
            "see natsmith registry list --help",
        ),
        (
            ("monitor", "--output=json"),
            "--output is not an option of natsmith monitor, but of plan, apply, verify, status, export, history, reload, bring, backup, restore, "
            "registry list, registry watch, registry clean, registry doctor: see natsmith monitor --help",
        ),
        (
            ("registry", "list", "--listen=:1"),
            "--listen is not an option of natsmith registry list, but of monitor: see natsmith registry list --help",
        ),
        (("plan",), "natsmith plan needs -f FILE, or -f - for standard input: see natsmith plan --help"),
        (
            ("plan", "-f", "a", "b", "c"),
            "natsmith plan does not know what to do with 2 words among its options: write -f before each file",
        ),
        (
            ("status", "--check="),
            "--check is not an option of natsmith status, but of plan: see natsmith status --help",
        ),
        (
            ("status", "--timeout", "abc"),
            "--timeout is 'abc', but must be seconds such as 30: see natsmith status --help",
        ),
        (
            ("status", "--timeout", "nan"),
            "--timeout is 'nan', but must be seconds such as 30: see natsmith status --help",
        ),
        (("status", "--output", "xml"), "--output is 'xml', but must be text or json: see natsmith status --help"),
        (
            ("status", "--user"),
            "--user needs a value after it; one that begins with - is written --user=VALUE: see natsmith status --help",
        ),
        (("apply", "-f", "x", "--owner", "\udcff"), "--owner holds bytes that are not UTF-8: write it as UTF-8"),
    ],
)
def test_a_mistake_is_told_with_its_cure(words: tuple[str, ...], expected: str) -> None:
    assert [expected] == refused(*words)


@pytest.mark.parametrize(("verb", "needed"), [("plan", True), ("monitor", False)])
def test_help_says_where_values_are_needed(capsys: pytest.CaptureFixture[str], verb: str, needed: bool) -> None:
    """A monitor shows what is there without any."""
    with pytest.raises(SystemExit):
        parse((verb, "--help"))

    assert needed == ("needed, repeatable" in capsys.readouterr().out)


def test_every_unknown_option_is_named_at_once() -> None:
    assert ["--one", "--two"] == [each.split()[0] for each in refused("status", "--one=1", "x", "--two")]


def test_a_value_may_look_like_an_option_after_an_equals_sign() -> None:
    assert "-x" == parse(["plan", "-f", "x", "--user=-x"]).user


def test_values_are_taken_as_they_are_written() -> None:
    args = parse(["plan", "-fa", "-f", "-", "--values=b", "--set", "a=-1", "--timeout=2.5"])

    assert (["a", "-", "b"], ["a=-1"], 2.5) == (args.values, args.sets, args.timeout)


# JSON


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "--output", "json"),
        ("plan", "--output=json", "-f", "x", "--timeout", "abc"),
        ("plan", "-f", "x", "--output", "json", "--nothing"),
        ("plan", "-f", "no/such.yaml", "--output", "json"),
    ],
)
def test_a_failure_is_one_document_on_stdout(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert Exit.WRONG_VALUES == main(words)

    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert ("error", 2, "plan") == (document["kind"], document["exitCode"], document["command"])
    assert [f"error: {each}" for each in document["problems"]] == printed.err.splitlines()


def test_a_failure_without_a_verb_is_one_document_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert Exit.WRONG_VALUES == main(["--output", "json"])

    assert "" == json.loads(capsys.readouterr().out)["command"]


@pytest.mark.parametrize("words", [("plan", "-f", "no/such.yaml"), ("plan",)])
def test_errors_are_events_where_events_are_json(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert Exit.WRONG_VALUES == main([*words, "--log", "json"])

    (event,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert ("error", "error") == (event["level"], event["event"])
    assert event["text"]


# What nobody expected


def test_what_the_server_refuses_needs_a_decision() -> None:
    error = as_sentence(Refused(request="STREAM.CREATE.X", code=10052, text="no"))

    assert isinstance(error, DecisionNeeded)
    assert str(error).startswith("the server refused STREAM.CREATE.X: no (10052).")


def test_another_failure_is_a_bug() -> None:
    assert "natsmith itself failed (KeyError: 'x'): this is a bug." in str(as_sentence(KeyError("x")))


# Streams


@pytest.mark.parametrize(
    "command",
    [
        "natsmith schema | true",
        "natsmith schema | head -1 > /dev/null",
        "natsmith --help | true",
        "natsmith schema >&-",
        "natsmith schema <&-",
        "natsmith schema 2>&-",
        "natsmith schema <&- >&- 2>&-",
        "PYTHONUNBUFFERED=1 natsmith schema | true",
    ],
)
def test_nobody_who_listens_is_no_failure(command: str) -> None:
    assert (0, "") == shell(command)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("natsmith plan -f no/such.yaml --output json | true", 2),
        ("natsmith plan -f no/such.yaml 2> /dev/full", 2),
        ("natsmith plan -f no/such.yaml 2>&-", 2),
        ("natsmith plan -f no/such.yaml 2>&1 | true", 2),
    ],
)
def test_the_exit_code_stays_true_where_nobody_listens(command: str, code: int) -> None:
    assert code == shell(command)[0]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("what", ["schema", "--help"])
def test_a_full_disk_is_told(what: str) -> None:
    expected = (
        "error: the run ended with exit code 0, but its results could not be written: No space left on device. "
        "Mend what stdout goes to, then run the same command again\n"
    )
    assert (1, expected) == shell(f"natsmith {what} > /dev/full")


def test_closed_standard_input_is_no_empty_file() -> None:
    """Empty values would mean that nothing shall be there."""
    assert (2, "error: standard input cannot be read: it is closed\n") == shell("natsmith plan -f - <&-")


def test_a_closed_stderr_does_not_end_in_the_results() -> None:
    assert (0, "") == shell("natsmith plan -f no/such.yaml --output json 2>&- | python3 -m json.tool; true")
    assert (1, "") == shell("natsmith plan -f no/such.yaml 2>&- | grep .; test ${PIPESTATUS[1]} = 1 && exit 1")


def test_what_an_encoding_lacks_is_escaped() -> None:
    expected = "error: n\\xf6 does not exist: check its name and the directory you are in\n"
    assert (2, expected) == shell("PYTHONIOENCODING=ascii natsmith plan -f nö")


# --help


@pytest.mark.parametrize("verb", EXAMPLES)
def test_the_help_of_a_verb_ends_with_its_own_examples(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main([verb, "--help"])

    printed = capsys.readouterr().out
    examples = printed.partition("examples:\n")[2].splitlines()
    assert 2 <= len(examples) <= 3
    assert all(f"natsmith {verb}" in each for each in examples)
    assert "exit codes:" not in printed


def test_the_help_of_all_says_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["--help"])

    printed = capsys.readouterr().out
    assert "exit codes:" in printed
    assert "connection:" in printed


@pytest.mark.parametrize("verb", EXAMPLES)
def test_every_example_can_be_parsed(verb: str) -> None:
    for line in EXAMPLES[verb].splitlines():
        words = line.strip().split("   ")[0].split()
        end = next((place for place, word in enumerate(words) if word in (">", "|")), None)
        assert verb == parse(words[1:end]).verb


@pytest.mark.parametrize("given", ["8280", "here:port", "here:70000", "http://here:8280", "[::1:8280"])
def test_an_address_to_listen_at_that_is_none_is_told(given: str) -> None:
    code, said = shell(f"natsmith monitor --listen '{given}'")

    assert 2 == code
    assert f"--listen is '{given}', but must be a host and a port such as 127.0.0.1:8280" in said
