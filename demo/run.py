"""The main job without a cluster: the chart's own server and objects, a TTL changed in place, the expiry proved."""

from __future__ import annotations

import asyncio
import shlex
import sys
import tempfile
from pathlib import Path

import nats

from release import Release

VALUES = "values/dev.yaml"
BUCKET = "service_registry"
ENTRIES = ("payments.1", "payments.2", "orders.1")


def main() -> int:
    """Run the steps one after the other and return the first exit code that is not 0."""
    with tempfile.TemporaryDirectory(prefix="natsmith-") as directory:
        release = Release(VALUES, Path(directory))
        title("The chart is rendered, and its nats.conf is run.")
        print(f"$ helm template dev charts/natsmith -f {VALUES}")
        server = release.server()
        server.start()
        try:
            return steps(release, server.url)
        finally:
            server.stop()


def steps(release: Release, url: str) -> int:
    """Show what natsmith does with the release's objects."""
    longer = (f"buckets.{BUCKET}.ttlSeconds=60",)
    for why, words, sets in (
        ("What would change?", ["plan"], ()),
        ("Change it.", ["apply"], ()),
        ("Services register: entries that live 30 seconds after their last write.", [], ()),
        ("Another time to live: in place, and the entries stay.", ["apply"], longer),
        ("Are they still there?", [], longer),
        ("Is it so, and does expiry really work?", ["verify", "--prove", "--as", "applications.yaml"], longer),
    ):
        title(why)
        if words:
            command = [words[0], "-f", "desired.yaml", *words[1:]]
            rendered = f"helm template … --set {sets[0]}; " if sets else ""
            print(f"$ {rendered}natsmith {shlex.join(command)}", flush=True)
            code = release.natsmith(url, command, sets)
            if code:
                return code
        else:
            asyncio.run(entries(release, url, put=not sets))
    title("What is there now?")
    print("$ natsmith status", flush=True)
    code = release.natsmith(url, ["status"], longer)
    print("\nThe server was embedded and is gone; `make up` leaves one running. In a cluster:")
    print(f"  helm upgrade --install dev charts/natsmith -f {VALUES}")
    return code


async def entries(release: Release, url: str, *, put: bool) -> None:
    """Put the entries as the application's user, or show them."""
    client = await nats.connect(url, user="app", password=release.password("app.app").read_text())
    bucket = await client.jetstream().key_value(BUCKET)
    for each in ENTRIES:
        if put:
            await bucket.put(each, b"healthy")
        entry = await bucket.get(each)
        print(f"{each}: {(entry.value or b'').decode()}, revision {entry.revision}")
    await client.close()


def title(text: str) -> None:
    """Print what comes next."""
    print(f"\n# {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
