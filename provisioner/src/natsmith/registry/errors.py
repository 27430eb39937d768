"""What goes wrong with a registry alone; the families that everybody knows are in natsmith.errors."""

from __future__ import annotations

from natsmith.errors import DecisionNeeded


class WrongUse(RuntimeError):
    """The program itself has to be changed: it calls the library in a way that never works."""


class Replaced(DecisionNeeded):
    """Another process registered with the id of this one, which is not heard any more."""


class NoBucket(DecisionNeeded):
    """There is no bucket of that name."""

    def __init__(self, name: str, profile: str) -> None:
        self.found = f"there is no bucket {name}"
        self.cure = f"provision it (values: buckets.{name}, profile {profile})"
        super().__init__(f"{self.found}: {self.cure}")


class NotAllowed(DecisionNeeded):
    """The user of the connection may not do what was asked."""

    def __init__(self, what: str) -> None:
        self.found = f"the user of this connection may not {what}"
        self.cure = "grant it that"
        super().__init__(f"{self.found}: {self.cure}")


class Conflict(Exception):
    """The key has another revision than was expected."""
