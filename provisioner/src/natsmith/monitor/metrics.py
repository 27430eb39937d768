"""What Prometheus is told. Labels are names of objects, never keys of entries, and of no more objects than it can bear."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from natsmith.model.outcome import Past
from natsmith.model.resources import CONSUMER
from natsmith.model.units import Json, parse_time
from natsmith.monitor import letters
from natsmith.monitor.picture import Picture
from natsmith.monitor.services import Services
from natsmith.monitor.sight import Sight
from natsmith.registry.changes import Kind
from natsmith.registry.entry import Status
from natsmith.views import as_json, as_page

MOST = 1000
"""Objects of an account that are told, and as many consumers: applications can make streams without end."""

ACTIONS = ("create", "update", "adopt", "stamp", "move", "replace", "delete", "orphan", "latched")


class Metrics(Collector):
    """Everything that is known at the moment of a scrape."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture

    def collect(self) -> Iterator[Metric]:
        """Yield each metric."""
        sights = tuple(self._picture.sights.values())
        yield _gauge("monitor_pages", "Open pages.", (), [((), self._picture.hub.readers)])
        yield from _accounts(sights)
        yield from _limits(sights)
        yield from _plans(sights)
        yield from _objects(sights, self._picture)
        yield from _consumers(sights)
        yield from _registered(tuple(self._picture.services.items()))


Samples = Sequence[tuple[tuple[str, ...], float]]


def _gauge(name: str, what: str, labels: Sequence[str], samples: Samples) -> Metric:
    family = GaugeMetricFamily(f"natsmith_{name}", what, labels=labels)
    for values, number in samples:
        family.add_metric(values, number)
    return family


def _counter(name: str, what: str, labels: Sequence[str], samples: Samples) -> Metric:
    family = CounterMetricFamily(f"natsmith_{name}", what, labels=labels)
    for values, number in samples:
        family.add_metric(values, number)
    return family


def _accounts(sights: Sequence[Sight]) -> Iterator[Metric]:
    read = [each for each in sights if each.observed]
    yield _gauge(
        "account_readable",
        "1 where the account can be read.",
        ("account",),
        [((each.account,), 0 if each.trouble else 1) for each in sights],
    )
    yield _gauge(
        "account_lacking",
        "What the user that connects may not ask, so that it is missing here.",
        ("account",),
        [((each.account,), len(each.lacking)) for each in read],
    )
    yield _gauge(
        "server_info",
        "The server's version.",
        ("account", "version"),
        [((each.account, each.server), 1) for each in read],
    )
    yield _gauge(
        "server_max_payload_bytes",
        "The largest message that the server takes.",
        ("account",),
        [((each.account,), each.max_payload) for each in read if each.max_payload],
    )
    ended = [(each, at) for each in sights if each.pasts and (at := _ended(each.pasts[0])) is not None]
    yield _gauge(
        "last_run_timestamp_seconds",
        "When the last apply ended, and how.",
        ("account", "result"),
        [((each.account, each.pasts[0].result), at) for each, at in ended],
    )


def _ended(past: Past) -> float | None:
    try:
        return parse_time(past.time).timestamp()
    except ValueError:  # the state bucket can be written by others
        return None


def _limits(sights: Sequence[Sight]) -> Iterator[Metric]:
    known = [
        (each.account, what, used, most)
        for each in sights
        if each.observed
        for what, (used, most) in as_json.limits(each.observed).items()
    ]
    for unit, chosen, label in (
        ("bytes", ("storage", "memory"), "storage"),
        ("objects", ("streams", "consumers"), "kind"),
    ):
        rows = [each for each in known if each[1] in chosen]
        yield _gauge(
            f"account_{unit}",
            f"What the account uses or has reserved, in {unit}.",
            ("account", label),
            [((account, what), used) for account, what, used, _ in rows],
        )
        yield _gauge(
            f"account_limit_{unit}",
            f"What the account may use, in {unit}; none without a limit.",
            ("account", label),
            [((account, what), most) for account, what, _, most in rows if most >= 0],
        )


def _plans(sights: Sequence[Sight]) -> Iterator[Metric]:
    plans = [(each.account, each.plan) for each in sights if each.plan]
    counted = [
        (account, Counter[str](change.action for change in (*plan.changes, *plan.told))) for account, plan in plans
    ]
    yield _gauge(
        "plan_changes",
        "What apply would change, or only tell, by action.",
        ("account", "action"),
        [((account, action), each[action]) for account, each in counted for action in ACTIONS],
    )
    yield _gauge(
        "plan_blocked",
        "Changes that need a decision.",
        ("account",),
        [((account,), len(plan.blocked)) for account, plan in plans],
    )
    yield _gauge(
        "orphans",
        "Objects of ours that the values do not name any more.",
        ("account",),
        [((account,), each["orphan"]) for account, each in counted],
    )


