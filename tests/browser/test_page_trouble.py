"""What the page says while a server or its monitor is away, and that it comes back by itself."""

from __future__ import annotations

from nats.aio.client import Client
from playwright.async_api import Page, expect

from browser.watched import Watched


async def test_a_server_that_goes_away_is_said_and_comes_back(watched: Watched, page: Page, client: Client) -> None:
    """What is shown stays, and that it is old stands above it."""
    await watched.apply()
    await watched.watch()
    await page.goto(watched.url)
    await expect(page.locator("#buckets")).to_contain_text("service_registry")
    await client.close()

    watched.server.kill()
    await expect(page.locator(".banner")).to_contain_text("cannot be read", timeout=15000)
    await expect(page.locator("#buckets")).to_contain_text("service_registry")
    await expect(page.locator("#tile-services")).to_contain_text("not heard now")
    watched.server.start()

    await expect(page.locator(".banner")).to_have_count(0, timeout=15000)
    await expect(page.locator("#tile-services")).to_contain_text("all heard from", timeout=15000)


async def test_a_monitor_that_goes_away_is_said_and_comes_back(watched: Watched, page: Page) -> None:
    """The browser connects again by itself."""
    await watched.apply()
    await watched.watch()
    await page.goto(watched.url)
    await expect(page.locator("#line")).to_have_text("live")

    assert 0 == await watched.stop()
    await expect(page.locator("#line")).to_contain_text("does not answer")
    await watched.watch()

    await expect(page.locator("#line")).to_have_text("live", timeout=15000)


async def test_without_a_server_the_page_says_what_is_missing(watched: Watched, page: Page) -> None:
    """And shows everything as soon as there is one."""
    watched.server.kill()
    await watched.watch("--timeout", "1")

    await page.goto(watched.url)
    await expect(page.locator(".banner")).to_contain_text("connection refused")
    await expect(page.locator("#buckets")).to_contain_text("Nothing was read yet.")
    await expect(page.locator("#tile-letters")).to_contain_text("not read yet")
    watched.server.start()

    await expect(page.locator("#plan")).to_contain_text("create bucket sessions", timeout=15000)
    await expect(page.locator(".banner")).to_have_count(0)
