"""The page for everybody: phones, dark rooms, the keyboard and screen readers."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from nats.aio.client import Client
from playwright.async_api import Browser, Page, expect

from browser.watched import VALUES, Watched, changed, refused
from natsmith.registry import Registry, Status

AXE = Path(__file__).with_name("node_modules") / "axe-core" / "axe.min.js"


async def test_no_word_is_cut_on_a_small_phone(watched: Watched, page: Page, client: Client) -> None:
    """The longest state is that of what natsmith did not provision."""
    await client.jetstream().add_stream(name="BY_HAND", subjects=["by.hand"])
    await watched.watch(values=None)
    await page.set_viewport_size({"width": 360, "height": 800})
    await page.goto(watched.url)
    await expect(page.locator("#streams-table")).to_contain_text("not provisioned by natsmith")

    assert await page.evaluate(
        "[...document.querySelectorAll('.wide')].every(each => each.scrollWidth <= each.clientWidth)"
    )


async def test_a_phone_and_a_dark_room(watched: Watched, browser: Browser) -> None:
    """Nothing is wider than the screen, and the colours follow what the system says."""
    await watched.apply()
    await watched.watch()
    page = await browser.new_page(viewport={"width": 360, "height": 700}, color_scheme="dark")
    await page.goto(watched.url)
    await expect(page.locator("#buckets")).to_contain_text("sessions")

    assert 360 == await page.evaluate("document.documentElement.scrollWidth")
    assert "rgb(13, 17, 23)" == await page.evaluate("getComputedStyle(document.body).backgroundColor")
    await page.close()


async def test_the_keyboard_reaches_everything(watched: Watched, page: Page, client: Client) -> None:
    """The first stop skips what is above the tables; groups open and close by Enter."""
    await watched.apply()
    await watched.watch()
    async with Registry(client) as registry, registry.instance("payments", id="a"):
        await page.goto(watched.url)
        await expect(page.locator("#groups tr", has_text="healthy")).to_be_visible()
        await page.keyboard.press("Tab")
        assert "Skip to the tables" == await page.evaluate("document.activeElement.textContent")

        await page.locator("#groups summary").focus()
        await page.keyboard.press("Enter")

        await expect(page.locator("#groups tr", has_text="healthy")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_can_be_used_by_everybody(
    scheme: Literal["light", "dark"], watched: Watched, page: Page, client: Client
) -> None:
    """Axe finds nothing: names, roles, contrast in light and dark, order of headings."""
    await watched.apply(changed(VALUES, ["buckets", "sessions", "ttlSeconds"], 60))
    await watched.watch("--show-values")
    await refused(client, b"bad")
    await page.emulate_media(color_scheme=scheme)
    async with (
        Registry(client) as registry,
        registry.instance("payments", id="a", status=Status.UNHEALTHY),
        registry.leadership("scheduler"),
    ):
        await page.goto(watched.url)
        await expect(page.locator("#leaders tr", has_text="scheduler")).to_be_visible()
        await expect(page.locator("#plan")).to_contain_text("update bucket sessions")
        await expect(page.locator("#groups tr", has_text="unhealthy")).to_be_visible()

        await page.evaluate(AXE.read_text())
        found = await page.evaluate("axe.run()")

    assert [] == [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]]
