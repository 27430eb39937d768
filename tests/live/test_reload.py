"""Users, accounts, permissions and certificates change while the servers run: the Job has them loaded, and checks it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nats.aio.client
import nats.errors
import pytest

import chart
from chart import Manifest, Rendered
from cli import Result
from installed import Installed, arguments, certificate, job_of
from natsmith.views.secret import routes_file, user_files
from waiting import Eventually

Install = Callable[..., Installed]
FULL = "dev-natsmith"


def secret(values: Mapping[str, Any], **passwords: str) -> Manifest:
    """Return the Secret of all users of *values*; a password is the user's name, unless another is said."""
    users = ["_SYS.sys", "_SYS.reloader"]
    for account, body in values["accounts"].items():
        users += [f"{account}.provisioner", *(f"{account}.{name}" for name in body["users"])]
    files = routes_file(FULL, 3, "routes-password")
    for key in users:
        name = key.partition(".")[2]
        files |= user_files(key, passwords.get(name, f"{name}-password"))
    return {"kind": "Secret", "metadata": {"name": "users"}, "stringData": files}


def values(replicas: int = 1, *, may: str = "x", **accounts: Any) -> dict[str, Any]:
    """Return a release with the account A: its user `a` may publish one subject, `b` everything."""
    users = {"a": {"permissions": {"publish": {"allow": [may]}}}, "b": {}}
    return {
        "nats": {"replicas": replicas},
        "credentials": {"existingSecret": "users"},
        "accounts": {"A": {"users": users}, **accounts},
        "buckets": {"kept": {"account": "A", "replicas": replicas}},
    }


def rendered(tmp_path: Path, given: Mapping[str, Any]) -> Rendered:
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps(given))
    return chart.render([file])


def installed(install: Install, tmp_path: Path, given: Mapping[str, Any], *more: Manifest, version: str) -> Installed:
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps(given))
    return install(file, others=(secret(given), *more), version=version)


async def formed(running: Installed, eventually: Eventually) -> None:
    """Return when several servers know each other: until then there are too few for three replicas."""
    client = await running.connect("sys")

    async def known() -> bool:
        answer = await client.request("$SYS.REQ.SERVER.PING.JSZ", b"{}", timeout=5)
        meta = json.loads(answer.data)["data"].get("meta_cluster", {})
        return len(running.servers) == 1 or (
            bool(meta.get("leader")) and len(meta.get("replicas") or []) == len(running.servers) - 1
        )

    await eventually(known, within=20)
    await client.close()


def reloads(running: Installed) -> list[int]:
    """Return how often each server has reloaded, by its own log."""
    return [each.log.count("Reloaded server configuration") for each in running.servers]


def pids(running: Installed) -> list[int]:
    return [each.process.pid for each in running.servers if each.process]


class Watched:
    """A client that takes note of what happens to it."""

    def __init__(self) -> None:
        self.lost = 0
        self.errors: asyncio.Queue[str] = asyncio.Queue()

    async def connect(self, running: Installed, login: str) -> nats.aio.client.Client:
        async def lost() -> None:
            self.lost += 1

        async def error(error: Exception) -> None:
            self.errors.put_nowait(str(error))

        return await running.connect(login, disconnected_cb=lost, error_cb=error)

    async def may(self, client: nats.aio.client.Client, subject: str) -> bool:
        """Return whether the server lets the client publish *subject*; nobody may publish what comes after it."""
        await client.publish(subject, b"")
        await client.publish("last", b"")
        first = await asyncio.wait_for(self.errors.get(), timeout=5)
        if '"last"' in first:
            return True
        assert f'"{subject}"' in first
        assert '"last"' in await asyncio.wait_for(self.errors.get(), timeout=5)
        return False


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


async def reload(running: Installed, *words: str) -> Result:
    """Run `natsmith reload` as in the toolbox."""
    natsmith = running.natsmith()
    return await natsmith("reload", "--connections", str(natsmith.home / "reloader.yaml"), *words)


def tls(replicas: int = 1) -> dict[str, Any]:
    given = values(replicas)
    given["nats"]["tls"] = {"existingSecret": "tls"}
    return given


needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificates")


@needs_openssl
@pytest.mark.parametrize("replicas", [1, 3])
async def test_a_new_certificate_is_shown_without_a_restart(
    install: Install, tmp_path: Path, release: str, replicas: int
) -> None:
    first, second = (certificate(tmp_path / name, name="tls") for name in ("first", "second"))
    running = installed(install, tmp_path, tls(replicas), first, version=release)
    server, watched = pids(running), Watched()
    client = await watched.connect(running, "b")

    running.mounted(running.rendered, second)
    # Who asks trusts the old one, which servers show until they were asked.
    done = await reload_trusting(running, first, "--servers", str(replicas))

    assert 0 == done.code, done.text
    assert f"{replicas} server" in done.last
    assert server == pids(running)
    assert 0 == watched.lost
    for _ in range(3):
        await (await running.connect("b")).close()
    await client.close()


async def reload_trusting(running: Installed, ca: Manifest, *words: str) -> Result:
    natsmith = running.natsmith()
    file = natsmith.write("old.crt", ca["stringData"]["ca.crt"])
    return await natsmith(
        "reload", "--connections", str(natsmith.home / "reloader.yaml"), "--tls-ca", str(file), *words
    )


@needs_openssl
async def test_a_certificate_without_its_key_is_refused_and_the_old_one_serves_on(
    install: Install, tmp_path: Path, release: str
) -> None:
    first, second = (certificate(tmp_path / name, name="tls") for name in ("first", "second"))
    running = installed(install, tmp_path, tls(), first, version=release)
    mixed = {**first, "stringData": {**first["stringData"], "tls.key": second["stringData"]["tls.key"]}}
    running.mounted(running.rendered, mixed)

    done = await reload_trusting(running, first)
    assert 3 == done.code, done.text
    assert "private key does not match public key" in done.stderr
    assert "serves on with the one before" in done.stderr
    await (await running.connect("b")).close()


@needs_openssl
async def test_a_certificate_that_has_ended_is_called_so_and_servers_are_told_by_themselves(
    install: Install, tmp_path: Path, release: str
) -> None:
    """Nobody can log in any more to have them reload: a signal does, and no server restarts."""
    first, ended, last = (
        certificate(tmp_path / name, name="tls", ended=name == "ended") for name in ("first", "ended", "last")
    )
    running = installed(install, tmp_path, tls(), first, version=release)
    server = pids(running)
    running.mounted(running.rendered, ended)
    assert 0 == (await reload_trusting(running, first)).code

    refused = await reload_trusting(running, ended, "--timeout", "2")
    running.mounted(running.rendered, last)
    for each in server:
        os.kill(each, signal.SIGHUP)  # what nats-server --signal reload does
    done = await reload_trusting(running, last)

    assert (75, 0) == (refused.code, done.code), refused.text + done.text
    assert "TLS failed: certificate has expired. Check the CA, the client certificate, and the names and the end" in (
        refused.stderr
    )
    assert server == pids(running)


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
