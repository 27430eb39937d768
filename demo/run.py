"""The main job on an embedded server: provision values/dev.yaml, prove the expiry, change a TTL in place."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from embedded import nats_server

ROOT = Path(__file__).parent.parent
STEPS = (
    ("What would change?", ["plan", "-f", "values/dev.yaml"]),
    ("Change it.", ["apply", "-f", "values/dev.yaml"]),
    ("Is it so, and does expiry really work?", ["verify", "-f", "values/dev.yaml", "--prove"]),
    (
        "Another time to live: in place, nothing is recreated.",
        ["apply", "-f", "values/dev.yaml", "--set", "buckets.service_registry.ttlSeconds=60"],
    ),
    ("What is there now?", ["status"]),
)


def main() -> int:
    """Run the steps one after the other and return the first exit code that is not 0."""
    natsmith = Path(sys.executable).parent / "natsmith"
    with nats_server() as server:
        environment = {**os.environ, "NATS_URL": server.url}
        for why, words in STEPS:
            print(f"\n# {why}\n$ natsmith {shlex.join(words)}", flush=True)
            # Our own program with the arguments above.
            code = subprocess.run([natsmith, *words], cwd=ROOT, env=environment, check=False).returncode  # noqa: S603
            if code:
                return code
    print(
        "\nThe server was embedded and is gone. Run these against yours: NATS_URL=nats://… natsmith plan -f values/dev.yaml"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
