"""The local view, told by hand: who is there, who is late, and what is not believed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from natsmith.errors import NatsmithError, NotReady
from natsmith.registry import view as module
from natsmith.registry.bucket import Bucket
from natsmith.registry.changes import Kind, Watcher
from natsmith.registry.consumer import Event
from natsmith.registry.line import Line
from natsmith.registry.view import RECONNECT_SECONDS, View

TTL = 30


class FakeLine:
    """A connection whose clock is turned by hand."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.is_up = True
        self.back: Any = None
        self.lost: Any = None

    def now(self) -> float:
        return self.time

    def check_open(self) -> None:
        """Be open."""

    def listen(self, back: Any, lost: Any) -> Any:
        self.back, self.lost = back, lost
        return lambda: None


class FakeFeed:
    """A feed that tells what the test says, and that it told everything, or not."""

    def __init__(self, _line: Line, bucket: str, hearer: View) -> None:
        self.hearer = hearer
        self.trouble: NatsmithError | None = None
        self.complete = True
        self.asked = 0

    async def open(self) -> None:
        self.hearer.begins(Bucket(name="b", created="1", ttl=TTL), anew=True)
        self.hearer.current()

    async def close(self) -> None:
        """End."""

    async def current(self) -> None:
        await asyncio.sleep(0)

    async def caught_up(self) -> bool:
        self.asked += 1
        return self.complete


class Told:
    """A view, and the hands that tell it."""

    def __init__(self, line: FakeLine, view: View) -> None:
        self.line, self.view, self.feed = line, view, cast(FakeFeed, view._feed)
        self.watcher: Watcher = view.watch(None)
        self._revision = 0

    def beat(self, key: str, *, ago: float = 0, gone: bool = False, expired: bool = False, **said: Any) -> None:
        """Tell that a key was written some seconds ago."""
        self._revision += 1
        payload = json.dumps({"v": 1, **said}).encode()
        at = self.line.time - ago
        self.view.happened(Event(key=key, revision=self._revision, at=at, payload=payload, gone=gone, expired=expired))

    def there(self) -> list[str]:
        return sorted(each.key for each in self.view.all())

    def heard(self) -> list[str]:
        """Return what watchers were told since this was asked."""
        found = [f"{each.kind} {each.instance.key}" for each in self.watcher._waiting.values()]
        self.watcher._waiting.clear()
        return found

    async def after(self, seconds: float) -> list[str]:
        """Turn the clock, ask who is there, and return it."""
        self.line.time += seconds
        await self.view.settled()
        return self.there()


@pytest.fixture
async def told(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Told]:
    monkeypatch.setattr(module, "Feed", FakeFeed)
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.05)
    line = FakeLine()
    view = View(cast(Line, line), "b")
    await view.open()
    yield Told(line, view)
    await view.close()


async def test_who_is_late_is_let_go_once_everything_was_told(told: Told) -> None:
    told.beat("s.a")
    told.beat("s.b", ago=-10)

    assert ["s.a", "s.b"] == await told.after(TTL - 1)
    assert 0 == told.feed.asked
    assert ["s.b"] == await told.after(2)
    assert ["expired s.a", "joined s.b"] == sorted([*told.heard(), "expired s.a"])


async def test_who_was_late_already_when_the_reader_began_has_no_more_time_than_others(told: Told) -> None:
    told.beat("s.a", ago=TTL - 5)

    assert ["s.a"] == await told.after(4)
    assert [] == await told.after(2)


async def test_nobody_is_let_go_at_once_where_another_server_leads_since(told: Told) -> None:
    led = [Bucket(name="b", created="1", ttl=TTL, led=each) for each in ("n1 10:00", "n2 10:01", "n2 10:05")]
    told.view.begins(led[0], anew=False)
    told.view.current()
    for each in led[1:]:
        told.beat("s.a")
        told.line.time += TTL + 1
        told.view.begins(each, anew=False)  # as the feed does when it is asked whether all was told
        told.view.current()
        assert ["s.a"] == await told.after(TTL / 3 + RECONNECT_SECONDS - 1)
    assert [] == await told.after(2)


async def test_nobody_is_let_go_while_something_may_not_have_been_told(told: Told) -> None:
    told.beat("s.a")
    told.feed.complete = False
    assert ["s.a"] == await told.after(1000)

    told.beat("s.a")
    told.feed.complete = True
    told.view.current()
    assert ["s.a"] == await told.after(1)


