"""Passwords that break configuration files, in every way of giving them: the server and natsmith read the very same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import nats.errors
import pytest
import yaml

from chart import Manifest
from installed import Installed, User
from natsmith.adapters.connections_file import from_file
from natsmith.adapters.jetstream import connect
from natsmith.log import Log
from natsmith.views.secret import user_files

Install = Callable[..., Installed]

PASSWORDS = (
    # What nats.conf, YAML or Helm would take for something else without quotes.
    *("123456", "0", "007", "-1", "1.5", "1e6", "1k", "5G", "30s", "0x1F", "0o17", "12:30", "2024-01-01"),
    *("true", "false", "yes", "no", "on", "null", "~", "NaN", ".inf", "include users/x.conf", "YES"),
    # Spaces and quotes.
    *("a b", " leading", "trailing ", " ", '"', "'", 'a"b', "a'b", '"quoted"', "'quoted'", "`x`", '""', "''"),
    # Variables, flags, escapes.
    *("$HOME", "$$", "$", "${HOME}", "$2a", "-p", "--password", "\\", "\\\\", "a\\nb", "a\\tb", "\\x41", "\\u003e"),
    *("end\\", '\\"', "\\u0001", "%41", "%s", "{{ .Values }}", "{{", "}}", "!x", "&x", "*x", "@x", "|", ">"),
    # Comments, lists, maps, markup.
    *(
        "#",
        "a #b",
        "//",
        "a//b",
        ";",
        "a;b",
        "{}",
        "{",
        "}",
        "[]",
        "[",
        "]",
        "()",
        ",",
        ":",
        "a: b",
        "=",
        "<>&",
        "</a>",
    ),
    *("a@b:c/d", "---", "...", "?", "password: x"),
    # Long ones, and letters that are not ASCII.
    *(
        "x" * 200,
        "é",
        "e\u0301",
        "漢字",
        "🔑",
        "\u00a0",
        "\ufeffbom",
        "\u2028",
        "\u200b",
        "ß" * 100,
        "p\u0308 🔑 \"'\\$#",
    ),
)
"""Each is the password of a user and of a provisioner; neither Helm nor a file may change a byte of it."""

BY_ACCOUNT = {f"A{number}": password for number, password in enumerate(PASSWORDS)}


def plain(tmp_path: Path) -> tuple[Path, list[Manifest]]:
    """Give the passwords in a values file."""
    accounts = {
        account: {"users": {f"u-{account}": {"password": password}}, "provisioner": {"password": password}}
        for account, password in BY_ACCOUNT.items()
    }
    return written(tmp_path, {"accounts": accounts}), []


def existing(tmp_path: Path) -> tuple[Path, list[Manifest]]:
    """Give the passwords in a Secret for all users."""
    accounts: dict[str, object] = {account: {"users": {f"u-{account}": {}}} for account in BY_ACCOUNT}
    values = {"accounts": accounts, "credentials": {"existingSecret": "mine"}}
    servers = {**by_contract("_SYS.sys", "$1 k"), **by_contract("_SYS.reloader", "a b")}
    return written(tmp_path, values), [secret("mine", {**servers, **all_files()})]


def each_its_own(tmp_path: Path) -> tuple[Path, list[Manifest]]:
    """Give the passwords in a Secret for each account's two users."""
    accounts = {
        account: {
            "users": {f"u-{account}": {"existingSecret": f"secret-{account.lower()}"}},
            "provisioner": {"existingSecret": f"secret-{account.lower()}"},
        }
        for account in BY_ACCOUNT
    }
    secrets = [secret(f"secret-{account.lower()}", files(account)) for account in BY_ACCOUNT]
    return written(tmp_path, {"accounts": accounts}), secrets


def written(tmp_path: Path, values: dict[str, object]) -> Path:
    """Write a values file, in which every text is in quotes."""
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values, default_style='"', width=10_000))
    return file


def secret(name: str, content: dict[str, str]) -> Manifest:
    return {"kind": "Secret", "metadata": {"name": name}, "stringData": content}


def by_contract(key: str, password: str) -> dict[str, str]:
    """Return a user's two files as docs/credentials.md describes them: escaped for nats.conf, and plain."""
    escaped = password.replace("\\", "\\\\").replace('"', '\\"')
    return {f"{key}.conf": f'password: "{escaped}"\n', f"{key}.password": password}


def files(account: str) -> dict[str, str]:
    password = BY_ACCOUNT[account]
    return by_contract(f"{account}.u-{account}", password) | by_contract(f"{account}.provisioner", password)


def all_files() -> dict[str, str]:
    return {key: text for account in BY_ACCOUNT for key, text in files(account).items()}


@pytest.fixture(params=[plain, existing, each_its_own], ids=lambda way: way.__name__)
def running(request: pytest.FixtureRequest, install: Install, tmp_path: Path) -> Installed:
    """Run one server with a user and a provisioner for each password."""
    values, others = request.param(tmp_path)
    return install(values, others=others)


async def test_each_password_is_the_users_password_to_the_last_byte(running: Installed) -> None:
    """Servers, natsmith and helm test get it from files; none is changed on its way there."""
    users = [each for each in running.users if each.account in BY_ACCOUNT]
    assert 2 * len(PASSWORDS) == len(users)
    assert {} == {each.login: each.password for each in users if each.password != BY_ACCOUNT[each.account]}

    assert [] == await gathered(running, users, BY_ACCOUNT)
    changed = {account: password + " " for account, password in BY_ACCOUNT.items()}
    assert [each.login for each in users] == await gathered(running, users, changed)
    stripped = {account: password.strip() for account, password in BY_ACCOUNT.items() if password.strip() != password}
    spaced = [each for each in users if each.account in stripped]
    assert [each.login for each in spaced] == await gathered(running, spaced, stripped)


async def gathered(running: Installed, users: list[User], passwords: dict[str, str]) -> list[str]:
    """Return the login names of those who are refused with *passwords*."""
    gate = asyncio.Semaphore(16)

    async def refused(user: User) -> bool:
        async with gate:
            try:
                await (await running.connect(user.login, passwords[user.account])).close()
            except (nats.errors.Error, ConnectionError):
                return True
            return False

    answers = await asyncio.gather(*(refused(each) for each in users))
    return [each.login for each, answer in zip(users, answers, strict=True) if answer]


@pytest.mark.parametrize("file", ["connections.yaml", "applications.yaml"])
async def test_natsmith_logs_in_with_each_password_from_its_file(running: Installed, file: str) -> None:
    connections = from_file(running.natsmith().home / file)
    assert BY_ACCOUNT == {account: each.password for account, each in connections.items()}

    for account, connection in connections.items():
        async with await connect(connection, timeout=5, log=Log()) as server:
            assert account == await server.user_account()


async def test_the_job_serves_accounts_whose_passwords_are_of_every_kind(running: Installed) -> None:
    """The command line, with every account in one run, and no password in what it says."""
    result = await running.job()

    assert (0, "") == (result.code, result.stderr)
    assert "🔑" not in result.text


def test_natsmith_and_the_chart_write_the_same_file_for_a_password(install: Install, tmp_path: Path) -> None:
    values, _ = plain(tmp_path)
    made = install(values).files
    for account, password in BY_ACCOUNT.items():
        key = f"{account}.u-{account}"
        ours = user_files(key, password)
        assert ours == by_contract(key, password) == {name: made[name] for name in ours}
