"""What the chart's monitor may do, as the chart grants it."""

from __future__ import annotations

import json
from typing import Any

import chart
from installed import data

INBOX = "_INBOX_natsmith"

VALUES: dict[str, Any] = {
    "buckets": {
        "service_registry": {"profile": "serviceRegistry", "ttlSeconds": 600},
        "elections": {"profile": "election"},
        "sessions": {"ttlSeconds": 600},
    },
    "streams": {"S": {"subjects": ["s.>"], "consumers": {"w": {"deadLetter": {}}}}},
}


def rights(*sets: str) -> dict[str, Any]:
    """Return what the monitor may do, from the chart's own nats.conf for the values above."""
    streams = ("--set-json", f"streams={json.dumps(VALUES['streams'])}")
    more = [*streams, *(word for each in ("monitor.enabled=true", *sets) for word in ("--set", each))]
    users = data(chart.render(more=more))["accounts"]["app"]["users"]
    [found] = [each["permissions"] for each in users if each["user"] == "monitor-app"]
    return dict(found)


ALLOWED = rights()
