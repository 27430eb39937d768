"""Who leads, as the bucket of elections tells it."""

from __future__ import annotations

from natsmith.model.units import Json
from natsmith.registry.candidacy import leader_of
from natsmith.registry.feed import Event
from natsmith.registry.line import Stored

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

    def shown(self) -> list[dict[str, Json]]:
        """Return the leaders, by group."""
        found = [leader_of(group, stored) for group, stored in sorted(self.known.items())[:SHOWN]]
        return [
            {"group": each.group, "id": each.id, "token": each.token, "ttl": each.ttl, "heard": round(each.heard, 2)}
            for each in found
            if each
        ]
