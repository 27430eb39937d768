"""Builders for the tests of what every server does: ``contract_streams``, ``contract_messages``, ``contract_consumers``."""

from __future__ import annotations

from typing import Any

from natsmith.adapters.server import Config, Server, StreamInfo


def stream(name: str = "S", /, **more: Any) -> Config:
    """Return a stream in memory on subjects below its name."""
    return {"name": name, "subjects": [f"{name}.>"], "storage": "memory", **more}


def consumer(name: str = "c", /, **more: Any) -> Config:
    """Return a consumer that acknowledges."""
    return {"durable_name": name, "name": name, "ack_policy": "explicit", **more}


async def filled(server: Server, *subjects: str, **more: Any) -> Config:
    """Return the stream S after one message on each of *subjects*."""
    created = await server.create_stream(stream(**more))
    for subject in subjects:
        await server.publish(subject, b"0123456789")
    return created.config


async def found(server: Server, name: str = "S") -> StreamInfo:
    info = await server.stream(name)
    assert info is not None
    return info


async def changed(server: Server, config: Config, **change: Any) -> StreamInfo:
    return await server.update_stream({**config, **change})
