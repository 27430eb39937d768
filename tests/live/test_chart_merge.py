"""The examples of docs/config-merge.md: each is rendered, run by a real nats-server, and used as a client would."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from nats.aio.client import Client

import chart
from embedded import Embedded
from installed import Installed, certificate, connected
from versions import binary

Install = Callable[..., Installed]

PAGE = Path(__file__).parents[2] / "docs/config-merge.md"
EXAMPLES = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.M | re.S)]
with_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificate")


def example(section: str, *, tls: bool = False) -> dict[str, Any]:
    """Return the values of the page's example that has this section of nats.conf."""
    [found] = [each for each in EXAMPLES if section in merged(each) and tls == ("tls" in each["nats"])]
    copy: dict[str, Any] = json.loads(json.dumps(found))
    return copy


def merged(values: dict[str, Any]) -> dict[str, Any]:
    """Return what an example lays over nats.conf."""
    found: dict[str, Any] = values["nats"]["config"]["merge"]
    return found


def free() -> int:
    """Return a port that nobody listens on: the server does not tell where it listens for all of these."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@pytest.fixture
def running(install: Install, tmp_path: Path) -> Callable[..., Installed]:
    """Install an example, with a port that is free here in place of the section's own."""

    def one(section: str, values: dict[str, Any], *, port: int, **more: Any) -> Installed:
        assert [merged(values)[section]["port"]] == [each["port"] for each in values["nats"]["extraPorts"].values()]
        merged(values)[section].update(port=port, host="127.0.0.1")
        file = tmp_path / "values.yaml"
        file.write_text(json.dumps({**values, "buckets": {"b": {}}}))
        return install(file, **more)

    return one


@with_openssl
@pytest.mark.parametrize("place", range(len(EXAMPLES)))
def test_every_server_version_takes_every_example(release: str, place: int, tmp_path: Path) -> None:
    """As the page has it, with its ports."""
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps(EXAMPLES[place]))
    others = [certificate(tmp_path / "certificate", name="dev-tls")]
    server = chart.server(chart.render([file]), tmp_path, others=others)

    command = [str(binary(release)), "-t", "-c", str(server.config)]
    environment = {**os.environ, **server.environment}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert "is valid" in done.stderr, done.stderr
    assert 0 == done.returncode


@asynccontextmanager
async def subscribed(client: Client, subject: str) -> AsyncIterator[asyncio.Future[tuple[str, bytes]]]:
    """Give what comes first on a subject, and close the client after it."""
    first: asyncio.Future[tuple[str, bytes]] = asyncio.get_running_loop().create_future()

    async def note(message: Any) -> None:
        if not first.done():
            first.set_result((message.subject, message.data))

    try:
        await client.subscribe(subject, cb=note)
        await client.flush()
        yield first
    finally:
        await client.close()


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


class Websocket:
    """As much of RFC 6455 as NATS needs: masked frames out, short ones in."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._told = b""

    async def shake_hands(self, host: str) -> bytes:
        """Ask for a websocket, and return the first line of the answer."""
        lines = ["GET / HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade"]
        lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", "", ""]
        self._writer.write("\r\n".join(lines).encode())
        answer = await self._reader.readuntil(b"\r\n\r\n")
        return answer.partition(b"\r\n")[0]

    def say(self, text: str) -> None:
        """Send a frame; a mask of zeros is one."""
        data = text.encode()
        length = bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0x80 | 126]) + len(data).to_bytes(2, "big")
        self._writer.write(b"\x82" + length + bytes(4) + data)

    async def hears(self, pattern: bytes) -> bytes:
        """Return what a pattern matches, when it has come."""
        while not (found := re.search(pattern, self._told)):
            _, length = await self._reader.readexactly(2)
            if length == 126:
                length = int.from_bytes(await self._reader.readexactly(2), "big")
            self._told += await self._reader.readexactly(length)
        return found[0]


@asynccontextmanager
async def dialled(port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[Any, Any]]:
    """Open a connection for a block, which may take ten seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    try:
        async with asyncio.timeout(10):
            yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):  # the server may have been first
            await writer.wait_closed()


