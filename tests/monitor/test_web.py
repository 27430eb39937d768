"""What may be asked for over HTTP: each answer is as the OpenAPI document says, and loads nothing from elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from monitor.painting import picture, sight
from monitor.serving import get, serving
from natsmith.monitor import openapi
from natsmith.monitor.picture import Picture
from natsmith.monitor.sight import Sight
from natsmith.monitor.web import FILES

PAGE = resources.files("natsmith.monitor").joinpath("page")
PARTS = ("accounts", "buckets", "consumers", "services", "plan")


@pytest.mark.parametrize(
    "painted",
    [
        picture(),
        picture(sight(wanted=None)),
        picture(sight({}, KV_sessions={})),
        picture(Sight(account="app", trouble="nobody is there")),
    ],
    ids=["as it should be", "without values", "empty", "unread"],
)
async def test_the_answers_are_what_the_document_says(painted: Picture) -> None:
    """Every path of it answers, with its own schema, and /api/openapi.json is that document."""
    async with serving(painted) as port:
        document = (await get(port, "/api/openapi.json")).json
        for path, said in document["paths"].items():
            kinds = said["get"]["responses"]["200"]["content"]
            if "application/json" not in kinds:
                continue
            answer = await get(port, path)
            assert str(answer.status) in said["get"]["responses"]
            Draft202012Validator(kinds["application/json"]["schema"]).validate(answer.json)

    assert openapi.document() == document
    assert {f"/api/{part}" for part in PARTS} < set(document["paths"])


async def test_all_dead_letters_are_counted() -> None:
    """Not only the newest, which are told."""
    async with serving(picture(sight(DEAD={"messages": 500}))) as port:
        [account] = (await get(port, "/api/consumers")).json["accounts"]

    assert (500, 1) == (account["deadLetters"], len(account["letters"]))


async def test_who_asks_only_for_the_head_of_the_events_is_not_kept() -> None:
    painted = picture()
    async with serving(painted) as port:
        answer = await get(port, "/api/events", method="HEAD")

        assert (200, b"", 0) == (answer.status, answer.body, painted.hub.readers)


async def test_ready_is_who_can_read_every_account() -> None:
    """A monitor without its server is healthy and not ready, and says why."""
    async with serving(picture(Sight(account="app", trouble="nobody is there"))) as port:
        ready, healthy = await get(port, "/readyz"), await get(port, "/healthz")

    assert (503, ["account app cannot be read: nobody is there"]) == (ready.status, ready.json["trouble"])
    assert 200 == healthy.status


@pytest.mark.parametrize("path", [*FILES, "/api/plan", "/metrics", "/nowhere"])
async def test_every_answer_has_the_headers(path: str) -> None:
    """Nothing inline runs, nothing from elsewhere is loaded, and nobody frames it."""
    async with serving(picture()) as port:
        headers = (await get(port, path)).headers

    assert "default-src 'none'; script-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert ("nosniff", "no-store", "DENY") == (
        headers["x-content-type-options"],
        headers["cache-control"],
        headers["x-frame-options"],
    )


def test_the_page_is_small_and_whole() -> None:
    """Under 150 kB with all that it loads, each file of which is served."""
    files = {each.name: each.read_bytes() for each in PAGE.iterdir()}

    assert set(files) == {name for name, _ in FILES.values()}
    assert sum(map(len, files.values())) < 150_000


def test_the_page_has_nothing_inline() -> None:
    """The browser would refuse it."""
    text = PAGE.joinpath("index.html").read_text()

    assert [] == re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]* src=)|https?://", text)


async def test_nothing_can_be_changed() -> None:
    """Only what reads is answered."""
    async with serving(picture()) as port:
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert 405 == (await get(port, "/api/plan", method)).status


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:8280", 200), ("127.0.0.1:8280", 200), ("[::1]:8280", 200), ("evil.example:8280", 421), ("", 421)],
)
async def test_on_this_machine_only_this_machine_is_answered(host: str, status: int) -> None:
    """A page from elsewhere that gives its own name our address reads nothing."""
    async with serving(picture(), local=True) as port:
        assert status == (await get(port, "/api/buckets", host=host)).status


def test_other_verbs_do_not_pay_for_it() -> None:
    """What serves a page is loaded by the verb `monitor` alone."""
    code = "import sys, natsmith.cli, natsmith.cli.commands; print([each for each in sys.modules if each in "
    code += "('starlette', 'uvicorn', 'prometheus_client', 'natsmith.monitor')])"
    done = subprocess.run([Path(sys.executable), "-c", code], capture_output=True, text=True, check=True)

    assert "[]\n" == done.stdout
