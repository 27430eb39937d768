"""A release whose servers load what changed: its values, its Secret, and the clients that take note of it."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nats.aio.client
import nats.errors

import chart
from chart import Manifest, Rendered
from cli import Result
from installed import Installed
from natsmith.views.secret import routes_file, user_files
from waiting import Eventually

Install = Callable[..., Installed]
FULL = "dev-natsmith"


def secret(values: Mapping[str, Any], **passwords: str) -> Manifest:
    """Return the Secret of all users of *values*; a password is the user's name, unless another is said."""
    users = ["_SYS.sys", "_SYS.reloader"]
    for account, body in values["accounts"].items():
        users += [f"{account}.provisioner", *(f"{account}.{name}" for name in body["users"])]
    files = routes_file(FULL, 3, passwords.get("routes", "routes-password"))
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


def routes(running: Installed) -> list[Counter[str]]:
    """Return how many connections each server has with each other one."""
    answers = []
    for number in range(len(running.servers)):
        url = f"{running.listens(number)['monitoring'][0]}/routez"
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310  (it is our own server's)
            answers.append(Counter(each["remote_name"] for each in json.load(answer)["routes"]))
    return answers


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


async def reload(running: Installed, *words: str) -> Result:
    """Run `natsmith reload` as in the toolbox."""
    natsmith = running.natsmith()
    return await natsmith("reload", "--connections", str(natsmith.home / "reloader.yaml"), *words)
