"""Everything that is shown: the accounts as they were seen last, and who is registered there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict

from natsmith.model.units import Json
from natsmith.monitor.hub import Hub
from natsmith.monitor.metrics import Metrics
from natsmith.monitor.services import Services
from natsmith.monitor.sight import Sight
from natsmith.views import as_page

VERSION = 1


class Picture:
    """What is known of all accounts."""

    def __init__(self) -> None:
        self.hub = Hub()
        self.sights: dict[str, Sight] = {}
        self.services: dict[str, Services] = {}

    def saw(self, sight: Sight) -> None:
        """Keep what was seen of an account, and tell who looks."""
        self.sights[sight.account] = sight
        for part, made in (("account", _account), ("objects", _objects), ("consumers", _consumers), ("plan", _plan)):
            self.hub.put(f"{part}:{sight.account}", made(sight))

    def trouble(self) -> list[str]:
        """Return why accounts cannot be read now."""
        return [
            f"account {each.account} cannot be read: {each.trouble}" for each in self.sights.values() if each.trouble
        ]

    def metrics(self) -> Metrics:
        """Return what Prometheus is told."""
        return Metrics(self.sights, self.services)

    def documents(self) -> Mapping[str, Callable[[], Json]]:
        """Return the documents of the API by name."""
        return {
            "accounts": lambda: self._each(_account),
            "buckets": lambda: self._each(_objects),
            "consumers": lambda: self._each(_consumers),
            "plan": lambda: self._each(_plan),
            "services": lambda: {"version": VERSION, "accounts": [each.document() for each in self.services.values()]},
        }

    def told(self) -> Mapping[str, str]:
        """Return what each document is about."""
        return {
            "accounts": "Accounts: whether they can be read, their limits, the last run",
            "buckets": "Buckets, streams and object stores: time to live, entries, age, size, what differs",
            "consumers": "Durable consumers and dead letters",
            "plan": "What apply would do now",
            "services": "Registered instances, leaders, and who went",
        }

    def _each(self, made: Callable[[Sight], dict[str, Json]]) -> Json:
        return {"version": VERSION, "accounts": [made(each) for each in self.sights.values()]}


def _account(sight: Sight) -> dict[str, Json]:
    observed, holder = sight.observed, sight.holder
    return {
        "account": sight.account,
        "trouble": sight.trouble,
        "lacking": list(sight.lacking),
        "server": sight.server,
        "last": sight.pasts[0].as_json() if sight.pasts else None,
        "lockedBy": holder.owner if holder else "",
        "limits": {
            "storage": [observed.storage, observed.limits.storage],
            "memory": [observed.memory, observed.limits.memory],
        }
        if observed
        else {},
    }


def _objects(sight: Sight) -> dict[str, Json]:
    rows = as_page.objects(sight.observed, sight.plan, sight.pasts) if sight.observed else []
    return {"account": sight.account, "objects": rows}


def _consumers(sight: Sight) -> dict[str, Json]:
    rows = as_page.consumers(sight.observed, sight.plan) if sight.observed else []
    return {"account": sight.account, "consumers": rows, "letters": [asdict(each) for each in sight.letters]}


def _plan(sight: Sight) -> dict[str, Json]:
    return {"account": sight.account, "plan": as_page.changes(sight.plan) if sight.plan else None}
