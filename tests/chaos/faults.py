"""natsmith as a process that can die at a line of its log or at any time, and servers that can die as well."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nats.aio.client import Client

from chaos.raw import Place, api
from chaos.scenario import Scenario

NATSMITH = Path(os.environ.get("NATSMITH") or Path(sys.executable).parent / "natsmith")
"""The one beside this Python, unless the environment names another one."""

SECONDS = 45
"""How long one run of natsmith may take."""

LOCK = {"filter": "$KV.natsmith_state.lock"}
STEP = "move."
"""How the lines of a move's steps begin."""


@dataclass(slots=True)
class Ran:
    """One run of natsmith."""

    code: int = 0
    steps: list[str] = field(default_factory=list)
    """The lines that announce a step."""

    text: str = ""
    """All that it wrote."""

    killed: str = ""
    """After which line it was killed; nothing if it was not."""

    @property
    def tail(self) -> str:
        """What it said last."""
        return " | ".join(self.text.strip().splitlines()[-3:])[-400:]


@dataclass(slots=True)
class Natsmith:
    """Runs natsmith in an account, with files in a directory of its own."""

    home: Path
    place: Place
    url: str
    """One server's address: natsmith is told one."""

    seconds: float = SECONDS

    async def run(
        self,
        *words: str,
        at_step: int = 0,
        after: float | None = None,
        begun: Callable[[], None] = lambda: None,
    ) -> Ran:
        """Run it; kill it when it announces step *at_step*, or *after* so many seconds from its first line on."""
        password = self.home / "password"
        password.write_text(self.place.password)
        command = [*words, "--server", self.url, "--user", self.place.user, "--password-file", str(password)]
        process = await asyncio.create_subprocess_exec(
            NATSMITH,
            *command,
            env={"PATH": os.environ["PATH"], "HOME": str(self.home)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        ran = Ran()

        def kill(where: str) -> None:
            if process.returncode is None and not ran.killed:
                ran.killed = where
                process.kill()

        async def listen(pipe: asyncio.StreamReader | None) -> None:
            while pipe and (line := (await pipe.readline()).decode(errors="replace")):
                ran.text += line
                if not line.startswith(STEP):
                    continue
                ran.steps.append(line.strip())
                if len(ran.steps) == 1:
                    begun()
                    if after is not None:
                        asyncio.get_running_loop().call_later(
                            after, lambda: kill(f"{after:.2f} s after the first step")
                        )
                if len(ran.steps) == at_step:
                    kill(short(line))

        try:
            async with asyncio.timeout(self.seconds):
                await asyncio.gather(listen(process.stdout), listen(process.stderr), process.wait())
        except TimeoutError:
            ran.text += f"\nnatsmith did not end within {self.seconds} s"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        ran.code = process.returncode if process.returncode is not None else -9
        return ran


def short(line: str) -> str:
    """Return the step that a line announces, without what differs from run to run."""
    words = line.split()
    step = next((word for word in words if word.startswith("step=")), "")
    return " ".join([words[0], step]).strip()


def kills(scenario: Scenario, attempt: int) -> tuple[int, float | None]:
    """Return at which step and after how long natsmith is killed in its run number *attempt*."""
    if attempt > (1 if scenario.again else 0) or scenario.fault in ("none", "server"):
        return 0, None
    if scenario.fault == "instant":
        return 0, scenario.delay / (1 + attempt)
    # A run that goes on has fewer steps before it.
    return (1 + scenario.step % 4 if attempt else scenario.step), None


async def free_lock(client: Client) -> None:
    """Take the lock from the dead: it would let go by itself, after 15 s."""
    with contextlib.suppress(Exception):
        await api(client, "STREAM.PURGE.KV_natsmith_state", LOCK, timeout=2)
