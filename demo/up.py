"""The chart's own server for a developer, without a cluster: until Ctrl-C, with data that stays."""

from __future__ import annotations

import signal
import sys

from chart import NotHere, NotRendered
from embedded import Embedded
from release import ROOT, Release


def main(values: str = "values/dev.yaml", port: str = "4222", monitor: str = "8222", home: str = ".embedded") -> int:
    """Run it and return an exit code."""
    release = Release(values, ROOT / home)
    try:
        server = release.server((int(port), int(monitor)))
        server.start()
    except NotRendered as refusal:
        print(refusal, file=sys.stderr)
        return 2
    except NotHere as lack:
        print(f"{lack}: choose values without it, such as make up VALUES=values/dev.yaml", file=sys.stderr)
        return 2
    except RuntimeError as failure:
        reason = str(failure).strip().splitlines()[-1]
        print(f"{reason}\nIf the port is taken: make up PORT=4333 MONITOR=8333", file=sys.stderr)
        return 1
    # SIGTERM as Ctrl-C: both end the server in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = release.natsmith(server.url, ["apply", "-f", "desired.yaml"])
        if code:
            return code
        say(release, server)
        server.wait()
    except KeyboardInterrupt:
        return 0
    else:
        print(f"The server ended by itself: see {server.home / 'nats.log'}", file=sys.stderr)
        return 1
    finally:
        server.stop()
        print(f"\nStopped. What it stored stays in {home}/ until `make clean`.", flush=True)


def say(release: Release, server: Embedded) -> None:
    """Print how to connect."""
    print(f"\nThe server of {release.values} runs until Ctrl-C. Connect with:\n")
    for file in sorted(release.password("x").parent.glob("*.password")):
        account, user = file.name.removesuffix(".password").split(".")
        if user != "provisioner":
            secret = file.relative_to(ROOT) if file.is_relative_to(ROOT) else file
            print(f'  export NATS_URL={server.url} NATS_USER={user} NATS_PASSWORD="$(cat {secret})"   # {account}')
    print("\n  natsmith status", flush=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
