"""Which subjects meet: NATS subjects with their wildcards ``*`` and ``>``."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

Owner = TypeVar("Owner", bound=Hashable)


def meet(one: str, other: str) -> bool:
    """Return whether some subject matches both."""
    left, right = one.split("."), other.split(".")
    for a, b in zip(left, right, strict=False):
        if ">" in (a, b):
            return True
        if a != b and "*" not in (a, b):
            return False
    return len(left) == len(right)


def within(inner: str, outer: str) -> bool:
    """Return whether every subject that *inner* matches is matched by *outer*."""
    left, right = inner.split("."), outer.split(".")
    for index, word in enumerate(right):
        if index >= len(left):
            return False
        if word == ">":
            return True
        if left[index] == ">" or (word != "*" and word != left[index]):
            return False
    return len(left) == len(right)


class _Node(Generic[Owner]):
    __slots__ = ("children", "owner")

    def __init__(self) -> None:
        self.children: dict[str, _Node[Owner]] = {}
        self.owner: tuple[Owner, str] | None = None


class SubjectIndex(Generic[Owner]):
    """Who holds which subject; tells in about the time of one lookup whether another subject meets one of them."""

    def __init__(self) -> None:
        self._root: _Node[Owner] = _Node()

    def add(self, subject: str, owner: Owner) -> None:
        """Let *owner* hold *subject*."""
        node = self._root
        for word in subject.split("."):
            node = node.children.setdefault(word, _Node())
        node.owner = (owner, subject)

    def meeting(self, subject: str) -> Iterator[tuple[Owner, str]]:
        """Yield everyone whose subject meets *subject*, with that subject."""
        yield from self._walk(self._root, subject.split("."), 0)

    def _walk(self, node: _Node[Owner], words: list[str], depth: int) -> Iterator[tuple[Owner, str]]:
        if depth == len(words):
            if node.owner:
                yield node.owner
            return
        word = words[depth]
        if word == ">":
            for child in node.children.values():
                yield from self._all(child)
            return
        rest = node.children.get(">")
        if rest and rest.owner:
            yield rest.owner
        if word == "*":
            for key, child in node.children.items():
                if key != ">":
                    yield from self._walk(child, words, depth + 1)
            return
        for key in (word, "*"):
            if key in node.children:
                yield from self._walk(node.children[key], words, depth + 1)

    def _all(self, node: _Node[Owner]) -> Iterator[tuple[Owner, str]]:
        if node.owner:
            yield node.owner
        for child in node.children.values():
            yield from self._all(child)
