"""A release with TLS: what it asks of clients, and that its own Job and helm test have what it takes."""

from __future__ import annotations

import io
import json
import shutil
import ssl
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from installed import Installed, certificate
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import connect
from natsmith.errors import NatsmithError
from natsmith.log import Log

Install = Callable[..., Installed]
pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificate")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Return the directory of a certificate and its key."""
    return tmp_path / "certificate"


@pytest.fixture
def with_tls(install: Install, tmp_path: Path, own: Path) -> Callable[..., Installed]:
    """Install one server with TLS and a bucket; *more* settings of TLS."""

    def one(**more: bool) -> Installed:
        file = tmp_path / "values.yaml"
        values: dict[str, Any] = {"nats": {"tls": {"existingSecret": "mine", **more}}, "buckets": {"b": {}}}
        file.write_text(json.dumps(values))
        return install(file, others=[certificate(own, name="mine")])

    return one


async def refused(running: Installed, **more: str) -> bool:
    """Tell whether the application's user is refused; natsmith's own connection gives up in time, and nats-py does not."""
    user = running.user("app")
    given = {"server": running.url, "user": "app", "password": user.password, **more}
    try:
        async with await connect(Connection(**given), timeout=0.5, log=Log(stream=io.StringIO())):
            return False
    except NatsmithError:
        return True


async def test_a_client_that_does_not_know_the_certificate_is_no_client(
    with_tls: Callable[..., Installed], own: Path
) -> None:
    running = with_tls()

    assert not await refused(running, tls_ca=str(own / "tls.crt"))
    assert await refused(running)
    assert await refused(running, tls_ca=str(own / "tls.crt"), password="wrong")


async def test_a_client_without_a_certificate_is_refused_where_they_are_verified(
    with_tls: Callable[..., Installed], own: Path
) -> None:
    """One with a certificate still needs its password."""
    running = with_tls(verifyClients=True)
    shown = {"tls_ca": str(own / "tls.crt"), "tls_cert": str(own / "tls.crt"), "tls_key": str(own / "tls.key")}

    assert not await refused(running, **shown)
    assert await refused(running, tls_ca=str(own / "tls.crt"))
    assert await refused(running, **shown, password="wrong")


@pytest.mark.parametrize("verified", [False, True])
async def test_the_job_and_helm_test_speak_tls(with_tls: Callable[..., Installed], verified: bool) -> None:
    running = with_tls(verifyClients=verified)
    job = await running.job()
    assert 0 == job.code, job.text
    proof = await running.test()

    assert 0 == proof.code, proof.text
    assert "Applications put and get in 1 bucket" in proof.last


def test_monitoring_answers_over_https_where_it_is_asked_to(with_tls: Callable[..., Installed], own: Path) -> None:
    """As the probes ask: with no certificate, and no password."""
    running = with_tls(monitoring=True)
    address = running.listens(0)["monitoring"][0]
    assert address.startswith("https://")
    port = address.rpartition(":")[2]

    probe = running.rendered.one("StatefulSet")["spec"]["template"]["spec"]["containers"][0]["readinessProbe"][
        "httpGet"
    ]
    assert "HTTPS" == probe["scheme"]
    url = f"https://127.0.0.1:{port}{probe['path']}"
    with urllib.request.urlopen(
        url, timeout=5, context=ssl.create_default_context(cafile=str(own / "tls.crt"))
    ) as answer:
        assert {"status": "ok"} == json.load(answer)
