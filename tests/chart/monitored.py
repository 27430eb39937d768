"""A release with a monitor: its values, and the pod and the container that it gets."""

from __future__ import annotations

from typing import Any

from chart import Manifest, Rendered
from releases import Values


def monitor(**settings: Any) -> Values:
    """Return values with a monitor, and *settings* of it."""
    return {"monitor": {"enabled": True, **settings}}


def watching(release: Rendered) -> Manifest:
    """Return the template of the monitor's pod."""
    found: Manifest = release.one("Deployment", "-monitor")["spec"]["template"]
    return found


def container(release: Rendered) -> Manifest:
    """Return the monitor's container."""
    [found] = watching(release)["spec"]["containers"]
    return dict(found)
