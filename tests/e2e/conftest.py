"""Each test has a namespace of its own in the cluster that KUBECONFIG names, and runs with Helm 3 and Helm 4."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

import pytest

import sampling
from e2e.cluster import Namespace, namespace, run
from e2e.release import Release

IMAGES = {"NATSMITH_IMAGE": "natsmith/natsmith:dev", "NATS_IMAGE": "nats:2.15.1-alpine"}
for variable, image in IMAGES.items():
    os.environ.setdefault(variable, image)


def _helms() -> dict[str, str]:
    """Return one Helm of each major version on PATH, by its version."""
    found: dict[str, str] = {}
    for name in ("helm", "helm4", "helm3"):
        path = shutil.which(name)
        if path:
            major = run([path, "version", "--template", "{{.Version}}"]).out.lstrip("v").split(".")[0]
            found.setdefault(f"helm{major}", path)
    return found


HELMS = _helms()


LONGEST = "test_three_become_five_and_three_again"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run each test with one Helm where that is asked for, and the longest first: nobody waits for it in the end."""
    sampling.half(config, items, "helm")
    items.sort(key=lambda item: not item.name.startswith(LONGEST))


@pytest.fixture(params=HELMS or ["no helm"])
def helm(request: pytest.FixtureRequest) -> str:
    """Give each Helm in turn."""
    if request.param not in HELMS:
        pytest.fail("there is no helm on PATH: install Helm 3.18 or later, or Helm 4")
    return HELMS[request.param]


@pytest.fixture(scope="session")
def _reachable() -> None:
    ran = run(["kubectl", "get", "--raw", "/readyz"])
    if ran.code:
        pytest.fail(f"no cluster answers: set KUBECONFIG, or run `make kind`. {ran.err}")


@pytest.fixture
def space(request: pytest.FixtureRequest, _reachable: None) -> Iterator[Namespace]:
    """Give a namespace; what is in it is printed if the test fails."""
    with namespace() as made:
        yield made
        if request.node.stash.get(FAILED, False):
            print(made.told())


@pytest.fixture
def release(helm: str, space: Namespace) -> Callable[..., Release]:
    """Give a function that makes releases in the test's namespace, none of which is installed yet."""
    return lambda name="dev": Release(helm, space, name)


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Remember a failure until the namespace is taken down."""
    report = yield
    if report.failed:  # type: ignore[attr-defined]  # pluggy's wrappers are untyped: it is the report
        item.stash[FAILED] = True
    return report
