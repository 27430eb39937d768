"""The servers of a cluster get another password for what they say to each other."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import nats.errors
import nats.js.errors
import pytest
from nats.js.kv import KeyValue

from installed import Installed
from natsmith.actions import reloading
from natsmith.adapters.connections import Connection
from natsmith.adapters.system import connect_system
from natsmith.errors import NotReady
from natsmith.log import Log
from reloading import Install, Watched, formed, installed, pids, reload, reloads, rendered, routes, secret, values
from waiting import Eventually


async def three(install: Install, tmp_path: Path, version: str, eventually: Eventually) -> Installed:
    """Install three servers that know each other, and the objects."""
    running = installed(install, tmp_path, values(3), version=version)
    await formed(running, eventually)
    assert 0 == (await running.job()).code
    return running


@pytest.mark.parametrize("upgraded", [False, True], ids=["reload", "upgrade"])
async def test_routes_get_another_password_under_a_writer(
    install: Install, tmp_path: Path, release: str, eventually: Eventually, upgraded: bool
) -> None:
    """The servers part with their answers on the way, and find each other again."""
    running = await three(install, tmp_path, release, eventually)
    servers, connected, watched = pids(running), routes(running), Watched()
    client = await watched.connect(running, "b")
    bucket = await client.jetstream().key_value("kept")
    ending, written = asyncio.Event(), set[str]()
    writer = asyncio.create_task(writes(bucket, ending, written))

    after = values(3, may="y") if upgraded else values(3)
    running.mounted(rendered(tmp_path, after), secret(after, routes="another"))
    result = await (running.job() if upgraded else reload(running, "--servers", "3"))
    whole = routes(running)
    await formed(running, eventually)
    before = len(written)

    async def goes_on() -> bool:
        return len(written) > before + 20

    await eventually(goes_on, within=20)
    ending.set()
    await writer
    assert 0 == result.code, result.text
    assert connected == whole, "a server that restarts now parts two others for longer than it is away"
    assert servers == pids(running)
    assert all(count > 0 for count in reloads(running))
    assert 0 == watched.lost
    assert len(written) == (await bucket.status()).values
    await client.close()


@pytest.mark.parametrize("first", [0, 2])
async def test_files_that_come_to_one_server_sooner_part_it_until_the_others_have_them(
    install: Install, tmp_path: Path, newest: str, eventually: Eventually, first: int
) -> None:
    """The Job is asked to go on with whoever it reaches, and does not take the one it sees for all."""
    running = await three(install, tmp_path, newest, eventually)
    after = values(3, may="y")
    files = rendered(tmp_path, after), secret(after, routes="another")

    running.mounted(*files, only={first})
    job = asyncio.create_task(running.job())

    async def loaded() -> bool:
        return reloads(running)[first] > 0

    await eventually(loaded, within=20)
    # Time itself is what is waited for: the Job has to look more than once at a cluster that is parted.
    await asyncio.sleep(10)
    assert not job.done()
    running.mounted(*files)

    result = await job
    assert 0 == result.code, result.text
    assert all(count > 0 for count in reloads(running))
    await formed(running, eventually)


async def test_two_servers_that_find_each_other_no_more_are_named(
    install: Install, tmp_path: Path, newest: str, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    """Both go on with the third, so each answers whoever asks there."""
    monkeypatch.setattr(reloading, "PARTED_SECONDS", 8.0)
    running = await three(install, tmp_path, newest, eventually)
    own = ["one", "two", "one"]
    for server, password in zip(running.servers, own, strict=True):
        text = f'authorization: {{user: "routes", password: "{password}"}}\nroutes: []\n'
        (server.config.parent / "routes.conf").write_text(text)
    middle = running.servers[0].config.parent / "routes.conf"
    addresses = [running.listens(each)["cluster"][0].rpartition("/")[2] for each in (1, 2)]
    dialled = [
        f"nats-route://routes:{password}@{address}" for password, address in zip(own[1:], addresses, strict=True)
    ]
    middle.write_text(middle.read_text().replace("[]", json.dumps(dialled)))

    assert "but dev-natsmith-1 and dev-natsmith-2 are not connected with each other" in await refused(running)


async def test_a_server_that_alone_has_another_password_is_named(
    install: Install, tmp_path: Path, newest: str, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    """It may answer before it has loaded it, and then not any more."""
    monkeypatch.setattr(reloading, "PARTED_SECONDS", 8.0)
    running = await three(install, tmp_path, newest, eventually)
    running.mounted(rendered(tmp_path, values(3)), secret(values(3), routes="another"), only={2})

    told = await refused(running)

    apart = "dev-natsmith-0 and dev-natsmith-2, dev-natsmith-1 and dev-natsmith-2 are not connected"
    assert apart in told or "dev-natsmith-2 did not answer" in told


async def refused(running: Installed) -> str:
    """Return why the first server's cluster could not be reloaded."""
    login = Connection(server=running.servers[0].url, user="sys", password=running.user("sys").password)
    async with await connect_system(login, timeout=10, log=Log()) as system:
        with pytest.raises(NotReady) as told:
            await reloading.reload_all(system, count=3)
    return str(told.value)


async def writes(bucket: KeyValue, ending: asyncio.Event, written: set[str]) -> None:
    """Write one entry after the other, each until it is acknowledged."""
    while not ending.is_set():
        key = f"k{len(written)}"
        try:
            await bucket.put(key, b"")
        except (nats.errors.Error, nats.js.errors.APIError, TimeoutError):
            continue
        written.add(key)
