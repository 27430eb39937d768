"""The connection of a user who has flags, variables and contexts of the nats CLI."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import pytest

from natsmith.adapters.connections import Connection, from_environment
from natsmith.errors import WrongValues
from natsmith.model.units import Json


def connection(
    home: Path | None, environ: dict[str, str] | None = None, *, selected: dict[str, Json] | None = None, **flags: str
) -> Connection:
    """Return the connection of a user whose selected context, if any, is *selected*."""
    if selected is not None and home is not None:
        write_context(home / ".config", "main", selected)
    return from_environment(environ or {}, Namespace(**flags), home=home)


def write_context(config: Path, name: str, context: dict[str, Json]) -> None:
    (config / "nats" / "context").mkdir(parents=True, exist_ok=True)
    (config / "nats" / "context" / f"{name}.json").write_text(json.dumps(context))
    (config / "nats" / "context.txt").write_text(f"{name}\n")


def refused(home: Path | None, environ: dict[str, str] | None = None, **rest: Json) -> str:
    with pytest.raises(WrongValues) as caught:
        connection(home, environ, **rest)
    return str(caught.value)
