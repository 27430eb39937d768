"""What Prometheus is told of what was seen."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from builders import NOW
from monitor.painting import VALUES, picture, sight
from natsmith.monitor import metrics
from natsmith.monitor.metrics import Metrics
from natsmith.monitor.picture import Picture
from natsmith.monitor.sight import Sight


def told(painted: Picture) -> dict[tuple[str, ...], float]:
    """Return each sample by its name and its labels' values but the account's, after the text was read again."""
    registry = CollectorRegistry()
    registry.register(Metrics(painted))
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (
            each.name.removeprefix("natsmith_"),
            *(value for key, value in sorted(each.labels.items()) if key != "account"),
        ): each.value
        for family in families
        for each in family.samples
    }


def test_a_ttl_is_told_as_it_is_and_as_it_should_be() -> None:
    """So that an alert can compare them."""
    changed: Any = {"buckets": {"sessions": {**VALUES["buckets"]["sessions"], "ttlSeconds": 60}}}
    found = told(picture(sight(VALUES, wanted=VALUES | changed)))

    assert (300, 60, 1) == (
        found["ttl_seconds", "bucket", "sessions"],
        found["ttl_desired_seconds", "bucket", "sessions"],
        found["differs", "bucket", "sessions"],
    )
    assert 1 == found["plan_changes", "update"]


def test_what_an_object_holds_is_told() -> None:
    """Entries, bytes, its limit, and how old the oldest is by the server's clock."""
    found = told(
        picture(sight(KV_sessions={"messages": 3, "bytes": 70, "first_time": "2026-01-01T11:59:00Z", "now": NOW}))
    )

    assert (3, 70, 2**20, 60) == tuple(
        found[name, "bucket", "sessions"] for name in ("entries", "bytes", "limit_bytes", "oldest_age_seconds")
    )


def test_what_went_is_counted_while_the_monitor_runs() -> None:
    """Five were written and one more is there: four went. A bucket that is made anew begins at nothing."""
    painted = picture(sight(KV_sessions={"messages": 3, "last_sequence": 10}))
    before = told(painted)["removed_total", "bucket", "sessions"]
    painted.saw(sight(KV_sessions={"messages": 4, "last_sequence": 15}))
    after = told(painted)["removed_total", "bucket", "sessions"]
    painted.saw(sight(KV_sessions={"messages": 0, "last_sequence": 90, "created": "2026-01-02T12:00:00Z"}))

    assert (0, 4, 4) == (before, after, told(painted)["removed_total", "bucket", "sessions"])


def test_orphans_limits_and_the_last_run_are_told() -> None:
    """Each with the account it belongs to."""
    found = told(picture(sight(VALUES, wanted={"buckets": VALUES["buckets"], "streams": VALUES["streams"]})))

    assert (1, 1000, 10, 1024) == (
        found["orphans",],
        found["account_limit_bytes", "storage"],
        found["account_limit_objects", "streams"],
        found["server_max_payload_bytes",],
    )
    assert 1767225600 == found["last_run_timestamp_seconds", "done"]


def test_consumers_and_dead_letters_are_told() -> None:
    """Lag is what waits."""
    found = told(
        picture(sight(MESSAGES__workers={"pending": 7, "ack_pending": 2, "redelivered": 1}, DEAD={"messages": 4}))
    )

    assert (7, 2, 1, 4) == (
        found["consumer_pending", "workers", "MESSAGES"],
        found["consumer_unacknowledged", "workers", "MESSAGES"],
        found["consumer_redelivered", "workers", "MESSAGES"],
        found["dead_letters", "DEAD"],
    )


def test_an_account_that_cannot_be_read_is_told() -> None:
    """What was seen before stays."""
    painted = picture()
    painted.saw(Sight(account="app", trouble="gone"))
    found = told(painted)

    assert (0, 300) == (found["account_readable",], found["ttl_seconds", "bucket", "sessions"])


def test_an_account_with_many_streams_has_only_so_many_series() -> None:
    """Those that differ are told first, and how many are not."""
    many: dict[str, Any] = {"buckets": {f"b{number}": {} for number in range(metrics.MOST + 5)}}
    found = told(picture(sight(many, wanted=many | {"streams": {"S": {"subjects": ["s"]}}})))

    assert metrics.MOST == len([key for key in found if key[0] == "ttl_desired_seconds"])
    assert (6, 1) == (found["left_out",], found["differs", "stream", "S"])


def test_a_run_that_nobody_can_read_is_left_out() -> None:
    """The state bucket can be written by others."""
    seen = sight()
    strange = replace(seen, pasts=[replace(seen.pasts[0], time="yesterday")])

    assert [] == [key for key in told(picture(strange)) if key[0] == "last_run_timestamp_seconds"]


def test_the_page_of_the_docs_names_every_metric() -> None:
    """And none that is not there."""
    families = Metrics(picture()).collect()
    told = {f"{each.name}_total" if each.type == "counter" else each.name for each in families}
    page = Path(__file__).parents[2] / "docs" / "monitor.md"

    assert told == set(re.findall(r"`(natsmith_\w+)`", page.read_text()))
