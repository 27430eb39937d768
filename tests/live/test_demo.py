"""What a developer starts with: the chart's own server and objects on this machine, from the README's first command on."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nats
import pytest

ROOT = Path(__file__).parent.parent.parent
ANY = "-1"


def test_the_demo_ends_by_itself() -> None:
    """It provisions, changes a TTL with the entries kept, proves the expiry, and exits with 0."""
    done = subprocess.run([sys.executable, "demo/run.py"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, "\n".join(re.findall("error.*", done.stderr)))
    assert "ttlSeconds 30 -> 60" in done.stdout
    assert 2 == done.stdout.count("payments.1: healthy, revision 1\n")
    assert "Everything is as the values say. Expiry holds" in done.stdout


@contextmanager
def up(home: Path) -> Iterator[tuple[str, str]]:
    """Run what `make up` runs until the block ends, as by Ctrl-C; gives the address and the password that it told."""
    command = [sys.executable, "demo/up.py", "values/registry.yaml", ANY, ANY, str(home)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        told = ""
        while "natsmith status" not in told:
            line = process.stdout.readline()
            assert line, process.communicate()
            told += line
        found = re.search(r'NATS_URL=(\S+) NATS_USER=app NATS_PASSWORD="\$\(cat (\S+)\)"', told)
        assert found
        assert re.search(r"^Its page: http://127\.0\.0\.1:\d+/$", told, re.MULTILINE)
        try:
            yield found[1], (ROOT / found[2]).read_text()
        finally:
            process.send_signal(signal.SIGINT)
            try:
                last, wrong = process.communicate(timeout=20)
            finally:
                process.kill()
        assert (0, True) == (process.returncode, "Stopped." in last), wrong


async def test_data_survives_a_restart(tmp_path: Path) -> None:
    """What was stored, and the passwords, are there when it is started again."""
    with up(tmp_path) as (url, password):
        client = await nats.connect(url, user="app", password=password)
        await (await client.jetstream().key_value("service_registry")).put("payments", b"healthy")
        await client.close()
    with up(tmp_path) as (url, again):
        client = await nats.connect(url, user="app", password=again)
        entry = await (await client.jetstream().key_value("service_registry")).get("payments")
        await client.close()

    assert (b"healthy", password) == (entry.value, again)


def test_one_directory_has_one_server(tmp_path: Path) -> None:
    """Two servers on one store would destroy it."""
    command = [sys.executable, "demo/up.py", "values/registry.yaml", ANY, ANY, str(tmp_path)]
    with up(tmp_path):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert (1, True) == (done.returncode, "is in use by another make up" in done.stderr)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ("values/production.yaml", "prod-users"),
        ("values/staging.yaml", "needs several servers"),
        ("values/none.yaml", "values/none.yaml"),
    ],
)
def test_what_cannot_run_here_is_said(tmp_path: Path, values: str, told: str) -> None:
    """Values that need a Secret of somebody else's, or that are not there, end with a sentence."""
    command = [sys.executable, "demo/up.py", values, ANY, ANY, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode
    assert told in done.stderr
    assert "Traceback" not in done.stderr
