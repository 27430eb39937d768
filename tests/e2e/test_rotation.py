"""Passwords are renewed in two upgrades; who has the old one works until the second."""

from __future__ import annotations

import base64

import nats.errors

from e2e.release import MakeRelease, Release
from waiting import eventually

BEATING = """
import asyncio, nats, os

async def main():
    password = open("/credentials/app.app.password").read()
    client = await nats.connect(os.environ["SERVER"], user="app", password=password, max_reconnect_attempts=-1)
    while True:
        try:
            await client.request("$KV.sessions.beat", b"", timeout=1)
        except Exception as error:
            print(type(error).__name__, flush=True)
        await asyncio.sleep(0.1)

asyncio.run(main())
"""
"""An application that logged in with the first password, kept it, and comes back when its server restarts."""


def step(dev: Release, *sets: str) -> str:
    """Upgrade with what is set, wait until the servers have it, and return what Helm told."""
    told = dev.installed("dev.yaml", sets=sets).out
    dev.namespace.kubectl("rollout", "status", f"statefulset/{dev.fullname}", "--timeout=120s")
    return told


def newest(dev: Release) -> tuple[str, str]:
    """Return the login and the password that an application reads which knows nothing of generations."""
    data = dev.namespace.get("secret", f"{dev.fullname}-credentials")["data"]
    user, password = (base64.b64decode(data[f"app.app.newest.{each}"]).decode() for each in ("user", "password"))
    return user, password


async def beats(dev: Release, user: str) -> bool:
    """Tell whether the application goes on putting, as *user* sees it."""
    async with dev.client(user) as client:
        seen = await client.subscribe("$KV.sessions.beat")
        try:
            await seen.next_msg(timeout=3)
        except nats.errors.TimeoutError:
            return False
        return True


async def test_passwords_are_renewed_with_an_overlap(release: MakeRelease) -> None:
    """Both logins work between the two upgrades; after them only the new one, and a rollback brings the old one back."""
    dev = release()
    dev.installed("dev.yaml")
    old = dev.password("app.app")
    assert ("app", old) == newest(dev)
    dev.namespace.apply(dev.application("beating", BEATING))
    dev.namespace.wait("pod/beating", "condition=Ready")

    async def goes_on() -> bool:
        return await beats(dev, "app")

    await eventually(goes_on, within=60)
    told = step(dev, "credentials.generation=2", "credentials.overlap=true")
    assert "What clients had before works too, until the overlap ends: app." in told
    assert "app.2" == newest(dev)[0]
    assert newest(dev)[1] == dev.password("app.app.2") != old == dev.password("app.app")

    async def goes_on_as_seen_by_the_new() -> bool:
        return await beats(dev, "app.2")

    await eventually(goes_on_as_seen_by_the_new, within=60)
    async with dev.client("app") as client:
        assert client.is_connected
    refused = dev.upgrade("dev.yaml")
    assert refused.code
    assert "credentials.generation is 1, but this release has 2: clients that log in with 2 would be" in refused.text

    told = step(dev, "credentials.generation=2")
    assert "without an overlap" not in told
    assert not await dev.logs_in("app", old)
    assert not await beats(dev, "app.2")

    refused = dev.upgrade("dev.yaml")
    assert refused.code
    assert "credentials.generation is 1, but this release has 2" in refused.text
    back = dev.run("rollback", dev.name, "1")
    assert 0 == back.code, back.text
    dev.namespace.kubectl("rollout", "status", f"statefulset/{dev.fullname}", "--timeout=120s")
    assert ("app", old) == newest(dev)
    async with dev.client("app") as client:
        assert client.is_connected