OBJECTS: Sequence[tuple[str, str, str]] = (
    ("ttl", "ttl_seconds", "Seconds an entry lives after its last write; 0: for ever."),
    ("desiredTtl", "ttl_desired_seconds", "The same, as the values say."),
    ("entries", "entries", "Entries or messages stored."),
    ("bytes", "bytes", "Bytes stored."),
    ("limit", "limit_bytes", "Bytes that it may store; none without a limit."),
    ("age", "oldest_age_seconds", "Age of the oldest entry by the server's clock."),
)


def _objects(sights: Sequence[Sight], picture: Picture) -> Iterator[Metric]:
    labels, left_out = ("account", "kind", "name"), []
    rows: list[tuple[tuple[str, ...], dict[str, Json], int]] = []
    for sight in sights:
        if not sight.observed:
            continue
        found = as_page.objects(sight.observed, sight.plan, sight.pasts)
        found.sort(key=lambda each: (not each["differs"], not each["owner"]))  # what matters is told first
        went = {str(key): count for (account, key), count in picture.tally.went.items() if account == sight.account}
        rows += [((sight.account, each["kind"], each["name"]), each, went.get(each["key"], 0)) for each in found[:MOST]]
        left_out.append(((sight.account,), len(found[MOST:])))
    for key, name, what in OBJECTS:
        yield _gauge(name, what, labels, [(names, row[key]) for names, row, _ in rows if row[key] is not None])
    yield _gauge(
        "differs",
        "1 where it is not as the values say.",
        labels,
        [(names, bool(row["differs"])) for names, row, _ in rows],
    )
    yield _gauge("moving", "1 while it is moved.", labels, [(names, bool(row["moving"])) for names, row, _ in rows])
    yield _counter(
        "removed",
        "Entries that went while the monitor ran: expired, overwritten, deleted or dropped by a limit.",
        labels,
        [(names, count) for names, _, count in rows],
    )
    yield _gauge("left_out", f"Objects beyond the {MOST} that are told.", ("account",), left_out)


def _consumers(sights: Sequence[Sight]) -> Iterator[Metric]:
    rows, dead = [], []
    for sight in sights:
        found = [each for each in sight.observed.objects.values() if each.kind is CONSUMER] if sight.observed else []
        rows += [((sight.account, each.stream, each.name), each) for each in found[:MOST]]
        given_up = list(letters.streams(sight.observed))[:MOST] if sight.observed else []
        dead += [((sight.account, each.stream), each.messages) for each in given_up]
    labels = ("account", "stream", "consumer")
    yield _gauge(
        "consumer_pending",
        "Messages that wait for the consumer.",
        labels,
        [(names, each.pending) for names, each in rows],
    )
    yield _gauge(
        "consumer_unacknowledged",
        "Messages handed out and not acknowledged.",
        labels,
        [(names, each.ack_pending) for names, each in rows],
    )
    yield _gauge(
        "consumer_redelivered",
        "Messages handed out more than once and not acknowledged yet.",
        labels,
        [(names, each.redelivered) for names, each in rows],
    )
    yield _gauge("dead_letters", "Messages given up, as far as they are remembered.", ("account", "stream"), dead)


def _registered(services: Sequence[tuple[str, Services]]) -> Iterator[Metric]:
    known = [(account, each, each.instances()) for account, each in services if not each.trouble]
    counted = [(account, Counter(one.status for one in found)) for account, _, found in known]
    yield _gauge(
        "registry_readable",
        "1 where the bucket of the service registry is heard.",
        ("account",),
        [((account,), 0 if each.trouble else 1) for account, each in services],
    )
    yield _gauge(
        "registry_instances",
        "Fresh instances, by status.",
        ("account", "status"),
        [((account, status.value), each[status]) for account, each in counted for status in Status],
    )
    yield _gauge(
        "registry_late",
        "Instances that missed two heartbeats and are not gone yet.",
        ("account",),
        [((account,), sum(1 for one in found if each.is_late(one))) for account, each, found in known],
    )
    yield _gauge(
        "registry_unread",
        "Entries that are not understood.",
        ("account",),
        [((account,), each.unread) for account, each, _ in known],
    )
    yield _gauge(
        "registry_leaders",
        "Groups that have a leader.",
        ("account",),
        [((account,), each.leaders) for account, each, _ in known],
    )
    yield _counter(
        "registry_gone",
        "Instances that went while the monitor ran, because they said so or because they expired.",
        ("account", "why"),
        [
            ((account, why), each.went[why])
            for account, each in services
            for why in (Kind.LEFT.value, Kind.EXPIRED.value)
        ],
    )
