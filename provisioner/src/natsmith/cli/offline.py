"""The verbs that need no server."""

from __future__ import annotations

import argparse
import json

from natsmith.errors import Exit
from natsmith.model import schema as generated


def schema(args: argparse.Namespace) -> int:
    """Print what can be written into a values file."""
    print(generated.markdown() if args.markdown else json.dumps(generated.json_schema(), indent=2), end="\n")
    return Exit.DONE
