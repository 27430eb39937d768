"""Installing: the server runs, the objects are there, and everybody says so."""

from __future__ import annotations

import time

from e2e.release import MakeRelease

SOON = 30
"""Seconds from `helm install` until everything is provisioned, images being there."""


async def test_dev_is_provisioned_soon(release: MakeRelease) -> None:
    """The release is deployed, the Job succeeded and shows its log, and the buckets are as the values say."""
    dev = release()
    began = time.monotonic()
    ran = dev.installed("dev.yaml")

    assert time.monotonic() - began < SOON
    assert "deployed" == dev.status
    assert "create bucket service_registry: ttlSeconds 30" in ran.text
    assert "6 changes applied" in ran.text
    outcome = dev.outcome()
    assert (0, "done", 6) == (outcome["exitCode"], outcome["result"], outcome["changes"])
    dev.namespace.wait(f"deployment/{dev.fullname}-toolbox", "condition=Available")
    assert {"service_registry": 30, "sessions": 300} == {
        name: body["ttlSeconds"] for name, body in dev.exported()["buckets"].items()
    }


async def test_helm_test_is_green(release: MakeRelease) -> None:
    """It proves the expiry, and an application puts and gets."""
    dev = release()
    dev.installed("dev.yaml")

    ran = dev.run("test", dev.name, "--logs")

    assert 0 == ran.code, ran.text
    assert "holds bucket service_registry: a canary" in ran.text
    assert "app put a canary and got it back" in ran.text


async def test_the_application_puts_and_gets_through_the_service(release: MakeRelease) -> None:
    """Its password is in the Secret that NOTES name."""
    dev = release()
    notes = dev.installed("dev.yaml").out

    assert f"{dev.fullname}-credentials -o jsonpath='{{.data.app\\.app\\.password}}'" in notes
    async with dev.client() as client:
        bucket = await client.jetstream().key_value("sessions")
        await bucket.put("alice", b"token")
        assert b"token" == (await bucket.get("alice")).value
