"""What was brought, in lines and as a document."""

from __future__ import annotations

from natsmith.model.bringing import Brought
from natsmith.views import as_json, brought

CAME = Brought(stream="S", fate="brought", messages=2, bytes=80, first=1, last=3, consumers=1, seconds=0.5)
KEPT = Brought(stream="T", fate="kept", messages=1, first=7, last=7)
LEFT = Brought(stream="M", fate="left out", why="as asked")


def test_each_fate_has_a_line() -> None:
    said = [brought.row("A", each, several=False).sentence for each in (CAME, KEPT, LEFT)]

    assert [
        "brought S: 2 messages, 1 to 3, 1 consumer, in 0.5 s",
        "kept T: brought before; now 1 message, 7 to 7, 0 consumers",
        "left out M: as asked",
    ] == said


def test_of_several_accounts_each_is_named() -> None:
    assert brought.row("A", LEFT, several=True).sentence.startswith("left out A/M")


def test_the_sum_names_what_was_left_out() -> None:
    assert "1 stream brought, 1 brought before, 1 left out: M (as asked)." == brought.summary([CAME, KEPT, LEFT])
    assert "0 streams brought, 0 brought before, 0 left out." == brought.summary([])


def test_a_document_has_all_of_it() -> None:
    document = as_json.brought("bring", [("A", [CAME])], 0)

    assert ("bring", 0) == (document["kind"], document["exitCode"])
    assert [{"account": "A", "streams": [{"stream": "S", "fate": "brought", "why": "", "messages": 2, "bytes": 80,
                                          "first": 1, "last": 3, "consumers": 1, "seconds": 0.5}]}] == document["accounts"]  # fmt: skip
