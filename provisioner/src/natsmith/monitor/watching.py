"""Keeping what is known of an account as it is: told by the server where that tells, asked for where it does not."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import replace

from natsmith.actions import lease, state
from natsmith.actions.apply import planned
from natsmith.actions.observe import observe
from natsmith.adapters.jetstream import JetStream
from natsmith.adapters.link import Heard
from natsmith.clock import clock
from natsmith.errors import NatsmithError
from natsmith.log import Log
from natsmith.model.desired import Desired
from natsmith.monitor import letters
from natsmith.monitor.sight import Sight

TOLD = (
    "$JS.EVENT.ADVISORY.STREAM.>",
    "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>",
    "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>",
)
"""What a server announces: streams that are made, changed or deleted, and messages that are given up."""

POLL_SECONDS = 2.0
"""What is not announced, such as how many entries there are, is asked for as often."""

SHARE = 20
"""Of a large account the reading takes longer: it is at work for one part in so many of the time."""

LONGEST_PAUSE = 60.0

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
        self._server, self._desired, self._changed, self._log, self._values = server, desired, changed, log, values
        self.sight = Sight(account=account, trouble="it was not read yet")
        self._told = asyncio.Event()

    async def run(self) -> None:
        """Look until the program ends."""
        async with contextlib.AsyncExitStack() as stack:
            lacking = []
            for subject in TOLD:
                try:
                    end = await self._server.link.listen(subject, self._heard)
                except NatsmithError as error:  # without being told it is found by asking, a little later
                    lacking.append(str(error))
                else:
                    stack.push_async_callback(end)
            self.sight = replace(self.sight, lacking=tuple(lacking))
            while True:
                began = clock()
                await self._look()
                self._changed(self.sight)
                took = 0.0 if self.sight.trouble else clock() - began
                pause = min(max(POLL_SECONDS, SHARE * took), LONGEST_PAUSE)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._told.wait()
                        # Time itself is awaited: what else is announced in this moment belongs to it.
                        await asyncio.sleep(GATHER_SECONDS)
                self._told.clear()

    async def _heard(self, _: Heard) -> None:
        self._told.set()

    async def _look(self) -> None:
        account = self.sight.account
        try:
            wanted = self._desired or Desired()
            observed = await observe(self._server, wanted, account=account, everything=True, counted=False)
            plan = planned(wanted, observed, account, wanted.owner) if self._desired else None
            has_state = await self._server.stream(state.STREAM) is not None
            holder = await lease.holder(self._server) if has_state else None
            pasts = await state.outcomes(self._server) if has_state else ()
            dead = await letters.read(self._server, observed, values=self._values)
        except NatsmithError as error:
            self._trouble(str(error))
            return
        if self.sight.trouble:
            self._log.info("monitor.reads", account=account, server=observed.version)
        self.sight = replace(
            self.sight,
            at=time.time(),
            trouble="",
            server=observed.version,
            observed=observed,
            plan=plan,
            pasts=pasts,
            holder=holder,
            letters=dead,
        )

    def _trouble(self, text: str) -> None:
        if text != self.sight.trouble:
            self._log.warn(f"account {self.sight.account} cannot be read: {text}")
        self.sight = replace(self.sight, trouble=text)
