"""A release without a server of its own: it provisions one that somebody else runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import chart
from chart import Manifest
from cli import Natsmith, Result
from embedded import Embedded
from installed import arguments, in_pod, job_of

BUCKETS: dict[str, Any] = {"sessions": {"ttlSeconds": 300}}


async def job(tmp_path: Path, connection: dict[str, Any], others: list[Manifest], **more: Any) -> Result:
    """Run the Job of a release with that connection."""
    file = tmp_path / "values.yaml"
    values = {"nats": {"enabled": False}, "provisioner": {"connection": connection}, "buckets": BUCKETS, **more}
    file.write_text(json.dumps(values))
    rendered = chart.render([file])
    assert [] == [*rendered.all("StatefulSet"), *rendered.all("Secret"), *rendered.all("Service")]
    home = tmp_path / "pod"
    chart.lay_out(rendered, job_of(rendered), home, others)
    natsmith: Natsmith = in_pod(home / "etc/natsmith")
    return await natsmith(*arguments(job_of(rendered), natsmith.home))


@pytest.fixture
def release(newest: str) -> str:
    """Name the newest server for ``private_server``."""
    return newest


async def test_a_server_that_asks_for_no_login(tmp_path: Path, private_server: Callable[..., Embedded]) -> None:
    result = await job(tmp_path, {"server": private_server().url}, [])

    assert 0 == result.code, result.text
    assert "1 change applied" in result.last


@pytest.mark.parametrize("named", ["in the values", "in the Secret"])
async def test_a_server_with_accounts_is_logged_in_to_as_a_secret_says(
    tmp_path: Path, private_server: Callable[..., Embedded], named: str
) -> None:
    """The Secret holds connections.yaml and the files that it names; the address is there or in the values."""
    users = [{"user": "natsmith", "password": "p w"}]
    url = private_server(accounts={"APP": {"jetstream": "enabled", "users": users}}).url
    accounts = {"APP": {"user": "natsmith", "passwordFile": "APP.password"}}
    in_secret = {"accounts": accounts, **({"server": url} if named == "in the Secret" else {})}
    secret = {
        "kind": "Secret",
        "metadata": {"name": "mine"},
        "stringData": {"connections.yaml": json.dumps(in_secret), "APP.password": "p w"},
    }
    connection = {"existingSecret": "mine", **({"server": url} if named == "in the values" else {})}

    result = await job(tmp_path, connection, [secret], accounts={"APP": {}})
    assert 0 == result.code, result.text
    assert "1 change applied" in result.last
