"""The user that asks servers to reload may do that and nothing else, whatever it asks and wherever it wants the answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nats.aio.client
import nats.errors
import pytest

from installed import Installed, data
from reloading import formed, installed, reload, rendered, secret, values
from waiting import Eventually

Install = Callable[..., Installed]
LOGIN = "reloader-SYS"
INBOX = "_INBOX_natsmith"
PING = "$SYS.REQ.SERVER.PING"

ASKED = [
    *("$SYS.REQ.SERVER.PING.JSZ", "$SYS.REQ.SERVER.PING.CONNZ", "$SYS.REQ.SERVER.X.VARZ", "$SYS.REQ.SERVER.X.LDM"),
    *("$SYS.REQ.SERVER.X.KICK", "$SYS.REQ.SERVER.X.PROFILEZ", "$SYS.REQ.ACCOUNT.A.INFO", "$SYS.REQ.USER.INFO"),
    *("$SYS.REQ.CLAIMS.UPDATE", "$SYS.ACCOUNT.A.CLAIMS.UPDATE", "$JS.API.INFO", "$JS.API.STREAM.LIST"),
    *("$JS.API.ACCOUNT.PURGE.A", "$JS.API.META.LEADER.STEPDOWN", "$JS.API.SERVER.REMOVE", "_INBOX.x", "orders"),
]
"""What the system user or somebody else may ask, and this one may not."""

HEARD = [">", "$SYS.>", "$SYS.ACCOUNT.*.CONNECT", "$JS.EVENT.>", "_INBOX.>", "_R_.>", "$SYS.REQ.SERVER.PING"]


async def connected(running: Installed, errors: asyncio.Queue[str]) -> nats.aio.client.Client:
    async def error(error: Exception) -> None:
        errors.put_nowait(str(error))

    return await running.connect(LOGIN, inbox_prefix=INBOX, error_cb=error)


async def test_it_may_neither_ask_nor_hear_anything_else(install: Install, tmp_path: Path, release: str) -> None:
    running = installed(install, tmp_path, values(), version=release)
    errors: asyncio.Queue[str] = asyncio.Queue()
    client = await connected(running, errors)
    for subject in ASKED:
        await client.publish(subject, b"{}")
        # nats-py writes subjects in small letters.
        refused = await asyncio.wait_for(errors.get(), timeout=5)
        assert f'permissions violation for publish to "{subject.lower()}"' in refused
    for subject in HEARD:
        await client.subscribe(subject)
        refused = await asyncio.wait_for(errors.get(), timeout=5)
        assert f'permissions violation for subscription to "{subject.lower()}"' in refused
    await client.close()


async def test_it_has_no_answer_sent_where_it_would_do_harm(
    install: Install, tmp_path: Path, release: str, eventually: Eventually
) -> None:
    """In the system account itself an answer at this subject would remove all that the account stores."""
    running = installed(install, tmp_path, values(3), version=release)
    await formed(running, eventually)
    job = await running.job()
    assert 0 == job.code, job.text
    watcher, client = await running.connect("sys"), await connected(running, asyncio.Queue())
    seen = await watcher.subscribe("$JS.API.>")
    await watcher.flush()
    mine = await client.subscribe(f"{INBOX}.answers")
    await client.publish(PING, b"", reply=mine.subject)
    servers = [json.loads((await mine.next_msg(timeout=5)).data)["server"]["id"] for _ in range(3)]

    for harm in ("$JS.API.ACCOUNT.PURGE.A", "$JS.API.META.LEADER.STEPDOWN"):
        for question in (PING, *(f"$SYS.REQ.SERVER.{each}.RELOAD" for each in servers)):
            await client.publish(question, b"", reply=harm)
    # The answers to these come after those, from each server.
    await client.publish(PING, b"", reply=mine.subject)
    for _ in range(3):
        await mine.next_msg(timeout=5)
    await watcher.flush()

    with pytest.raises(nats.errors.TimeoutError):
        await seen.next_msg(timeout=0.5)
    user = await running.connect("b")
    assert {"KV_kept", "KV_natsmith_state"} == {each.config.name for each in await user.jetstream().streams_info()}
    for each in (watcher, client, user):
        await each.close()


async def test_nobody_else_may_ask_for_a_reload(install: Install, tmp_path: Path, release: str) -> None:
    """The questions are given to one account only."""
    running = installed(install, tmp_path, values(), version=release)
    client = await running.connect("b")
    with pytest.raises((nats.errors.NoRespondersError, nats.errors.TimeoutError)):
        await client.request(PING, b"", timeout=0.5)
    await client.close()


@pytest.mark.parametrize(
    ("kind", "right", "told"),
    [
        ("publish", PING, f"may not publish on {PING}"),
        ("publish", "$SYS.REQ.SERVER.*.RELOAD", ".RELOAD"),
        ("subscribe", f"{INBOX}.>", "may not receive answers"),
    ],
)
async def test_it_needs_each_of_its_rights(
    install: Install, tmp_path: Path, newest: str, kind: str, right: str, told: str
) -> None:
    """Without one of them it is told which, at once."""
    running = installed(install, tmp_path, values(), version=newest)
    config = running.servers[0].config
    text = config.read_text()
    [found] = data(running.rendered)["accounts"]["_natsmith"]["users"]
    rights: dict[str, Any] = {key: list(each["allow"]) for key, each in found["permissions"].items()}
    # An empty list would allow everything.
    rights[kind] = [each for each in rights[kind] if each != right] or ["nothing"]
    config.write_text(_with(text, rights))
    running.servers[0].stop()
    running.servers[0].start()

    done = await reload(running)
    assert 3 == done.code, done.text
    assert told in done.stderr


def _with(text: str, rights: dict[str, Any]) -> str:
    """Return nats.conf with other rights of the reloader, the last `permissions` before its name."""
    end = text.index('"user": "reloader-SYS"')
    begin = text.rindex('"permissions"', 0, end)
    return f'{text[:begin]}"permissions": {json.dumps(rights)},\n{text[end:]}'


async def test_the_reloader_s_own_password_changes_like_any_other(
    install: Install, tmp_path: Path, release: str
) -> None:
    """The Job of the upgrade has the new one and the servers still know the old one: the system user, or a restart, helps."""
    running = installed(install, tmp_path, values(), version=release)
    changed = secret(values(), reloader="another")
    running.mounted(rendered(tmp_path, values()), changed)

    done = await reload(running, "--timeout", "1")
    assert 75 == done.code, done.text
    assert "it refuses the user or its credentials" in done.stderr
    password = running.natsmith().write("sys.password", "sys-password")
    natsmith = running.natsmith()
    words = ("--server", running.url, "--user", "sys", "--password-file", str(password))
    assert 0 == (await natsmith("reload", *words)).code
    assert 0 == (await reload(running)).code
