"""What people see: a real browser on the page of a real monitor."""

from __future__ import annotations

import json
import time

from nats.aio.client import Client
from playwright.async_api import Page, expect

from browser.watched import VALUES, Watched, changed, refused
from natsmith.registry import Registry, Status

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

    await refused(client, b"the secret")

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
    await refused(client, evil.encode() + b"\x00\xff\x1b[2J")

    await page.goto(watched.url)

    groups = page.locator("#groups")
    await expect(groups).to_contain_text("<script>alert(1)</script>")
    await expect(groups).to_contain_text("\\u202egpj.exe")
    await expect(groups).to_contain_text(evil)
    await expect(groups).to_contain_text("\\u0000\\u001b")
    await expect(groups).to_contain_text("Not understood: big.one")
    await expect(page.locator("#letters")).to_contain_text(evil)
    assert 0 == await page.locator("main img, main script").count()
