"""What a reader is told that does not read for a while: what is true in the end, and no more than that."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from natsmith.errors import NotReady
from natsmith.registry.changes import Change, Kind, Watcher
from natsmith.registry.entry import Instance

GOING = (Kind.LEFT, Kind.EXPIRED)
# A busy machine is slow in making examples, and that is no mistake of the code.
steady = settings(
    deadline=None, derandomize=True, database=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow]
)


def change(kind: Kind, key: str, number: int = 0) -> Change:
    return Change(kind=kind, instance=Instance(service="s", id=key, key=key, revision=number))


def read(watcher: Watcher) -> list[Change]:
    """Return what waits to be read."""

    async def all_of_it() -> list[Change]:
        return [each async for each in watcher]

    watcher.end()
    return asyncio.run(all_of_it())


@steady
@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.booleans()), max_size=30))
def test_whoever_reads_now_and_then_knows_in_the_end_who_is_there(steps: list[tuple[str, bool, bool]]) -> None:
    """A step is a key, whether it goes, and whether the reader reads everything after it."""

    async def play() -> None:
        watcher = Watcher(None)
        there: dict[str, int] = {}
        known: dict[str, int] = {}
        for number, (key, goes, reads) in enumerate(steps):
            if goes and key not in there:
                continue
            if goes:
                del there[key]
                watcher.hear(change(Kind.EXPIRED, key, number))
            else:
                watcher.hear(change(Kind.CHANGED if key in there else Kind.JOINED, key, number))
                there[key] = number
            while reads and watcher._waiting:
                take(known, await anext(watcher))
        while watcher._waiting:
            take(known, await anext(watcher))
        assert there == known

    asyncio.run(play())


def take(known: dict[str, int], told: Change) -> None:
    key = told.instance.key
    assert (told.kind is Kind.JOINED) == (key not in known), told
    if told.kind in GOING:
        del known[key]
    else:
        known[key] = told.instance.revision


def test_whoever_never_reads_costs_one_change_for_each_instance_that_is_there() -> None:
    watcher = Watcher(None)
    for number in range(1000):
        watcher.hear(change(Kind.JOINED, f"k{number}"))
        watcher.hear(change(Kind.LEFT, f"k{number}"))
    for _ in range(1000):
        watcher.hear(change(Kind.JOINED, "stays"))
        watcher.hear(change(Kind.CHANGED, "stays"))

    assert ["joined"] == [each.kind for each in read(watcher)]


def test_only_what_was_asked_for_is_told() -> None:
    watcher = Watcher("other")
    watcher.hear(change(Kind.JOINED, "a"))

    assert [] == read(watcher)


async def test_what_happened_before_an_error_is_read_first() -> None:
    watcher = Watcher(None)
    watcher.hear(change(Kind.JOINED, "a"))
    watcher.end(NotReady("closed"))

    assert Kind.JOINED is (await anext(watcher)).kind
    with pytest.raises(NotReady, match="closed"):
        await anext(watcher)
