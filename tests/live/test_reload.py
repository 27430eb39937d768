"""Users, accounts and permissions change while the servers run: the Job has them loaded, and checks it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import nats.aio.client
import nats.errors
import pytest

from installed import Installed, arguments, job_of
from reloading import Install, Watched, formed, installed, pids, reload, reloads, rendered, secret, values
from waiting import Eventually


@pytest.mark.parametrize("replicas", [1, 3])
async def test_a_permission_a_user_and_an_account_change_while_clients_stay(
    install: Install, tmp_path: Path, release: str, replicas: int, eventually: Eventually
) -> None:
    before = values(replicas)
    running = installed(install, tmp_path, before, version=release)
    await formed(running, eventually)
    first = await running.job()
    assert 0 == first.code, first.text
    assert [0] * replicas == reloads(running), "an install has nothing to reload"
    server, watched, other = pids(running), Watched(), Watched()
    client, beside = await watched.connect(running, "a"), await other.connect(running, "b")
    assert await watched.may(client, "x")
    assert not await watched.may(client, "y")

    after = values(replicas, may="y", C={"users": {"c": {}}, "jetstream": {"storage": "64Mi"}})
    after["accounts"]["A"]["users"]["d"] = {}
    after["buckets"]["new"] = {"account": "C", "replicas": replicas}
    running.mounted(rendered(tmp_path, after), secret(after))
    second = await running.job()

    assert 0 == second.code, second.text
    assert [1] * replicas == reloads(running)
    assert server == pids(running)
    assert await watched.may(client, "y")
    assert not await watched.may(client, "x")
    assert (0, 0) == (watched.lost, other.lost)
    for login in ("c", "d"):
        await (await running.connect(login)).close()
    made = await running.connect("c")
    assert {"KV_new", "KV_natsmith_state"} == {each.config.name for each in await made.jetstream().streams_info()}
    for each in (client, beside, made):
        await each.close()


async def test_a_user_that_is_gone_and_a_password_that_changed_end_their_connections_only(
    install: Install, tmp_path: Path, release: str, eventually: Eventually
) -> None:
    before = values()
    before["accounts"]["A"]["users"] |= {"gone": {}, "changed": {}}
    running = installed(install, tmp_path, before, version=release)
    watched = {login: Watched() for login in ("gone", "changed", "b")}
    clients = [await each.connect(running, login) for login, each in watched.items()]

    after = values()
    after["accounts"]["A"]["users"] |= {"changed": {}}
    running.mounted(rendered(tmp_path, after), secret(after, changed="another"))
    assert 0 == (await running.job()).code

    async def ended() -> bool:
        return bool(watched["gone"].lost and watched["changed"].lost)

    await eventually(ended, within=5)
    assert 0 == watched["b"].lost
    with pytest.raises((nats.errors.Error, ConnectionError)):
        await running.connect("changed", "changed-password")
    await (await running.connect("changed")).close()
    for each in clients:
        await each.close()


async def test_a_second_run_reloads_nothing(install: Install, tmp_path: Path, newest: str) -> None:
    running = installed(install, tmp_path, values(), version=newest)
    assert [0, 0] == [(await running.job()).code for _ in range(2)]

    assert [0] == reloads(running)


async def started(running: Installed, *more: str) -> asyncio.subprocess.Process:
    """Start what the Job runs; what is said again with *more* is another."""
    natsmith = running.natsmith()
    return await natsmith.start(*arguments(job_of(running.rendered), natsmith.home), *more)


async def told(process: asyncio.subprocess.Process, word: str) -> str:
    """Return the first line of stderr that holds *word*."""
    assert process.stderr
    async with asyncio.timeout(20):
        while line := (await process.stderr.readline()).decode():
            if word in line:
                return line
    raise AssertionError(f"the run ended without {word}")


async def test_the_job_waits_for_the_mounted_files(install: Install, tmp_path: Path, newest: str) -> None:
    """The kubelet takes its time: until then servers answer that they have the configuration before."""
    running = installed(install, tmp_path, values(), version=newest)
    files = running.rendered, running.others
    after = values(C={"users": {"c": {}}})
    upgraded = rendered(tmp_path, after)

    running.rendered, running.others = upgraded, (secret(after),)
    process = await started(running)
    assert "its file is still the one before" in await told(process, "server.waiting")
    running.rendered, running.others = files
    running.mounted(upgraded, secret(after))
    _, stderr = await asyncio.wait_for(process.communicate(), timeout=30)

    assert 0 == process.returncode, stderr.decode()
    assert "server.reloaded server=dev-natsmith-0" in stderr.decode()
    await (await running.connect("c")).close()


async def test_files_that_never_come_end_the_run_as_not_ready(install: Install, tmp_path: Path, newest: str) -> None:
    running = installed(install, tmp_path, values(), version=newest)
    after = values(C={"users": {"c": {}}})
    running.rendered, running.others = rendered(tmp_path, after), (secret(after),)

    process = await started(running, "--reload-within", "1")
    _, stderr = await asyncio.wait_for(process.communicate(), timeout=30)

    assert 75 == process.returncode
    assert (
        "error: dev-natsmith-0: the configuration before this one was still in the mounted files after 1 s. "
        "Kubernetes brings a changed one within a minute or two: run it again" in stderr.decode()
    )


async def test_a_configuration_that_servers_refuse_is_told_and_the_old_one_serves_on(
    install: Install, tmp_path: Path, release: str
) -> None:
    running = installed(install, tmp_path, values(), version=release)
    after = values(C={"users": {"c": {"permissions": {"publish": {"allow": ["a..b"]}}}}})
    running.mounted(rendered(tmp_path, after), secret(after))

    process = await started(running, "--reload-within", "1")
    _, stderr = await asyncio.wait_for(process.communicate(), timeout=30)

    assert 3 == process.returncode, stderr.decode()
    assert "server dev-natsmith-0 refuses its new configuration and serves on with the one before" in stderr.decode()
    assert "a..b" in stderr.decode()
    await (await running.connect("b")).close()


async def test_a_secret_that_no_server_can_read_is_told_without_what_it_holds(
    install: Install, tmp_path: Path, release: str
) -> None:
    running = installed(install, tmp_path, values(), version=release)
    after = values(C={"users": {"c": {}}})
    spoiled = secret(after)
    spoiled["stringData"]["C.c.conf"] = "hunter2 {\n"
    running.mounted(rendered(tmp_path, after), spoiled)

    process = await started(running, "--reload-within", "1")
    _, stderr = await asyncio.wait_for(process.communicate(), timeout=30)

    assert 3 == process.returncode, stderr.decode()
    assert "error parsing include file 'C.c.conf': its log says why" in stderr.decode()
    assert "hunter2" not in stderr.decode()


async def test_a_server_that_needs_a_restart_is_not_asked_to_reload(
    install: Install, tmp_path: Path, newest: str
) -> None:
    """Kubernetes restarts it; the run does not wait for that."""
    running = installed(install, tmp_path, values(), version=newest)
    after = values(may="y")
    after["nats"]["config"] = {"merge": {"max_payload": 2097152}}
    running.mounted(rendered(tmp_path, after), secret(after))

    job = await running.job()
    assert 0 == job.code, job.text
    assert [0] == reloads(running)


async def test_reload_tells_what_each_server_answered(install: Install, tmp_path: Path, newest: str) -> None:
    running = installed(install, tmp_path, values(3), version=newest)
    done = await reload(running, "--servers", "3")

    tag = job_of(running.rendered)["containers"][0]["args"]
    tag = tag[tag.index("--reload-expect") + 1]
    assert [
        *(f"loaded dev-natsmith-{number}: {tag}" for number in range(3)),
        "3 servers of 3 have loaded the files that are there. "
        "A Secret that changed within the last two minutes may not be among them: run it again then.",
    ] == done.stdout.splitlines()
    document = json.loads((await reload(running, "--servers", "3", "--output", "json")).stdout)
    assert ("reload", 0, [tag] * 3) == (
        document["kind"],
        document["exitCode"],
        [each["tag"] for each in document["servers"]],
    )


async def test_a_server_that_is_missing_is_told(install: Install, tmp_path: Path, newest: str) -> None:
    running = installed(install, tmp_path, values(3), version=newest)
    running.servers[2].stop()
    done = await reload(running, "--servers", "3")

    assert 75 == done.code, done.text
    assert "2 of 3 servers answered (dev-natsmith-0, dev-natsmith-1)" in done.stderr


async def test_a_server_that_is_down_is_not_waited_for_long(
    install: Install, tmp_path: Path, newest: str, eventually: Eventually
) -> None:
    """It loads its files when it starts; the others have theirs loaded."""
    running = installed(install, tmp_path, values(3), version=newest)
    await formed(running, eventually)
    running.servers[2].stop()
    after = values(3, C={"users": {"c": {}}})
    running.mounted(rendered(tmp_path, after), secret(after))

    job = await running.job()

    assert 0 == job.code, job.text
    assert "warning: 2 of 3 servers answer: one that starts later loads its new files by itself" in job.stderr
    assert [1, 1, 0] == reloads(running)


async def test_reload_waits_for_a_tag(install: Install, tmp_path: Path, newest: str) -> None:
    """Who has it already is not asked; one that needs a restart for it is told."""
    running = installed(install, tmp_path, values(), version=newest)
    arguments = job_of(running.rendered)["containers"][0]["args"]
    tag = arguments[arguments.index("--reload-expect") + 1]

    done = await reload(running, "--expect", tag)
    assert "1 server of 1 has loaded the files that are there." == done.last
    other = await reload(running, "--expect", "natsmith:000000000000-000000000000")
    assert "restarts dev-natsmith-0: what changed needs a restart, which Kubernetes gives it" in other.stdout
    assert [0] == reloads(running)
    wrong = await reload(running, "--expect", "latest")
    assert 2 == wrong.code
    assert "--expect is 'latest', but must be a tag that the chart gave" in wrong.stderr
