"""What the monitor costs, and how smooth its page is: 5,000 instances, 500 changes a second, 50 open pages."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import nats
from nats.aio.client import Client
from playwright.async_api import Page, async_playwright

from bench.registry import BUCKET, spent
from bench.table import Row, milliseconds
from bench.timing import clean
from embedded import nats_server

NATSMITH = Path(sys.executable).parent / "natsmith"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SERVICES, RATE, PAGES, OPEN = 50, 500, 50, 5
FULL, SMALL = 5000, 1000
WINDOW_SECONDS = 20
ELECTIONS = BUCKET | {"name": "KV_elections", "subjects": ["$KV.elections.>"], "max_age": 0}

WATCHED = """
const told = window.told = {frames: [], tasks: [], drawn: 0};
let before = 0;
const frame = (now) => { if (before) told.frames.push(now - before); before = now; requestAnimationFrame(frame); };
requestAnimationFrame(frame);
new PerformanceObserver((found) => { for (const each of found.getEntries()) told.tasks.push(each.duration); }).observe({type: 'longtask', buffered: true});
new MutationObserver(() => { if (!told.drawn && document.querySelector('#groups details')) told.drawn = performance.now(); }).observe(document, {childList: true, subtree: true});
"""
"""Run in the page before its own script: how long frames and tasks take, and when the first service was drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one window of time came to."""

    cores: float
    megabytes: float
    server_cores: float
    watches: int
    pages: int
    """How many the monitor says are open."""

    frames: tuple[float, ...]
    longest_task: float


async def rows(say: Callable[[str], None], *, small: bool) -> list[Row]:
    """Measure everything."""
    count = SMALL if small else FULL
    with nats_server() as embedded:
        client = await nats.connect(embedded.url)
        for config in (BUCKET | {"max_age": 0}, ELECTIONS):
            await client.request(f"$JS.API.STREAM.CREATE.{config['name']}", json.dumps(config).encode(), 5)
        say(f"registering {count:,} instances")
        for number in range(count):
            await write(client, number, count)
        await client.flush()
        async with AsyncExitStack() as stack:
            pid, port = await stack.enter_async_context(monitor(embedded.url))
            pids = pid, embedded.process.pid if embedded.process else 0
            page = await stack.enter_async_context(opened())
            say("an empty page looks")
            await page.goto(f"http://127.0.0.1:{port}/healthz")
            empty = await window(client, page, pids, port)
            say("opening the page")
            drawn = [await first(page, port) for _ in range(5)]
            writing = asyncio.create_task(keep_writing(client, count))
            for number in range(OPEN):
                await page.locator("#groups summary").nth(number).click()
            say("one page looks")
            alone = await window(client, page, pids, port)
            for _ in range(PAGES - 1):
                await stack.enter_async_context(reading(port))
            say(f"{PAGES} pages look")
            many = await window(client, page, pids, port)
            writing.cancel()
            await asyncio.wait({writing})
        await client.close()
    return [
        Row(sorted(drawn)[2] * 1000, f"first page with {count:,} instances drawn", 300, "", "", unit=" ms"),
        *told(alone, f"{RATE} changes a second, 1 page", empty),
        *told(many, f"{RATE} changes a second, {PAGES} pages", empty),
        Row(many.watches, f"watches of a bucket, {many.pages} open pages", 1, "", f"{alone.watches} for {alone.pages}"),
    ]


def told(seen: Seen, what: str, empty: Seen) -> list[Row]:
    """Return the rows of a window; on a busy machine the frames of an *empty* page take longer as well."""
    frames = sorted(seen.frames)
    percentile = milliseconds(frames[len(frames) * 99 // 100] / 1000)
    beside = f"an empty page's {milliseconds(max(empty.frames) / 1000)}"
    return [
        Row(frames[-1], f"longest frame, {what}", 100, f"99 % in {percentile}", beside, unit=" ms"),
        Row(seen.longest_task, f"longest task of the page, {what}", 100, "", "0: none of 50 ms or more", unit=" ms"),
        Row(seen.cores, f"cores, {what}", 1, "", f"nats-server {seen.server_cores:.2f}"),
        Row(seen.megabytes, f"most memory, {what}", 200, "", "", unit=" MB"),
    ]


async def write(client: Client, number: int, count: int, turn: int = 0) -> None:
    """Register an instance, or tell that it is another way."""
    service, status = number % SERVICES, ("healthy", "draining")[turn % 2]
    said = {"v": 1, "status": status, "ttl": 0, "run": "r", "metadata": {"port": 8000 + number}}
    await client.publish(f"$KV.service_registry.service-{service:02}.i-{number:05}", json.dumps(said).encode())


async def keep_writing(client: Client, count: int) -> None:
    """Change RATE instances a second, one after the other."""
    began, written = time.monotonic(), 0
    while True:
        due = int((time.monotonic() - began) * RATE)
        while written < due:
            await write(client, written % count, count, 1 + written // count)
            written += 1
        await asyncio.sleep(0.01)


async def window(client: Client, page: Page, pids: tuple[int, int], port: int) -> Seen:
    """Look for a while."""
    await page.evaluate("window.told.frames.length = window.told.tasks.length = 0")
    before, began = [spent(pid) for pid in pids], time.monotonic()
    await asyncio.sleep(WINDOW_SECONDS)
    lasted = time.monotonic() - began
    cores = [(spent(pid) - cpu) / lasted for pid, cpu in zip(pids, before, strict=True)]
    found: dict[str, Any] = await page.evaluate("window.told")
    info = json.loads((await client.request(f"$JS.API.STREAM.INFO.{BUCKET['name']}", b"")).data)
    return Seen(
        cores=cores[0],
        server_cores=cores[1],
        megabytes=peak(pids[0]),
        watches=info["state"]["consumer_count"],
        pages=await asyncio.to_thread(pages, port),
        frames=tuple(found["frames"]),
        longest_task=max(found["tasks"], default=0),
    )


def pages(port: int) -> int:
    """Return how many pages are open, as the monitor's own metrics tell."""
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        return int(re.findall(r"^natsmith_monitor_pages (\d+)", answer.read().decode(), re.MULTILINE)[0])


