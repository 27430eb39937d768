"""Servers load what changed in their files, without a restart, and say that they have it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

from natsmith.clock import clock
from natsmith.errors import DecisionNeeded, NatsmithError, NotReady
from natsmith.log import Log
from natsmith.model.loading import Round, Seen, judged, parted

PAUSE_SECONDS = 2.0
"""Between two times that a server is asked to reload: Kubernetes does not tell when a mounted file has changed."""

ROUTES_SECONDS = 0.2
"""Between two times that servers are asked whom they are connected with: they try each other again within a second."""

MISSING_SECONDS = 5.0
"""How long servers are waited for that do not answer at all: one that starts loads the file that is there by then."""

PARTED_SECONDS = 30.0
"""How long servers are waited for that were asked and did not answer: other credentials of routes part them for a moment."""


class Servers(Protocol):
    """The servers; see ``adapters.system.System``."""

    async def servers(self, count: int = 0) -> list[Seen]:
        """Return those that answer."""

    async def reload(self, servers: Sequence[Seen]) -> list[Seen]:
        """Have them load their files, all at one time; return what those are then that answered."""

    async def elsewhere(self) -> None:
        """Ask another server from now on, where there are several."""


async def reload_all(system: Servers, *, count: int) -> list[Seen]:
    """Have every server load its files, and return what each answered; *count* is how many there must be, if known."""
    found = await system.servers(count)
    if len(found) < max(count, 1):
        names = ", ".join(sorted(each.name for each in found)) or "none"
        raise NotReady(
            f"{len(found)} of {max(count, 1)} servers answered ({names}), and no server was asked to reload: "
            "run the same command when all are up"
        )
    until = clock() + PARTED_SECONDS
    answers: dict[str, Seen] = {}
    asked = found
    while True:
        answers |= {each.name: each for each in await system.reload(asked)}
        silent = sorted(each.name for each in found if each.name not in answers)
        if not silent:
            refused = any(each.refusal for each in answers.values())
            if not refused and (apart := await _apart(system, found, within=PARTED_SECONDS)):
                raise NotReady(
                    f"all servers have loaded their files, but {', '.join(apart)} are not connected with each other "
                    f"after {PARTED_SECONDS:g} s: look whether both have the same password for their routes, "
                    "and a certificate that the other one trusts; then run the same command again"
                )
            return [answers[name] for name in sorted(answers)]
        if clock() > until:
            raise NotReady(
                f"{', '.join(silent)} did not answer within {PARTED_SECONDS:g} s when asked to reload; "
                f"{', '.join(sorted(answers)) or 'nobody'} did: run the same command again"
            )
        # Nobody announces that routes are there again; the time above bounds the loop.
        await asyncio.sleep(PAUSE_SECONDS)
        # One that restarted meanwhile has its name still.
        asked = [each for each in await system.servers(len(found)) if each.name in silent]
        if not asked:
            # The question may not have reached it before routes were parted: others, or it itself, are asked then.
            await system.elsewhere()


async def _apart(system: Servers, known: Sequence[Seen], *, within: float) -> list[str]:
    """Return when the servers are connected with each other, or after a time each two that are not.

    A server that other credentials have parted is back for the one that is asked before it is back for a third one.
    """
    until = clock() + within
    while True:
        apart = parted(known, await system.servers(len(known)))
        if not apart or clock() > until:
            return apart
        # Nobody announces that routes are there again; the time above bounds the loop.
        await asyncio.sleep(ROUTES_SECONDS)


async def load(system: Servers, expected: str, *, count: int, within: float, log: Log) -> Round:
    """Return when no server has an older configuration than *expected* that a reload can change."""
    began = whole = clock()
    told: set[tuple[str, str]] = set()
    loaded = False
    behind: tuple[Seen, ...] = ()
    answered, patience = 0, MISSING_SECONDS
    while True:
        now = judged(await system.servers(count), expected)
        gone = _gone(behind, now)
        if now.answered < answered:
            # Servers that all got other credentials for their routes need a moment to find each other.
            whole, patience = clock(), PARTED_SECONDS
        refusals: dict[str, str] = {}
        if now.behind:
            loaded = True
            after = {each.id: each for each in await system.reload(now.behind)}
            refusals = {each.name: each.refusal for each in after.values() if each.refusal}
            for each in after.values():
                _tell(each, expected, told, log)
            if len(after) < len(now.behind):
                # Who does not answer is about to stop, or its route is down: the next rounds show whether it is there.
                whole = clock()
            now = judged([*now.current, *(after.get(each.id, each) for each in now.behind), *now.leaving], expected)
        spent = clock() - began
        answered = now.answered
        behind = (*now.behind, *gone)
        if answered and not behind and (answered >= count or clock() - whole >= patience):
            if answered < count:
                log.warn(f"{answered} of {count} servers answer: one that starts later loads its new files by itself")
            within = min(PARTED_SECONDS, within - spent)
            if loaded and (apart := await _apart(system, [*now.current, *now.leaving], within=within)):
                log.warn(f"{', '.join(apart)} are not connected with each other after {within:.0f} s")
            return now
        if spent >= within:
            raise _given_up(behind, gone, refusals, within=within)
        if gone:
            # Its files came later than those of the server that is asked, and with them other credentials of the routes.
            await system.elsewhere()
        # Nothing announces that the kubelet has changed a mounted file; `within` bounds the wait.
        await asyncio.sleep(min(PAUSE_SECONDS, within - spent))


def _gone(before: Iterable[Seen], now: Round) -> tuple[Seen, ...]:
    """Return who was *before* and answers no more; one that restarted has its name still, and loads its files by itself."""
    names = {each.name for each in (*now.current, *now.behind, *now.leaving)}
    return tuple(each for each in before if each.name not in names)


def _tell(server: Seen, expected: str, told: set[tuple[str, str]], log: Log) -> None:
    reason = server.refusal or "its file is still the one before"
    if server.tag == expected:
        log.info("server.reloaded", server=server.name)
    elif (server.name, reason) not in told:
        told.add((server.name, reason))
        log.info("server.waiting", server=server.name, reason=reason)


def _given_up(
    behind: Sequence[Seen], gone: Sequence[Seen], refusals: dict[str, str], *, within: float
) -> NatsmithError:
    if refusals:
        return DecisionNeeded(*refused(refusals))
    names = ", ".join(each.name for each in gone or behind)
    if gone:
        return NotReady(
            f"{names}: did not answer any more when others had loaded their files, for {within:g} s. "
            "Look whether it runs, and whether all servers have the same password for their routes; then run it again"
        )
    if not names:
        return NotReady(f"no server answered the question for its configuration within {within:g} s: run it again")
    return NotReady(
        f"{names}: the configuration before this one was still in the mounted files after {within:g} s. "
        "Kubernetes brings a changed one within a minute or two: run it again"
    )


def refused(refusals: dict[str, str]) -> Sequence[str]:
    """Return a sentence for each server that refused its files."""
    return [
        f"server {name} refuses its new configuration and serves on with the one before: {refusal}. "
        "Mend what it names, in the values or in the Secret, then upgrade again; after a rollback, roll back to another revision"
        for name, refusal in refusals.items()
    ]
