"""Events, one line each, on stderr: text for a reader, JSON for a collector.

Few and rich: an event names what was started, done or failed, and carries its facts as fields.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Literal, TextIO

Format = Literal["text", "json"]


class Log:
    """Writes events to one stream in one format."""

    def __init__(self, *, format: Format = "text", stream: TextIO | None = None) -> None:
        self.format = format
        self._stream = stream

    def info(self, event: str, **fields: object) -> None:
        """Tell that *event* happened."""
        self._write("info", event, fields)

    def warn(self, sentence: str) -> None:
        """Tell what is allowed but may surprise."""
        if self.format == "json":
            self._write("warning", "warning", {"text": sentence})
        else:
            print(f"warning: {sentence}", file=self._stream or sys.stderr, flush=True)

    def fail(self, sentence: str) -> None:
        """Tell why a run did not do what it was asked for."""
        if self.format == "json":
            self._write("error", "error", {"text": sentence})
        else:
            print(f"error: {sentence}", file=self._stream or sys.stderr, flush=True)

    def _write(self, level: str, event: str, fields: dict[str, object]) -> None:
        # Looked up at each call, so that a redirected stderr is honoured.
        stream = self._stream or sys.stderr
        if self.format == "json":
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            line = json.dumps({"time": now, "level": level, "event": event, **fields}, default=str)
        else:
            line = " ".join([event, *(f"{key}={_text(value)}" for key, value in fields.items())])
        print(line, file=stream, flush=True)


def _text(value: object) -> str:
    text = str(value)
    return json.dumps(text) if not text or any(c in text for c in ' "=\n') else text