def peak(pid: int) -> float:
    """Return the most memory that a process had, in MB, where the system can tell."""
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


async def first(page: Page, port: int) -> float:
    """Return the seconds until a page that is opened shows its services."""
    await page.goto(f"http://127.0.0.1:{port}/")
    await page.locator("#groups details").first.wait_for(state="attached")
    drawn: float = await page.evaluate("window.told.drawn")
    return drawn / 1000


@asynccontextmanager
async def monitor(url: str) -> AsyncIterator[tuple[int, int]]:
    """Run a monitor for a block; gives its process and its port."""
    process = await asyncio.create_subprocess_exec(
        *(NATSMITH, "monitor", "--listen", "127.0.0.1:0", "--log", "json"),
        env=clean(url),
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        said: dict[str, str] = {}
        while process.stderr and said.get("event") != "monitor.listens":
            said = json.loads(await process.stderr.readline())
        yield process.pid, int(said["at"].rpartition(":")[2].strip("/"))
    finally:
        process.terminate()
        await process.communicate()


@asynccontextmanager
async def opened() -> AsyncIterator[Page]:
    """Open a page in a browser that is here."""
    found = next((path for each in BROWSERS if (path := shutil.which(each))), None)
    if found is None:
        raise SystemExit(f"the rows of the monitor need one of {', '.join(BROWSERS)}: make browser gets it")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = await browser.new_page()
        await page.add_init_script(WATCHED)
        yield page
        await browser.close()


@asynccontextmanager
async def reading(port: int) -> AsyncIterator[None]:
    """Read the events as a page does, for a block."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")

    async def read() -> None:
        with contextlib.suppress(OSError):
            while await reader.read(65536):
                pass

    task = asyncio.create_task(read())
    try:
        yield
    finally:
        writer.close()
        task.cancel()
        await asyncio.wait({task})
