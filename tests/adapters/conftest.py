"""The server of the contract's tests here: the one in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from memory import MemoryServer
from waiting import Eventually

pytest.register_assert_rewrite("contract", "contract_consumers", "contract_messages", "contract_streams")


@pytest.fixture
def server() -> MemoryServer:
    return MemoryServer()


@pytest.fixture
def eventually(server: MemoryServer) -> Eventually:
    async def turn(happened: Callable[[], Awaitable[bool]], *, within: float) -> None:
        server.now += timedelta(seconds=within)
        assert await happened()

    return turn
