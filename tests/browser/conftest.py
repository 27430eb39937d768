"""A real browser in front of a real monitor in front of a real server."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client
from playwright.async_api import Browser, Page, async_playwright

from browser.watched import Watched
from embedded import nats_server

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Start the browser that is on this machine."""
    found = next((path for each in BROWSERS if (path := shutil.which(each))), None)
    if found is None:
        pytest.fail(f"none of {', '.join(BROWSERS)} is on PATH: install one, such as Debian's package chromium")
    async with async_playwright() as playwright:
        # A container has no other user to give the browser to; what it opens is our own page.
        started = await playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        await started.close()


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    """Start a server; the test starts the monitor."""
    with nats_server() as server:
        here = Watched(server, tmp_path)
        yield here
        await here.stop()


@pytest.fixture
async def client(watched: Watched) -> AsyncIterator[Client]:
    """Connect an application."""
    connected = await nats.connect(watched.server.url)
    yield connected
    await connected.close()


@pytest.fixture
async def page(browser: Browser, watched: Watched) -> AsyncIterator[Page]:
    """Open an empty page; what it says on its console, and what it asks of anybody else, fails the test."""
    opened = await browser.new_page()
    wrong: list[str] = []
    opened.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("request", lambda asked: None if asked.url.startswith(watched.url) else wrong.append(asked.url))
    yield opened
    await opened.close()
    # A monitor that is stopped is missed on the console, and nothing else is.
    assert [] == [each for each in wrong if "ERR_CONNECTION_REFUSED" not in each and "ERR_INCOMPLETE" not in each]
