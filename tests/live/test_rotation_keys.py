"""An nkey and a certificate are renewed beside the old ones, and nobody is disconnected before these are taken away."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from installed import Installed, certificate
from memory_cluster import Cluster
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import connect
from natsmith.errors import NatsmithError
from natsmith.log import Log
from releases import laid
from rotating import *  # noqa: F403  # its fixtures
from rotating import START, Clients, Run, Step, refused, reloaded, upgraded
from test_chart_users import key


async def test_an_nkey_is_renewed_with_another_beside_it(
    cluster: Cluster,
    tmp_path: Path,
    run: Run,
    release: str,
    clients: Callable[[Installed], Clients],
) -> None:
    """Two keys of one user: who has the old one is cut when it is no longer named."""
    (old, old_seed), (new, new_seed) = key(), key()
    seeds = {"old": tmp_path / "old.nk", "new": tmp_path / "new.nk"}
    seeds["old"].write_text(old_seed)
    seeds["new"].write_text(new_seed)

    def step(**given: Any) -> Step:
        return upgraded(cluster, laid(START, {"accounts": {"A": {"users": {"u": given}}}})), []

    running = run(step(nkey=old), release)
    seen = clients(running)
    await seen.connect("old", nkeys_seed=str(seeds["old"]))
    assert await refused(running, nkeys_seed=str(seeds["new"]))

    await reloaded(running, *step(nkey=new, previousNkey=old))
    await seen.connect("new", nkeys_seed=str(seeds["new"]))
    assert ["new", "old"] == await seen.there()

    await reloaded(running, *step(nkey=new))
    assert (["new"], ["old"]) == (await seen.there(), await seen.gone())
    assert await refused(running, nkeys_seed=str(seeds["old"]))


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificates")
@pytest.mark.parametrize("servers", [1, 3])
async def test_a_certificate_of_another_authority_takes_over(
    servers: int,
    cluster: Cluster,
    tmp_path: Path,
    run: Run,
    release: str,
    clients: Callable[[Installed], Clients],
) -> None:
    """Trust in both, then the new certificate, then trust in the new one alone: no step disconnects anybody."""
    old, new = (certificate(tmp_path / name, name="mine")["stringData"] for name in ("old", "new"))
    both = {"ca.crt": old["ca.crt"] + new["ca.crt"]}
    values = laid(
        START,
        {
            "nats": {
                "replicas": servers,
                "tls": {"existingSecret": "mine", "verifyClients": True},
            }
        },
    )
    release_of = upgraded(cluster, values)

    def step(**files: str) -> Step:
        return release_of, [{"kind": "Secret", "metadata": {"name": "mine"}, "stringData": files}]

    def files(shown: str, trusted: str) -> dict[str, str]:
        path = tmp_path / f"trusted-{len(trusted)}-{shown}.crt"
        path.write_text(trusted)
        own = tmp_path / shown
        return {
            "tls_ca": str(path),
            "tls_cert": str(own / "tls.crt"),
            "tls_key": str(own / "tls.key"),
        }

    def login(shown: str, trusted: str) -> dict[str, Any]:
        given = files(shown, trusted)
        context = ssl.create_default_context(cafile=given["tls_ca"])
        context.load_cert_chain(given["tls_cert"], given["tls_key"])
        return {"user": "u", "password": running.user("u").password, "tls": context}

    async def out(shown: str, trusted: str, *, within: float = 1) -> bool:
        """Tell whether the first server refuses; natsmith's own connection gives up in time, and nats-py's does not."""
        who = {
            "server": running.servers[0].url,
            "user": "u",
            "password": running.user("u").password,
        }
        try:
            async with await connect(
                Connection(**who, **files(shown, trusted)),
                timeout=within,
                log=Log(stream=StringIO()),
            ):
                return False
        except NatsmithError:
            return True

    running = run(step(**old), release)
    seen = clients(running)
    await seen.connect("old", **login("old", old["ca.crt"]))
    assert await out("new", both["ca.crt"])

    await reloaded(running, *step(**{**old, **both}))
    await seen.connect("new", **login("new", both["ca.crt"]))
    assert ["new", "old"] == await seen.there()

    await reloaded(running, *step(**{**new, **both}))
    assert ["new", "old"] == await seen.there()
    assert await out("old", old["ca.crt"])
    assert not await out("old", both["ca.crt"], within=20)

    await reloaded(running, *step(**new))
    assert ["new", "old"] == await seen.there()
    assert await out("old", both["ca.crt"])
    assert not await out("new", new["ca.crt"], within=20)
    job = await running.job()
    assert 0 == job.code, job.text
