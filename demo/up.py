"""The chart's own server for a developer, without a cluster: until Ctrl-C, with data that stays."""

from __future__ import annotations

import collections
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

from chart import NotHere, NotRendered
from embedded import Embedded
from release import ROOT, InUse, Release


def main(
    values: str = "values/dev.yaml", port: str = "4222", monitor: str = "8222", home: str = "", page: str = "0"
) -> int:
    """Run it and return an exit code."""
    # SIGTERM as Ctrl-C: both end the server in order. Both are said, since a shell's background has Ctrl-C ignored.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.default_int_handler)
    release = Release(values, ROOT / (home or f".embedded/{Path(values).stem}"), ["monitor.enabled=true"])
    try:
        with release.locked():
            return run(release, (int(port), int(monitor)), int(page))
    except (ValueError, OSError) as wrong:
        print(f"{wrong}: PORT, MONITOR and PAGE are numbers, and {shown(release.home)} a directory", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nStopped. What it stored stays in {shown(release.home)}/ until `make clean`.", flush=True)
        return 0
    except NotRendered as refusal:
        print(refusal, file=sys.stderr)
        return 2
    except NotHere as lack:
        print(f"{lack}: choose values without it, such as make up VALUES=values/dev.yaml", file=sys.stderr)
        return 2
    except InUse:
        print(
            f"{shown(release.home)} is in use by another make up, or by the nats-server of one that was killed: stop that, "
            "or use other values",
            file=sys.stderr,
        )
        return 1


def run(release: Release, ports: tuple[int, int], page: int) -> int:
    """Run the release's server and its monitor until somebody stops them."""
    server, monitor = release.server(ports), None
    try:
        server.start()
        code = release.natsmith(server.url, ["apply", "-f", "desired.yaml"])
        if code:
            return code
        monitor = release.monitor(page)
        say(release, server, listening(monitor))
        server.wait()
    except RuntimeError as failure:
        reason = str(failure).strip().splitlines()[-1]
        print(f"{reason}\nIf a port is taken: make up PORT=4333 MONITOR=8333", file=sys.stderr)
    else:
        print(f"The server ended by itself: see {server.home / 'nats.log'}", file=sys.stderr)
    finally:
        if monitor:
            monitor.terminate()
            monitor.wait()
        server.stop()
    return 1


def listening(monitor: subprocess.Popen[str]) -> str:
    """Return where the monitor's page is, or why there is none; what else it says is read and left."""
    said: dict[str, str] = {}
    for line in monitor.stderr or ():
        said = json.loads(line)
        if said["event"] == "monitor.listens":
            # A pipe that nobody reads would fill, and the monitor wait.
            threading.Thread(target=collections.deque, args=(monitor.stderr, 0), daemon=True).start()
            return f"Its page: {said['at']}"
    return f"There is no page: {said.get('message') or said.get('event', 'the monitor ended')}"


def say(release: Release, server: Embedded, page: str) -> None:
    """Print how to connect, and how to change something."""
    print(f"\nThe server of {release.values} runs until Ctrl-C. Connect with:\n")
    for file in sorted(release.password("x").parent.glob("*.password")):
        account, user = file.name.removesuffix(".password").split(".")
        if user not in ("provisioner", "monitor"):
            print(f'  export NATS_URL={server.url} NATS_USER={user} NATS_PASSWORD="$(cat {file})"   # {account}')
    print(f"\n{page}")
    print(f"\n  {ROOT}/.venv/bin/natsmith status")
    print(f"\nTo change what is there: edit {release.values}, Ctrl-C, and make up again.", flush=True)


def shown(path: Path) -> Path:
    """Return *path* as a person in the repository names it."""
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
