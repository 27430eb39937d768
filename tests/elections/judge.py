"""What has to be true of every election, whatever happens to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

FOLLOWED_SECONDS = 3.0
"""How much longer than its TTL a group may be without a leader; mostly it is 0.1 s, but this machine does more."""

STOPPED_SECONDS = 1.0
"""How soon after it goes on a stopped process tells its blocks; `held` is right before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a candidate wrote down: that it leads, what it saw when it looked, that it was told of the end."""

    who: str
    what: str
    group: str
    at: float
    token: int = 0
    held: bool = False
    seconds: float = 0.0
    why: str = ""


@dataclass(slots=True, kw_only=True)
class Run:
    """One fault of one group's leader."""

    fault: str
    group: str
    token: int
    who: str
    ttl: int
    at: float = 0.0
    healed: float = 0.0
    followed: float | None = None
    """When there was a new leader."""

    kept: bool = False
    """Whether the one before led on."""

    @property
    def seconds(self) -> float | None:
        """How long there was no leader; while the server is away there can be none."""
        if self.followed is None:
            return None
        return max(0.0, self.followed - (self.healed if self.fault == "restart" else self.at))


@dataclass(slots=True, kw_only=True)
class Report:
    """What a play showed."""

    seed: int
    runs: Sequence[Run]
    broken: list[tuple[str, str]] = field(default_factory=list)
    """A truth that did not hold, and a sentence."""

    looks: int = 0
    writes: int = 0


def judge(
    seed: int, runs: Sequence[Run], events: Sequence[Event], taken: Sequence[tuple[str, int, str]], errors: str
) -> Report:
    """Return what was broken in a play."""
    report = Report(seed=seed, runs=runs, looks=sum(each.what == "look" for each in events), writes=len(taken))
    by_group: dict[str, list[Event]] = defaultdict(list)
    late: dict[str, list[Event]] = defaultdict(list)
    for each in sorted(events, key=lambda each: each.at):
        by_group[each.group].append(each)
        if each.what == "late":
            late[each.who].append(each)
        elif each.what == "error":
            report.broken.append(("harness", f"{each.who} {each.group}: {each.why}"))
    for group, some in by_group.items():
        report.broken += _one_leader(group, some)
    report.broken += _fenced(taken)
    for run in runs:
        # The bytes go through the process that plays: where that is late, everybody is.
        slow = late[run.who] + late[""]
        anybody = [each for some in late.values() for each in some]
        report.broken += _followed(run, anybody) + _told(run, by_group[run.group], slow)
    if errors:
        report.broken.append(("harness", errors[-2000:]))
    return report


Broken = list[tuple[str, str]]


def _one_leader(group: str, events: Sequence[Event]) -> Broken:
    """No two leaders at the same instant, no two with the same token, and tokens that rise."""
    broken: Broken = []
    leads = [each for each in events if each.what == "lead"]
    last = {(each.who, each.token): each.at for each in events if each.what == "look" and each.held}
    for before, after in pairwise(leads):
        if after.token <= before.token:
            broken.append(("fencing", f"{group}: {after.who} leads with token {after.token} after {before.token}"))
        over = last.get((before.who, before.token), 0.0) - after.at
        if over > 0:
            broken.append(
                (
                    "one leader",
                    f"{group}: {before.who} ({before.token}) saw itself lead {over:.3f} s after {after.who} ({after.token}) did",
                )
            )
    return broken


def _fenced(taken: Iterable[tuple[str, int, str]]) -> Broken:
    """See that the resource never took a lower token than before, nor one of two leaders."""
    broken: Broken = []
    highest: dict[str, tuple[int, str]] = {}
    for group, token, who in taken:
        before = highest.get(group, (0, ""))
        if token < before[0] or (token == before[0] and who != before[1]):
            broken.append(("fencing", f"{group}: the resource took {token} of {who} after {before[0]} of {before[1]}"))
        highest[group] = max(before, (token, who))
    return broken


def _followed(run: Run, late: Sequence[Event]) -> Broken:
    """There is a leader again within the TTL and a little."""
    where = f"{run.group} (TTL {run.ttl} s, {run.fault})"
    if run.fault == "shift" and not run.kept and not any(run.at < each.at for each in late):
        return [("follower", f"{where}: a clock that was set cost {run.who} the lease")]
    if run.kept:
        return []
    if run.seconds is None:
        return [("follower", f"{where}: nobody followed")]
    # Who loses only its answers goes on renewing for one TTL before it gives up.
    longest = run.ttl * (2 if run.fault == "deafen" else 1) + FOLLOWED_SECONDS
    # A machine that is too slow for its processes is too slow for an election as well.
    longest += sum(each.seconds for each in late if run.followed and run.at < each.at < run.followed)
    return [("follower", f"{where}: followed after {run.seconds:.1f} s only")] if run.seconds > longest else []


def _told(run: Run, events: Sequence[Event], late: Sequence[Event]) -> Broken:
    """Who loses the lease is told within its TTL; who was stopped sees it at the first look."""
    where = f"{run.group} (TTL {run.ttl} s, {run.fault}): {run.who}"
    mine = [each for each in events if (each.who, each.token) == (run.who, run.token)]
    told = min((each.at for each in mine if each.what == "told"), default=None)
    if run.fault == "stop" and any(each.held for each in mine if each.what == "look" and each.at > run.healed):
        return [("told", f"{where} still saw itself lead when it went on")]
    if run.fault not in ("stop", "partition", "deafen", "restart") or run.kept:
        return []
    if told is None:
        return [("told", f"{where} was never told that its lease was over")]
    by = run.healed + STOPPED_SECONDS if run.fault == "stop" else run.at + run.ttl
    slow = sum(each.seconds for each in late if run.at < each.at and each.at - each.seconds < told)
    return [("told", f"{where} was told {told - by:.3f} s too late")] if told > by + slow else []
