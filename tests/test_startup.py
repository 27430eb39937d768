"""What a run does not pay for: each Job is a new process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PAGE = ("starlette", "uvicorn", "prometheus_client", "anyio", "h11", "click")
"""What the page is made with, and what that brings along."""

PROGRAM = """
import sys
from natsmith.cli import main
code = main(sys.argv[1:])
print(code, sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_an_apply_does_not_import_what_the_page_is_made_with(tmp_path: Path) -> None:
    """The image has it, and only `natsmith monitor` reads it."""
    values = tmp_path / "values.yaml"
    values.write_text("buckets: {sessions: {ttlSeconds: 300}}\n")
    words = ("apply", "-f", str(values), "--server", "nats://127.0.0.1:1", "--timeout", "0.1")
    done = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, check=False)

    assert done.stdout.startswith("75 "), done.stdout + done.stderr
    assert "'nats'" in done.stdout
    assert [] == [each for each in PAGE if f"'{each}'" in done.stdout]
