"""The clock that leases and ages are measured by."""

from __future__ import annotations

import time


def clock() -> float:
    """Return seconds that go on while a process is stopped and, where the system can tell, while the machine sleeps."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)