@pytest.mark.parametrize("tls", [False, pytest.param(True, marks=with_openssl)])
async def test_a_websocket_is_a_connection_like_others(
    running: Callable[..., Installed], tmp_path: Path, tls: bool
) -> None:
    """It logs in, hears what others publish, and is heard."""
    port = free()
    others = [certificate(tmp_path / "certificate", name="dev-tls")] if tls else []
    release = running("websocket", example("websocket", tls=tls), port=port, others=others)
    context = ssl.create_default_context(cadata=release.ca) if tls else None
    login = {"user": "app", "pass": release.user("app").password, "verbose": False}

    async with dialled(port, context) as ends, subscribed(await release.connect("app"), "from.ws") as first:
        socket = Websocket(*ends)
        assert b"101" in await socket.shake_hands("127.0.0.1")
        await socket.hears(rb"INFO \{.*\} *\r\n")
        socket.say(f"CONNECT {json.dumps(login)}\r\nSUB to.ws 1\r\nPUB from.ws 5\r\nhello\r\nPING\r\n")
        await socket.hears(b"PONG\r\n")

        assert ("from.ws", b"hello") == await asyncio.wait_for(first, timeout=5)
        client = await release.connect("app")
        await client.publish("to.ws", b"there")
        await client.close()
        await socket.hears(rb"MSG to\.ws 1 5\r\nthere\r\n")


async def test_a_websocket_asks_for_a_password(running: Callable[..., Installed]) -> None:
    port = free()
    running("websocket", example("websocket"), port=port)

    async with dialled(port) as ends:
        socket = Websocket(*ends)
        await socket.shake_hands("127.0.0.1")
        socket.say('CONNECT {"user": "app", "pass": "guessed", "verbose": false}\r\nPING\r\n')
        await socket.hears(b"Authorization Violation")


def mqtt(*fields: str) -> bytes:
    """Return strings as MQTT writes them, each after its length."""
    return b"".join(len(each.encode()).to_bytes(2, "big") + each.encode() for each in fields)


def packet(kind: int, body: bytes) -> bytes:
    """Return a packet of MQTT that is short."""
    assert len(body) < 128
    return bytes([kind, len(body)]) + body


def hello(user: str, password: str) -> bytes:
    """Return CONNECT of MQTT 3.1.1: a clean session with a login, for a minute."""
    return packet(0x10, mqtt("MQTT") + b"\x04\xc2\x00\x3c" + mqtt("device", user, password))


async def test_what_a_device_publishes_by_mqtt_arrives_as_a_message(running: Callable[..., Installed]) -> None:
    """At least once, which takes JetStream; and natsmith leaves alone what the server makes for that."""
    port = free()
    release = running("mqtt", example("mqtt"), port=port)
    assert 0 == (await release.job()).code

    async with (
        dialled(port) as (reader, writer),
        subscribed(await release.connect("app"), "sensors.>") as first,
    ):
        writer.write(hello("app", release.user("app").password))
        assert b"\x20\x02\x00\x00" == await reader.readexactly(4), "CONNACK: accepted"
        writer.write(packet(0x32, mqtt("sensors/kitchen") + b"\x00\x07" + b"21 C"))
        assert b"\x40\x02\x00\x07" == await reader.readexactly(4), "PUBACK of packet 7"

        assert ("sensors.kitchen", b"21 C") == await asyncio.wait_for(first, timeout=5)
    again = await release.job()
    assert again.last.startswith("Nothing to do"), again.text


async def test_mqtt_asks_for_a_password(running: Callable[..., Installed]) -> None:
    port = free()
    running("mqtt", example("mqtt"), port=port)

    async with dialled(port) as (reader, writer):
        writer.write(hello("app", "guessed"))
        assert b"\x20\x02\x00\x05" == await reader.readexactly(4), "CONNACK: not authorized"


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
