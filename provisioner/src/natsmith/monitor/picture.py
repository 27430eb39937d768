"""Everything that is shown: the accounts as they were seen last, and who is registered there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace

from natsmith.clock import clock
from natsmith.model.units import Json
from natsmith.monitor import letters
from natsmith.monitor.hub import Hub
from natsmith.monitor.services import Services
from natsmith.monitor.sight import Sight
from natsmith.monitor.tally import Tally
from natsmith.views import as_json, as_page

VERSION = 1
CHANGES_SHOWN = 200
"""More than a person reads on a page, which tells how many there are."""


class Picture:
    """What is known of all accounts."""

    def __init__(self, accounts: Iterable[str] = ()) -> None:
        self.hub = Hub()
        self.sights: dict[str, Sight] = {}
        self.services: dict[str, Services] = {}
        self.tally = Tally()
        for account in accounts:
            self.saw(Sight(account=account, trouble="its server was not reached yet"))

    def saw(self, sight: Sight) -> None:
        """Keep what was seen of an account, and tell who looks."""
        name = sight.account
        before = self.sights.get(name)
        if before and before.observed and not sight.observed:  # connected anew, and not read since: what was seen stays
            sight = replace(before, trouble=sight.trouble)
        self.sights[name] = sight
        if sight.observed and not sight.trouble:
            self.tally.count(name, sight.observed)
        rows, now = _objects(sight)["objects"], as_page.now(sight.observed)
        about = {"account": name, "now": now}
        self.hub.put_rows(f"objects:{name}", {each["key"]: _lasting(each) for each in rows}, about)
        told = {"account": name, "of": "objects"}
        self.hub.clock(f"objects:{name}", lambda: {**told, "now": now and now + clock() - sight.at})
        consumers = _consumers(sight)
        table = {each["key"]: each for each in consumers["consumers"]}
        self.hub.put_rows(f"consumers:{name}", table, {"account": name})
        self.hub.put(f"letters:{name}", {key: consumers[key] for key in ("account", "letters", "deadLetters")})
        self.hub.put(f"account:{name}", _account(sight))
        self.hub.put(f"plan:{name}", _plan(sight, most=CHANGES_SHOWN))

    def lost(self, account: str, why: str) -> None:
        """Know that an account cannot be reached; what was seen of it stays."""
        self.saw(replace(self.sights.get(account, Sight(account=account)), trouble=why))

    def trouble(self) -> list[str]:
        """Return why accounts cannot be read now."""
        return [
            f"account {each.account} cannot be read: {each.trouble}" for each in self.sights.values() if each.trouble
        ]

    def documents(self) -> Mapping[str, Callable[[], Json]]:
        """Return the documents of the API by name."""
        return {
            "accounts": lambda: self._each(_account),
            "buckets": lambda: self._each(_objects),
            "consumers": lambda: self._each(_consumers),
            "plan": lambda: self._each(_plan),
            "services": lambda: {"version": VERSION, "accounts": [each.document() for each in self.services.values()]},
        }

    def _each(self, made: Callable[[Sight], dict[str, Json]]) -> Json:
        return {"version": VERSION, "accounts": [made(each) for each in self.sights.values()]}


def _account(sight: Sight) -> dict[str, Json]:
    holder = sight.holder
    return {
        "account": sight.account,
        "trouble": sight.trouble,
        "lacking": list(sight.lacking),
        "server": sight.server,
        "last": sight.pasts[0].as_json() if sight.pasts else None,
        "lockedBy": holder.owner if holder else "",
        "limits": as_json.limits(sight.observed) if sight.observed else {},
    }


def _objects(sight: Sight) -> dict[str, Json]:
    rows = as_page.objects(sight.observed, sight.plan, sight.pasts) if sight.observed else []
    return {"account": sight.account, "objects": rows}


def _lasting(row: Mapping[str, Json]) -> dict[str, Json]:
    """Return a row without what changes by the clock alone: pages know when the oldest entry was written."""
    return {key: value for key, value in row.items() if key != "age"}


def _consumers(sight: Sight) -> dict[str, Json]:
    rows = as_page.consumers(sight.observed, sight.plan) if sight.observed else []
    dead = sum(each.messages for each in letters.streams(sight.observed)) if sight.observed else 0
    shown = [asdict(each) for each in sight.letters]
    return {"account": sight.account, "consumers": rows, "letters": shown, "deadLetters": dead}


def _plan(sight: Sight, *, most: int | None = None) -> dict[str, Json]:
    return {"account": sight.account, "plan": as_page.changes(sight.plan, most=most) if sight.plan else None}
