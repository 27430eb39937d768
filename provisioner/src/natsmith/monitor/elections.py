"""Who leads, as the bucket of elections tells it."""

from __future__ import annotations

from natsmith.model.units import Json
from natsmith.registry.answers import Stored
from natsmith.registry.candidacy import Leader, leader_of
from natsmith.registry.consumer import Event

SHOWN = 500


class Leaders:
    """Hears who leads."""

    def __init__(self) -> None:
        self.known: dict[str, Stored] = {}

    def begins(self, _: object, *, anew: bool) -> None:
        """Forget who led, if all is told anew."""
        if anew:
            self.known.clear()

    def happened(self, event: Event) -> None:
        """Learn who leads, or that nobody does."""
        if event.gone:
            self.known.pop(event.key, None)
        else:
            self.known[event.key] = Stored(revision=event.revision, at=event.at, payload=event.payload, deleted=False)

    def current(self) -> None:
        """Know that all was told; who leads is looked at when it is shown."""

    def leading(self, now: float) -> list[Leader]:
        """Return who leads, by group."""
        found = (leader_of(group, stored, now=now) for group, stored in sorted(self.known.items()))
        return [each for each in found if each]

    def shown(self, now: float) -> list[dict[str, Json]]:
        """Return the first leaders, for a page."""
        return [
            {"group": each.group, "id": each.id, "token": each.token, "ttl": each.ttl, "heard": round(each.heard, 2)}
            for each in self.leading(now)[:SHOWN]
        ]
