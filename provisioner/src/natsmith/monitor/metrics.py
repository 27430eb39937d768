"""What Prometheus is told. Labels are names of objects that natsmith knows, never keys of entries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from natsmith.model.resources import CONSUMER
from natsmith.model.units import parse_time
from natsmith.monitor import letters
from natsmith.monitor.services import Services
from natsmith.monitor.sight import Sight
from natsmith.registry.entry import Status
from natsmith.views import as_page

Family = GaugeMetricFamily

OBJECT = ("account", "kind", "name")


class Metrics(Collector):
    """Everything that is known at the moment of a scrape."""

    def __init__(self, sights: Mapping[str, Sight], services: Mapping[str, Services]) -> None:
        self._sights, self._services = sights, services

    def collect(self) -> Iterator[Family]:
        """Yield each metric."""
        sights = tuple(self._sights.values())
        yield from _accounts(sights)
        yield from _objects(sights)
        yield from _consumers(sights)
        yield from _registered(tuple(self._services.items()))


def _accounts(sights: tuple[Sight, ...]) -> Iterator[Family]:
    up = Family("natsmith_account_readable", "1 where the account can be read.", labels=("account",))
    server = Family("natsmith_server_info", "The server's version.", labels=("account", "version"))
    drift = Family("natsmith_plan_changes", "What apply would change, by action.", labels=("account", "action"))
    blocked = Family("natsmith_plan_blocked", "Changes that need a decision.", labels=("account",))
    run = Family("natsmith_last_run_timestamp_seconds", "When the last apply ended.", labels=("account", "result"))
    used = Family("natsmith_account_bytes", "Bytes in use or reserved.", labels=("account", "storage"))
    limit = Family(
        "natsmith_account_limit_bytes",
        "Bytes that the account may use; none without a limit.",
        labels=("account", "storage"),
    )
    for each in sights:
        up.add_metric((each.account,), 0 if each.trouble else 1)
        if each.observed:
            server.add_metric((each.account, each.server), 1)
            for storage in ("memory", "storage"):
                used.add_metric((each.account, storage), getattr(each.observed, storage))
                most = getattr(each.observed.limits, storage)
                if most >= 0:
                    limit.add_metric((each.account, storage), most)
        if each.plan:
            counted = Counter(change.action for change in (*each.plan.changes, *each.plan.told))
            for action in ("create", "update", "adopt", "move", "replace", "delete", "orphan"):
                drift.add_metric((each.account, action), counted[action])
            blocked.add_metric((each.account,), len(each.plan.blocked))
        if each.pasts and each.pasts[0].time:
            run.add_metric((each.account, each.pasts[0].result), parse_time(each.pasts[0].time).timestamp())
    yield from (up, server, drift, blocked, run, used, limit)


def _objects(sights: tuple[Sight, ...]) -> Iterator[Family]:
    families = {
        "ttl": Family(
            "natsmith_ttl_seconds", "Seconds an entry lives after its last write; 0: for ever.", labels=OBJECT
        ),
        "desiredTtl": Family("natsmith_ttl_desired_seconds", "The same, as the values say.", labels=OBJECT),
        "entries": Family("natsmith_entries", "Entries or messages stored.", labels=OBJECT),
        "bytes": Family("natsmith_bytes", "Bytes stored.", labels=OBJECT),
        "age": Family("natsmith_oldest_age_seconds", "Age of the oldest entry by the server's clock.", labels=OBJECT),
    }
    differs = Family("natsmith_differs", "1 where it is not as the values say.", labels=OBJECT)
    moving = Family("natsmith_moving", "1 while it is moved.", labels=OBJECT)
    for sight in sights:
        for row in as_page.objects(sight.observed, sight.plan, sight.pasts) if sight.observed else ():
            labels = (sight.account, row["kind"], row["name"])
            for name, family in families.items():
                if row[name] is not None:
                    family.add_metric(labels, row[name])
            differs.add_metric(labels, 1 if row["differs"] else 0)
            moving.add_metric(labels, 1 if row["moving"] else 0)
    yield from (*families.values(), differs, moving)


def _consumers(sights: tuple[Sight, ...]) -> Iterator[Family]:
    labels = ("account", "stream", "consumer")
    pending = Family("natsmith_consumer_pending", "Messages that wait for the consumer.", labels=labels)
    unacknowledged = Family(
        "natsmith_consumer_unacknowledged", "Messages handed out and not acknowledged.", labels=labels
    )
    redelivered = Family("natsmith_consumer_redelivered", "Messages handed out more than once.", labels=labels)
    dead = Family(
        "natsmith_dead_letters", "Messages given up, as far as they are remembered.", labels=("account", "stream")
    )
    for sight in sights:
        for each in sight.observed.objects.values() if sight.observed else ():
            if each.kind is CONSUMER:
                names = (sight.account, each.stream, each.name)
                pending.add_metric(names, each.pending)
                unacknowledged.add_metric(names, each.ack_pending)
                redelivered.add_metric(names, each.redelivered)
        for found in letters.streams(sight.observed) if sight.observed else ():
            dead.add_metric((sight.account, found.stream), found.messages)
    yield from (pending, unacknowledged, redelivered, dead)


def _registered(services: tuple[tuple[str, Services], ...]) -> Iterator[Family]:
    instances = Family("natsmith_registry_instances", "Fresh instances, by status.", labels=("account", "status"))
    late = Family("natsmith_registry_late", "Instances that missed a heartbeat.", labels=("account",))
    unread = Family("natsmith_registry_unread", "Entries that are not understood.", labels=("account",))
    leaders = Family("natsmith_registry_leaders", "Groups that have a leader.", labels=("account",))
    for account, each in services:
        if each.trouble:
            continue
        found = each.instances()
        counted = Counter(one.status for one in found)
        for status in Status:
            instances.add_metric((account, status.value), counted[status])
        late.add_metric((account,), sum(1 for one in found if each.is_late(one)))
        unread.add_metric((account,), each.unread)
        leaders.add_metric((account,), sum(1 for one in each.leaders.values() if not one.deleted))
    yield from (instances, late, unread, leaders)
