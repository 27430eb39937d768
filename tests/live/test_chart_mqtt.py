"""MQTT as docs/config-merge.md turns it on, spoken as a device does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from installed import Installed
from merging import *  # noqa: F403  # its fixture
from merging import dialled, example, free, subscribed


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
