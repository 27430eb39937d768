"""Accounts as a monitor could have seen them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from builders import desired, observed
from natsmith.model.observed import Limits
from natsmith.model.outcome import Past
from natsmith.monitor.picture import Picture
from natsmith.monitor.sight import Letter, Sight
from natsmith.planning.plan import plan

VALUES: dict[str, Any] = {
    "buckets": {"sessions": {"ttlSeconds": 300, "history": 3, "maxBytes": "1Mi"}},
    "streams": {
        "MESSAGES": {
            "subjects": ["messages.>"],
            "consumers": {"workers": {"maxDeliver": 1, "deadLetter": {"stream": "DEAD"}}},
        }
    },
    "objectStores": {"files": {}},
}
LIMITS = Limits(storage=1000, streams=10)


def sight(
    document: Mapping[str, Any] = VALUES, *, wanted: Mapping[str, Any] | None = VALUES, **state: Mapping[str, Any]
) -> Sight:
    """Return an account that has *document*, where *wanted* should be."""
    seen = observed(document, limits=LIMITS)
    known = {key: replace(found, **state.get(str(key).replace("/", "__"), {})) for key, found in seen.objects.items()}
    seen = replace(seen, objects=known)
    return Sight(
        account="app",
        server="2.15.1",
        max_payload=1024,
        observed=seen,
        plan=plan(desired(wanted), seen, account="app", owner="local") if wanted is not None else None,
        pasts=[
            Past(
                time="2026-01-01T00:00:00Z",
                owner="local",
                version="1",
                who="me@here",
                seconds=1.5,
                result="done",
                rows=("create bucket sessions",),
                count=1,
            )
        ],
        letters=[
            Letter(
                stream="MESSAGES", consumer="workers", sequence=1, time="2026-01-01T00:00:00Z", deliveries=1, reason="r"
            )
        ],
    )


def picture(*sights: Sight) -> Picture:
    """Return a picture of accounts."""
    made = Picture()
    for each in sights or (sight(),):
        made.saw(each)
    return made
