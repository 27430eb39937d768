"""How many entries went while the monitor ran: the server does not count them, but numbers what is written."""

from __future__ import annotations

from natsmith.model.desired import Id
from natsmith.model.observed import Observed
from natsmith.model.resources import CONSUMER


class Tally:
    """What went from each object: expired, overwritten, deleted or dropped by a limit."""

    def __init__(self) -> None:
        self.went: dict[tuple[str, Id], int] = {}
        self._before: dict[tuple[str, Id], tuple[str, int, int]] = {}

    def count(self, account: str, observed: Observed) -> None:
        """Count what went since this was asked last; what is another object by now begins anew."""
        before = {key: value for key, value in self._before.items() if key[0] != account}
        for found in observed.objects.values():
            if found.kind is CONSUMER:
                continue
            key = account, found.id
            created, last, messages = self._before.get(key, ("", 0, 0))
            before[key] = found.created, found.last_sequence, found.messages
            known = self.went.setdefault(key, 0)
            if created == found.created:
                self.went[key] = known + max(0, found.last_sequence - last - (found.messages - messages))
        self._before = before
        for key in [key for key in self.went if key[0] == account and key[1] not in observed.objects]:
            del self.went[key]
