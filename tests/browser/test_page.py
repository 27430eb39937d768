"""What people see: a real browser on the page of a real monitor."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Literal

import pytest
from nats.aio.client import Client
from playwright.async_api import Browser, Page, expect

from browser.watched import VALUES, Watched, changed
from natsmith.registry import Registry, Status
from waiting import eventually

AXE = Path(__file__).with_name("node_modules") / "axe-core" / "axe.min.js"
SECOND = 1_000_000_000


async def test_the_page_shows_what_is_there(watched: Watched, page: Page) -> None:
    """Buckets with their TTL, streams, consumers, and that nothing differs."""
    await watched.apply()
    await watched.watch()

    await page.goto(watched.url)

    bucket = page.locator("#buckets tr", has_text="service_registry")
    await expect(bucket).to_contain_text("6 s")
    await expect(bucket).to_contain_text("as the values say")
    await expect(bucket).to_contain_text("create bucket service_registry")
    await expect(page.locator("#streams-table")).to_contain_text("MESSAGES")
    await expect(page.locator("#consumers")).to_contain_text("MESSAGES/workers")
    await expect(page.locator("#plan")).to_contain_text("everything is as the values say")
    await expect(page.locator("#line")).to_have_text("live")


async def test_what_no_values_name_is_not_as_they_say(watched: Watched, page: Page) -> None:
    """Nothing is green that nobody compared: neither without values, nor what they do not name any more."""
    await watched.apply()
    await watched.watch(values=None)
    await page.goto(watched.url)
    bucket = page.locator("#buckets tr", has_text="sessions")
    await expect(bucket).to_contain_text("nothing to compare with")
    await expect(page.locator("#consumers")).to_contain_text("nothing to compare with")

    await watched.stop()
    await watched.watch(values={"buckets": {"service_registry": {"profile": "serviceRegistry", "ttlSeconds": 6}}})
    await expect(bucket).to_contain_text("not in the values")
    await expect(page.locator("#tile-buckets")).to_contain_text("2 not in the values")
    await expect(page.locator("#tile-plan")).to_contain_text("nothing to do")
    await expect(page.locator("#consumers")).to_contain_text("not in the values")
    await expect(page.locator("#buckets tr", has_text="service_registry")).to_contain_text("as the values say")


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


async def test_a_ttl_changed_by_apply_shows_within_a_second(watched: Watched, page: Page) -> None:
    """Nobody loads the page again; the server announces the change and the monitor hears it."""
    await watched.apply()
    await watched.watch()
    await page.goto(watched.url)
    bucket = page.locator("#buckets tr", has_text="sessions")
    await expect(bucket).to_contain_text("5 min")

    await watched.apply(changed(VALUES, ["buckets", "sessions", "ttlSeconds"], 60))
    began = time.monotonic()
    await expect(bucket).to_contain_text("1 min; should be 5 min", timeout=5000)

    print(f"shown after {time.monotonic() - began:.2f} s")
    await expect(bucket).to_contain_text("ttlSeconds 60 → 300")


async def test_drift_made_by_hand_lights_up(watched: Watched, page: Page, client: Client) -> None:
    """Where somebody changes a stream behind natsmith's back, the page and the plan say so."""
    await watched.apply()
    await watched.watch()
    await page.goto(watched.url)
    await expect(page.locator("#plan")).to_contain_text("everything is as the values say")

    info = json.loads((await client.request("$JS.API.STREAM.INFO.KV_sessions", b"")).data)
    config = info["config"] | {"max_age": 7 * SECOND, "duplicate_window": 7 * SECOND}
    await client.request("$JS.API.STREAM.UPDATE.KV_sessions", json.dumps(config).encode())

    await expect(page.locator("#buckets tr", has_text="sessions").locator(".bad").first).to_contain_text(
        "7 s; should be"
    )
    await expect(page.locator("#plan")).to_contain_text("update bucket sessions")
    await expect(page.locator("#plan")).to_contain_text("drift")


