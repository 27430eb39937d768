"""A release in a cluster, and what an upgrade of it finds there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from chart import NotRendered, Rendered
from memory_cluster import Cluster, serving
from releases import NAMESPACE, Values, rendered

RUNS = count(1)
THEIRS = [
    *(f"{user}.conf" for user in ("_SYS.sys", "_SYS.reloader", "app.provisioner", "app.app")),
    *(f"{user}.password" for user in ("_SYS.reloader", "app.provisioner", "app.app")),
]
"""What somebody's Secret has for the default account."""


def accounts(**users: Values) -> Values:
    """Return values with the account A and its users."""
    return {"accounts": {"A": {"users": users}}}


@dataclass
class Installed:
    """A release in a cluster: what it was rendered to last."""

    cluster: Cluster
    helm: Path
    release: str

    def upgraded(self, values: Values, *more: str) -> Rendered:
        """Return the release after an upgrade to *values*, and let the cluster have it."""
        flags = ("--dry-run=server", *self.cluster.flags, *more)
        after = rendered(values, helm=self.helm, release=self.release, more=flags, again=next(RUNS))
        kept = [each for kind in ("Secret", "ConfigMap", "StatefulSet") for each in after.all(kind)]
        self.cluster.put(NAMESPACE, self.release, *kept)
        return after

    def refused(self, values: Values, *more: str) -> str:
        """Return what an upgrade to *values* is refused with."""
        with pytest.raises(NotRendered) as caught:
            self.upgraded(values, *more)
        return str(caught.value)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Serve a cluster for all tests of a module; each has a release of its own."""
    with serving(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
def installed(cluster: Cluster, helm: Path) -> Installed:
    """Return a release that is not there yet."""
    return Installed(cluster, helm, f"r{next(RUNS)}")
