"""What a server's answer means to whoever asked."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from nats.aio.client import Client

from natsmith.errors import DecisionNeeded, NatsmithError, NotReady
from natsmith.registry.bucket import Bucket
from natsmith.registry.errors import Conflict
from natsmith.registry.line import Line


def line(monkeypatch: pytest.MonkeyPatch, **error: Any) -> Line:
    """Return a connection to a server that refuses everything in the same way."""
    client = Client()

    async def request(*_: Any, **__: Any) -> Any:
        return SimpleNamespace(data=json.dumps({"error": error}).encode())

    monkeypatch.setattr(client, "request", request)
    found = Line(client)
    found._up.set()
    return found


@pytest.mark.parametrize("code", [10071, 10164])
async def test_somebody_else_wrote_the_key_also_where_a_cluster_has_not_stored_it_yet(
    monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    refusing = line(monkeypatch, code=400, err_code=code, description="wrong last sequence")

    with pytest.raises(Conflict):
        await refusing.write(Bucket(name="b"), "k", b"{}", expect=3)


@pytest.mark.parametrize(
    ("code", "number", "family"), [(503, 10008, NotReady), (503, 10039, DecisionNeeded), (400, 10077, DecisionNeeded)]
)
async def test_a_refusal_that_passes_is_not_for_the_owner(
    monkeypatch: pytest.MonkeyPatch, code: int, number: int, family: type[NatsmithError]
) -> None:
    refusing = line(monkeypatch, code=code, err_code=number, description="no")

    with pytest.raises(family, match="the server refused to write k to bucket b: no"):
        await refusing.write(Bucket(name="b"), "k", b"{}", expect=3)
