"""Keeping what is known of an account as it is: told by the server where that tells, asked for where it does not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace

from natsmith.actions import lease, state
from natsmith.actions.apply import planned
from natsmith.actions.observe import observe
from natsmith.adapters.jetstream import JetStream
from natsmith.adapters.link import Heard
from natsmith.adapters.server import Refused
from natsmith.clock import clock
from natsmith.errors import DecisionNeeded, NatsmithError
from natsmith.log import Log
from natsmith.model.change import Plan
from natsmith.model.desired import Desired
from natsmith.model.observed import Observed
from natsmith.model.outcome import Holder, Past
from natsmith.monitor.letters import Letters
from natsmith.monitor.sight import Sight

TOLD = (
    "$JS.EVENT.ADVISORY.STREAM.>",
    "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>",
    "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>",
)
"""What a server announces: streams that are made, changed or deleted, and messages that are given up."""

POLL_SECONDS = 2.0
"""What is not announced, such as how many entries there are, is asked for as often."""

SHARE = 10
"""Of a large account the reading takes longer: it is at work for one part in so many of the time."""

LONGEST_PAUSE = 30.0
LACKING_TOLD = 5

GATHER_SECONDS = 0.1
"""An apply announces many changes at once: they are looked at together."""


class Watching:
    """One account, looked at again and again; nothing is ever written there."""

    def __init__(
        self,
        server: JetStream,
        desired: Desired | None,
        *,
        account: str,
        changed: Callable[[Sight], None],
        log: Log,
        values: bool,
    ) -> None:
        self._server, self._desired, self._changed, self._log = server, desired, changed, log
        self._letters = Letters(values=values)
        self._deaf: tuple[str, ...] = ()
        """What cannot be listened to, so that it is found by asking, a little later."""

        self.sight = Sight(account=account, trouble="it was not read yet")
        self._told = asyncio.Event()
        self._up = asyncio.Event()
        self._up.set()
        self._over = False

    def lost(self) -> None:
        """Know that the connection is gone: it is said at once, and looked again when it is back."""
        if self._over:  # it was closed by ourselves
            return
        self._up.clear()
        self._trouble(f"the connection to {self._server.link.where} is lost, and tried again until it is back")
        self._changed(self.sight)

    def back(self) -> None:
        """Know that the connection stands again."""
        self._up.set()
        self._told.set()

    async def run(self) -> None:
        """Look until the program ends."""
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._end)
            await self._listen(stack)
            while True:
                await self._up.wait()
                began = clock()
                await self._look()
                self._changed(self.sight)
                took = 0.0 if self.sight.trouble else clock() - began
                await self._rest(min(max(POLL_SECONDS, SHARE * took), LONGEST_PAUSE))

    def _end(self) -> None:
        self._over = True

    async def _listen(self, stack: contextlib.AsyncExitStack) -> None:
        deaf = []
        for subject in TOLD:
            try:
                stack.push_async_callback(await self._server.link.listen(subject, self._heard))
            except DecisionNeeded as error:
                deaf.append(str(error))
        self._deaf = tuple(deaf)

    async def _rest(self, most: float) -> None:
        """Return when something was announced, or after *most* seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(most):
                await self._told.wait()
                # Time itself is awaited: what else is announced in this moment belongs to it.
                await asyncio.sleep(GATHER_SECONDS)
        self._told.clear()

    async def _heard(self, _: Heard) -> None:
        self._told.set()

    async def _look(self) -> None:
        account = self.sight.account
        lacking = list(self._deaf)
        try:
            wanted = self._desired or Desired()
            observed = await observe(
                self._server, wanted, account=account, everything=True, counted=False, lacks=lacking.append
            )
        except (NatsmithError, Refused) as error:
            self._trouble(str(error))
            return
        plan = self._planned(observed, lacking) if self._desired and len(lacking) == len(self._deaf) else None
        pasts, holder = await self._past(lacking)
        dead = await self._letters.read(self._server, observed, lacking.append)
        if self.sight.trouble:
            self._log.info("monitor.reads", account=account, server=observed.version)
        self.sight = Sight(
            account=account,
            at=clock(),
            server=observed.version,
            max_payload=self._server.link.greeting.get("max_payload", 0),
            observed=observed,
            plan=plan,
            pasts=pasts,
            holder=holder,
            letters=dead,
            lacking=_few(lacking),
        )

    def _planned(self, observed: Observed, lacking: list[str]) -> Plan | None:
        wanted = self._desired or Desired()
        try:
            return planned(wanted, observed, self.sight.account, wanted.owner)
        except NatsmithError as error:  # the values cannot be true here; what is there is shown all the same
            lacking.append(f"there is no plan: {error}")
            return None

    async def _past(self, lacking: list[str]) -> tuple[Sequence[Past], Holder | None]:
        """Return the last runs and who holds the lock, as far as the user may ask."""
        try:
            if await self._server.stream(state.STREAM) is None:
                return (), None
            return await state.outcomes(self._server), await lease.holder(self._server)
        except (NatsmithError, Refused) as error:
            lacking.append(str(error))
            return self.sight.pasts, None

    def _trouble(self, text: str) -> None:
        if text != self.sight.trouble:
            self._log.warn(f"account {self.sight.account} cannot be read: {text}")
        self.sight = replace(self.sight, trouble=text)


def _few(lacking: Sequence[str]) -> tuple[str, ...]:
    """Return what lacks, each once; of thousands of streams it may be the same."""
    found = tuple(dict.fromkeys(lacking))
    more = len(found) - LACKING_TOLD
    return (*found[:LACKING_TOLD], f"and {more} more of the kind") if more > 0 else found
