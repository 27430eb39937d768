"""What the text of an option must be."""

from __future__ import annotations

import argparse


def seconds(text: str) -> float:
    """Return a time, a day at most."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not value > 0:
        raise argparse.ArgumentTypeError(f"is {text!r}, but must be seconds such as 30")
    if value > 86400:
        raise argparse.ArgumentTypeError(f"is {text}, but must be at most 86400 seconds, a day")
    return value


def count(text: str) -> int:
    """Return a number of servers."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 99):
        raise argparse.ArgumentTypeError(f"is {text!r}, but must be a number of servers such as 3")
    return int(text)


def text_or_json(text: str) -> str:
    """Return a format of what is printed."""
    if text not in ("text", "json"):
        raise argparse.ArgumentTypeError(f"is {text!r}, but must be text or json")
    return text
