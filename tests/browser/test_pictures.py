"""Each view as people see it: whole, in both colours, on a phone; PICTURES=1 keeps them in docs/pictures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, TypeAlias

import pytest
from nats.aio.client import Client
from playwright.async_api import Browser, Page, expect

from browser.scene import scene
from browser.watched import Watched

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
LARGEST = 150_000
VIEWS = ("buckets", "streams", "services", "plan")
Scheme: TypeAlias = Literal["light", "dark"]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
async def test_each_view_is_whole(
    width: int, scheme: Scheme, watched: Watched, client: Client, browser: Browser, tmp_path: Path
) -> None:
    """Nothing is cut off or wider than the screen, in light and dark, on a desk and on a phone."""
    async with scene(watched, client) as registry:
        page = await browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
        await page.goto(watched.url)
        await _drawn(page)
        old = page.locator("#groups tr", has_text="api-old")
        async with registry.instance("api", id="api-old"):
            await expect(old).to_be_visible()
        await expect(page.locator("#gone")).to_contain_text("left")
        # It would lie over the views.
        await page.evaluate("document.querySelector('header').style.position = 'static'")

        assert width == await page.evaluate("document.documentElement.scrollWidth")
        where = "phone" if width < 600 else "desk"
        await _picture(page, tmp_path / f"{where}-{scheme}.png")
        for view in () if (where, scheme) == ("phone", "dark") else VIEWS:
            await page.locator(f"#{view}").scroll_into_view_if_needed()
            picture = await page.locator(f"#{view}").screenshot(path=tmp_path / f"{view}-{where}-{scheme}.png")
            assert len(picture) < LARGEST
        await page.close()
    if os.environ.get("PICTURES"):
        _keep(tmp_path)


def _keep(made: Path) -> None:
    PICTURES.mkdir(exist_ok=True)
    for each in made.glob("*.png"):
        (PICTURES / each.name).write_bytes(each.read_bytes())


async def _picture(page: Page, path: Path) -> None:
    await page.evaluate("scrollTo(0, 0)")
    assert len(await page.screenshot(path=path)) < LARGEST


async def _drawn(page: Page) -> None:
    await expect(page.locator("#leaders tr", has_text="reports")).to_be_visible()
    await expect(page.locator("#groups tr", has_text="payments-1")).to_be_visible()
    await expect(page.locator("#letters")).to_contain_text("ingest")
    await expect(page.locator("#plan")).to_contain_text("create stream AUDIT")
    await expect(page.locator("#buckets tr", has_text="sessions")).to_contain_text("should be")
    await expect(page.locator("#line")).to_have_text("live")