async def test_a_killed_service_turns_stale_and_then_gone(watched: Watched, page: Page, client: Client) -> None:
    """Its heartbeat ages before everybody's eyes, until it is listed among those who went."""
    await watched.apply()
    await watched.watch()
    async with Registry(client) as registry, registry.instance("payments", id="alive"):
        dead = registry.instance("payments", id="dead", status=Status.DRAINING)
        await dead.__aenter__()
        await page.goto(watched.url)
        row = page.locator("#groups tr", has_text="dead")
        await expect(row).to_contain_text("draining")

        assert dead._task  # a process that is killed says nothing more: its heartbeat stops, and nothing else happens
        dead._task.cancel()

        await expect(row).to_contain_text("stale", timeout=10000)
        await expect(page.locator("#gone")).to_contain_text("payments dead", timeout=15000)
        await expect(page.locator("#gone")).to_contain_text("expired")
        await expect(page.locator("#groups tr", has_text="alive")).to_be_visible()


async def test_a_leader_is_shown_with_its_token(watched: Watched, page: Page, client: Client) -> None:
    """Who leads a group, and since when it was not heard."""
    await watched.apply()
    await watched.watch()
    async with Registry(client) as registry, registry.leadership("scheduler", id="me") as lease:
        await page.goto(watched.url)
        leader = page.locator("#leaders tr", has_text="scheduler")
        await expect(leader).to_contain_text("me")
        await expect(leader).to_contain_text(str(lease.token))


async def test_more_dead_letters_than_are_shown_are_counted(watched: Watched, page: Page, client: Client) -> None:
    """The newest are listed, and the page says that there are more."""
    await watched.apply()
    noted = {"type": "x.max_deliver", "stream": "MESSAGES", "consumer": "workers", "timestamp": "2026-01-01T00:00:00Z"}
    for sequence in range(1, 31):
        note = json.dumps(noted | {"stream_seq": sequence}).encode()
        await client.request("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.MESSAGES.workers", note)
    await watched.watch()
    await page.goto(watched.url)

    await expect(page.locator("#tile-letters .count")).to_have_text("30")
    await expect(page.locator("#tile-letters")).to_contain_text("see the newest 20")
    await expect(page.locator("#letters tbody tr")).to_have_count(20)


async def test_a_dead_letter_appears(watched: Watched, page: Page, client: Client) -> None:
    """With its reason; what it holds is shown only where that was asked for."""
    await watched.apply()
    await watched.watch()
    await page.goto(watched.url)
    await expect(page.locator("#letters")).to_contain_text("There are no dead letters.")

    await _refused(client, b"the secret")

    await expect(page.locator("#letters")).to_contain_text("a worker refused it for good")
    await expect(page.locator("#letters")).not_to_contain_text("the secret")
    await watched.stop()
    await watched.watch("--show-values")
    await expect(page.locator("#letters")).to_contain_text("the secret", timeout=15000)


async def test_what_an_attacker_writes_is_inert(watched: Watched, page: Page, client: Client) -> None:
    """Markup, control characters, text that runs backwards and a megabyte: all is text, and the page stays."""
    lasting = changed(VALUES, ["buckets", "service_registry", "ttlSeconds"], 600)
    await watched.apply(lasting)
    await watched.watch("--show-values", values=lasting)
    evil = "<img src=x onerror=alert(1)>"
    await client.publish("$KV.service_registry.evil.<script>alert(1)</script>", b"{}")
    await client.publish("$KV.service_registry.back.\u202egpj.exe", b"{}")
    await client.publish("$KV.service_registry.big.one", b'{"metadata": "' + b"x" * 1_000_000 + b'"}')
    await client.publish(
        "$KV.service_registry.markup.m", json.dumps({"metadata": {evil: f"\u0000\u001b[2J{evil}"}}).encode()
    )
    await _refused(client, evil.encode() + b"\x00\xff\x1b[2J")

    await page.goto(watched.url)

    groups = page.locator("#groups")
    await expect(groups).to_contain_text("<script>alert(1)</script>")
    await expect(groups).to_contain_text("\\u202egpj.exe")
    await expect(groups).to_contain_text(evil)
    await expect(groups).to_contain_text("\\u0000\\u001b")
    await expect(groups).to_contain_text("Not understood: big.one")
    await expect(page.locator("#letters")).to_contain_text(evil)
    assert 0 == await page.locator("main img, main script").count()


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
    await _refused(client, b"bad")
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


async def _refused(client: Client, payload: bytes) -> None:
    """Have a worker refuse a message for good."""
    stream = client.jetstream()
    await stream.publish("messages.one", payload)
    worker = await stream.pull_subscribe_bind("workers", "MESSAGES")
    (message,) = await worker.fetch(1)
    await message.term()

    async def noted() -> bool:
        return (await stream.stream_info("DEAD")).state.messages > 0

    await eventually(noted, within=5)