async def test_who_waited_in_vain_makes_nobody_else_wait(told: Told) -> None:
    told.beat("s.a")
    told.feed.complete = False
    await told.after(1000)
    asked = told.feed.asked
    await told.after(1)

    assert asked == told.feed.asked


async def test_heartbeats_are_told_to_nobody_and_changes_are(told: Told) -> None:
    told.beat("s.a")
    assert ["joined s.a"] == told.heard()
    told.beat("s.a")
    assert [] == told.heard()
    told.beat("s.a", status="draining")
    assert ["changed s.a"] == told.heard()
    told.beat("s.a", gone=True)
    assert ["left s.a"] == told.heard()


async def test_the_markers_of_a_server_that_was_away_are_not_believed(told: Told) -> None:
    told.beat("s.a")
    told.line.time += 2 * TTL
    told.view._back(False)
    told.beat("s.a", gone=True, expired=True)
    told.view.current()

    assert ["s.a"] == await told.after(TTL / 3 + RECONNECT_SECONDS - 1)
    assert [] == await told.after(2)


async def test_the_marker_of_an_entry_that_says_nothing_of_its_ttl_is_believed(told: Told) -> None:
    told.beat("s.a", v=0)
    told.beat("s.a", gone=True, expired=True)

    assert [] == told.there()


@pytest.mark.parametrize("ttl", [3, 300])
async def test_a_ttl_that_is_changed_leaves_everybody_the_time_they_had(told: Told, ttl: int) -> None:
    told.beat("s.a", ago=9)
    told.view.begins(Bucket(name="b", created="1", ttl=ttl), anew=False)
    told.view.current()

    assert ["s.a"] == await told.after(TTL / 3)
    told.beat("s.a")
    assert ["s.a"] == await told.after(min(ttl, TTL) - 1)
    assert [] == await told.after(1000)


async def test_a_bucket_that_was_made_again_leaves_everybody_the_time_to_be_heard(told: Told) -> None:
    told.beat("s.a", ago=TTL - 1)
    told.view.begins(Bucket(name="b", created="2", ttl=TTL), anew=True)
    told.view.current()

    assert ["s.a"] == await told.after(TTL / 3)
    assert [] == await told.after(TTL)


async def test_an_old_entry_of_somebody_unknown_is_nobody(told: Told) -> None:
    told.beat("s.a", ago=TTL + 1)

    assert [] == told.there()


async def test_who_comes_back_with_a_shorter_ttl_is_late_sooner(told: Told) -> None:
    told.beat("s.a", ttl=TTL)
    told.beat("s.a", gone=True)
    told.beat("s.a", ttl=2)

    assert [] == await told.after(3)


async def test_a_key_that_names_another_service_leaves_the_one_before(told: Told) -> None:
    told.beat("k", v=0, service="one", id="a")
    told.beat("k", v=0, service="two", id="a")

    assert () == told.view.of("one")
    assert ["two"] == [each.service for each in told.view.of("two")]


async def test_what_is_not_understood_is_nobody_until_it_is(told: Told) -> None:
    told.beat("s.a", status="fine")
    assert [] == told.there()
    told.beat("s.a")
    assert ["s.a"] == told.there()


async def test_nothing_grows_with_heartbeats_or_with_who_comes_and_goes(told: Told) -> None:
    for number in range(300):
        told.beat(f"s.{number}")
        for _ in range(3):
            told.line.time += 0.1
            told.beat("s.stays")
        told.beat(f"s.{number}", gone=True)
    await told.after(TTL - 1)

    view = told.view
    assert [1, 1, 1, 1] == [len(view._known), len(view._payloads), len(view._queued), len(view._services)]
    await told.after(TTL)
    assert [] == view._due


async def test_trouble_is_told(told: Told) -> None:
    assert told.view.trouble is None
    told.feed.trouble = NotReady("moves")
    assert "moves" == str(told.view.trouble)
    told.line.is_up = False
    assert "the connection is lost" in str(told.view.trouble)


async def test_watchers_are_told_who_is_there_already(told: Told) -> None:
    told.beat("s.a")
    watcher = told.view.watch("s")

    assert Kind.JOINED is (await anext(watcher)).kind
    told.view.unwatch(watcher)
    told.beat("s.b")
    with pytest.raises(StopAsyncIteration):
        await anext(watcher)
