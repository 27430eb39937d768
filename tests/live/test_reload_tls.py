"""Certificates change while the servers run, and what is wrong with one is said."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from chart import Manifest
from cli import Result
from installed import Installed, certificate
from reloading import Install, Watched, installed, pids, reload, values


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
    return await reload(
        running, "--tls-ca", str(running.natsmith().write("old.crt", ca["stringData"]["ca.crt"])), *words
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
