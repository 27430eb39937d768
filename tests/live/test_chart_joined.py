"""Servers that are joined by docs/config-merge.md: leaves and gateways of other clusters."""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from embedded import Embedded
from installed import Installed, certificate, connected
from merging import *  # noqa: F403  # its fixture
from merging import PAGE, example, free, merged, subscribed, with_openssl
from versions import binary


async def crosses(sender: Client, receiver: Client) -> bool:
    """Whether what one publishes reaches the other, once both servers know who listens where."""
    async with subscribed(receiver, "crossing.>") as first:
        for _ in range(100):
            await sender.publish("crossing.here", b"over there")
            await sender.flush()
            # Interest travels by itself and nobody announces that it arrived, so the message is sent again.
            done, _ = await asyncio.wait({first}, timeout=0.1)
            if done:
                return first.result() == ("crossing.here", b"over there")
    return False


@contextmanager
def another(program: Path, config: dict[str, Any], name: str) -> Iterator[Embedded]:
    """Run a second server, which is not the release's."""
    with tempfile.TemporaryDirectory(prefix="natsmith-") as directory:
        home = Path(directory)
        (home / "nats.conf").write_text(json.dumps(config))
        server = Embedded(program, home, home / "nats.conf", ("--name", name))
        try:
            server.start()
            yield server
        finally:
            server.end()


async def test_a_leaf_joins_the_account_of_its_user(running: Callable[..., Installed]) -> None:
    """What is published on either side is heard on the other."""
    port = free()
    release = running("leafnodes", example("leafnodes"), port=port)
    [said] = re.findall(r'url: "(nats-leaf://app:PASSWORD@nats.example.com:7422)"', PAGE.read_text())
    url = said.replace("PASSWORD", release.user("app").password).replace("nats.example.com:7422", f"127.0.0.1:{port}")

    with another(release.servers[0].binary, {"leafnodes": {"remotes": [{"url": url}]}}, "leaf") as leaf:
        for there, here in ((True, False), (False, True)):
            ends = [await (connected(servers=[leaf.url]) if each else release.connect("app")) for each in (there, here)]
            try:
                assert await crosses(*ends)
            finally:
                for each in ends:
                    await each.close()


async def test_a_leaf_without_a_password_stays_outside(
    running: Callable[..., Installed], eventually: Callable[..., Any]
) -> None:
    port = free()
    release = running("leafnodes", example("leafnodes"), port=port)

    async def refused() -> bool:
        return "Authorization Violation" in leaf.log

    remotes = [{"url": f"nats-leaf://app:guessed@127.0.0.1:{port}"}]
    with another(release.servers[0].binary, {"leafnodes": {"remotes": remotes}}, "leaf") as leaf:
        await eventually(refused, within=10)


def west(port: int, own: Path, ca: Path, **more: Any) -> dict[str, Any]:
    """Return the configuration of another cluster, with the certificate in *own*, that trusts the one in *ca*."""
    files = {"cert_file": str(own / "tls.crt"), "key_file": str(own / "tls.key"), "ca_file": str(ca / "tls.crt")}
    return {
        "accounts": {"app": {"users": [{"user": "theirs", "password": "pw"}]}},
        "gateway": {"name": "west", "host": "127.0.0.1", "port": port, "tls": {**files, "verify": True}, **more},
    }


@pytest.fixture
def cluster(running: Callable[..., Installed], tmp_path: Path) -> Callable[[int], Installed]:
    """Install the three servers of the page, which know of a cluster `west` at that port."""

    def one(port: int) -> Installed:
        values = example("gateway", tls=True)
        [theirs] = merged(values)["gateway"]["gateways"]
        theirs["urls"] = [f"nats://127.0.0.1:{port}"]
        return running("gateway", values, port=-1, others=[certificate(tmp_path / "own", name="dev-tls")])

    return one


@with_openssl
async def test_a_gateway_joins_accounts_of_one_name(cluster: Callable[[int], Installed], tmp_path: Path) -> None:
    """What is published on either side is heard on the other, and JetStream works as before."""
    port = free()
    release = cluster(port)
    own = tmp_path / "own"

    with another(release.servers[0].binary, west(port, own, own), "west-0") as server:
        theirs = {"servers": [server.url], "user": "theirs", "password": "pw"}
        for there, here in ((True, False), (False, True)):
            ends = [await (connected(**theirs) if each else release.connect("app")) for each in (there, here)]
            try:
                assert await crosses(*ends)
            finally:
                for each in ends:
                    await each.close()
        job = await release.job()
        assert 0 == job.code, job.text


@with_openssl
async def test_a_gateway_lets_in_only_whom_its_authority_signed(
    cluster: Callable[[int], Installed], tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    """A cluster of that name, but with a certificate of its own making."""
    release = cluster(free())
    [address] = re.findall(r"Listening for gateways connections on (\S+)", release.servers[0].log)
    certificate(tmp_path / "stranger", name="stranger")
    gateways = [{"name": "dev-natsmith", "urls": [f"nats://{address}"]}]
    config = west(free(), tmp_path / "stranger", tmp_path / "own", gateways=gateways)

    async def refused() -> bool:
        return "TLS gateway handshake error" in release.servers[0].log

    with another(release.servers[0].binary, config, "west-0") as server:
        await eventually(refused, within=15)
        assert "Outbound gateway connection" not in release.servers[0].log.partition("handshake error")[0]
        assert server.process


@pytest.mark.parametrize("section", [{"gateway": {"name": "a", "port": -1}}, {"cluster": {"name": "a", "port": -1}}])
def test_one_server_alone_has_no_gateway_and_is_no_cluster(
    tmp_path: Path, newest: str, section: dict[str, Any]
) -> None:
    """Why the chart refuses both."""
    config = {"jetstream": {"store_dir": str(tmp_path)}, **section}

    with pytest.raises(RuntimeError, match="requires configured routes"), another(binary(newest), config, "alone"):
        pass


def test_a_gateway_has_the_name_of_its_cluster(newest: str) -> None:
    """Why the chart refuses another one."""
    config = {"cluster": {"name": "a", "port": -1}, "gateway": {"name": "b", "port": -1}}

    with pytest.raises(RuntimeError, match="cluster name conflicts"), another(binary(newest), config, "two-names"):
        pass
