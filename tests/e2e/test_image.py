"""The provisioner's image, as a pod sees it."""

from __future__ import annotations

from collections.abc import Callable

from e2e.release import Release

OUR_LAYERS = 60 * 2**20

LOOK = """
import importlib.util, os, pathlib, shutil
ours = pathlib.Path("/opt/natsmith")
print("user", os.getuid())
print("writable", os.access("/", os.W_OK), os.access(ours, os.W_OK))
print("makers", [each for each in ("pip", "pip3", "gcc", "cc", "make", "git") if shutil.which(each)])
print("pip", importlib.util.find_spec("pip"), importlib.util.find_spec("ensurepip"))
print("page", [each for each in ("starlette", "uvicorn", "prometheus_client") if importlib.util.find_spec(each)])
print("bytes", sum(each.lstat().st_size for each in ours.rglob("*")))
sources = [each for each in ours.rglob("site-packages/**/*.py")]
print("uncompiled", [str(each) for each in sources if not list((each.parent / "__pycache__").glob(each.stem + ".*.pyc"))])
"""


def test_the_image_holds_what_it_needs_and_no_more(release: Callable[..., Release]) -> None:
    """No root, nothing to write to, nothing that installs or builds; compiled, and small."""
    dev = release()
    dev.installed(sets=["toolbox.enabled=true"])
    toolbox = f"deploy/{dev.fullname}-toolbox"
    dev.namespace.kubectl("rollout", "status", toolbox, "--timeout=60s")

    told = dev.namespace.kubectl("exec", toolbox, "--", "/opt/natsmith/bin/python", "-c", LOOK).out
    found = dict(line.split(" ", 1) for line in told.strip().splitlines())

    size = int(found.pop("bytes"))
    assert {
        "user": "10001",
        "writable": "False False",
        "makers": "[]",
        "pip": "None None",
        "page": "['starlette', 'uvicorn', 'prometheus_client']",
        "uncompiled": "[]",
    } == found
    assert size <= OUR_LAYERS
