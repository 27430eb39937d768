"""A run that is told to end: what is said of it, by whoever has nothing else to tell and by who has."""

from __future__ import annotations

import asyncio

from natsmith.errors import StoppedHalfway

BY_SIGNAL = "stopped by a signal: run the same command again to go on"
BY_KEYBOARD = "stopped by the keyboard: run the same command again to go on"


def told_to_stop(error: asyncio.CancelledError) -> StoppedHalfway:
    """Return what ended the run; asyncio, which hears the keyboard by itself, gives no reason."""
    return StoppedHalfway(*(error.args or (BY_KEYBOARD,)))
