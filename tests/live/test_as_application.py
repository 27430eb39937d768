"""``verify --as``: applications put and get, on every server version, with the rights that they really have."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli import Natsmith, Result
from embedded import Embedded
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import connect
from natsmith.log import Log

VALUES = """
accounts: {APP: {}}
buckets:
  sessions: {ttlSeconds: 300, perKeyTTL: true, markerSeconds: 60}
  slow: {config: {allow_direct: false}}
  origin: {}
  copy: {config: {mirror: {name: KV_origin}, mirror_direct: true}}
"""
NARROW = {
    "publish": ["$KV.sessions.>", "$JS.API.DIRECT.GET.KV_sessions.>"],
    "subscribe": ["_INBOX_app.>"],
}
"""What an application that uses one bucket needs, and no more: not even a right to ask about the account."""


@dataclass
class Bench:
    """A server with the accounts APP and OTHER, whose user app has the *rights* that a test gives."""

    natsmith: Natsmith
    server: Embedded
    directory: Path

    def app(self, *, account: str = "APP", **more: str) -> str:
        """Write the file of connections for --as, and return its name."""
        user = {"user": "app", "password": "pw", **more}
        document = {"server": self.server.url, "accounts": {account: user}}
        return str(self.natsmith.write("applications.json", json.dumps(document)))

    async def verify(self, *words: str, values: str = VALUES, **more: str) -> Result:
        """Provision *values*, then verify as the application."""
        self.natsmith.write("values.yaml", values)
        applied = await self.natsmith("apply", "-f", "values.yaml")
        assert 0 == applied.code, applied.text
        return await self.natsmith("verify", "-f", "values.yaml", "--as", self.app(**more), *words)

    async def left_behind(self) -> int:
        """Return how many messages there are besides natsmith's memory."""
        async with await connect(self.natsmith.connection, timeout=10, log=Log()) as server:
            infos = await server.streams()
        return sum(info.messages for info in infos if "natsmith" not in info.config["name"])


@pytest.fixture
def bench(tmp_path: Path, private_server: Callable[..., Embedded]) -> Callable[..., Bench]:
    def start(rights: dict[str, Any] | None = None, account: str = "APP") -> Bench:
        accounts = {
            name: {"jetstream": "enabled", "users": [{"user": f"provisioner-{name}", "password": "pw"}]}
            for name in ("APP", "OTHER")
        }
        app: Any = {"user": "app", "password": "pw", **({"permissions": rights} if rights else {})}
        accounts[account]["users"].append(app)  # type: ignore[attr-defined]  # a list among texts
        server = private_server(accounts=accounts)
        connection = Connection(server=server.url, user="provisioner-APP", password="pw")
        return Bench(Natsmith(tmp_path, connection), server, tmp_path)

    return start


async def test_an_application_puts_and_gets_and_leaves_nothing(bench: Callable[..., Bench]) -> None:
    """By direct get and without, in every bucket but a mirror; --prove goes along."""
    here = bench()

    result = await here.verify("--prove")

    assert 0 == result.code, result.text
    for name in ("sessions", "slow"):
        assert f"holds bucket {name}: app put a canary and got it back in " in result.stdout
    assert "not observed bucket origin: stream KV_copy copies it, and a canary would stay there" in result.stdout
    assert "bucket copy: app" not in result.stdout
    assert "a canary in its twin" in result.stdout
    assert result.last.endswith("Applications put and get in 2 buckets. 2 not observed."), result.last
    assert 0 == await here.left_behind()


async def test_an_application_needs_only_the_rights_to_its_bucket(bench: Callable[..., Bench]) -> None:
    """Its inbox is said in the file; another bucket is refused at once, with the right to grant."""
    here = bench(NARROW)

    result = await here.verify("--output", "json", inboxPrefix="_INBOX_app")

    assert 4 == result.code, result.text
    (account,) = json.loads(result.stdout)["accounts"]
    proofs = {each["object"]: each for each in account["proofs"] if each["how"] == "as an application"}
    assert ("holds", "fails") == (proofs["bucket sessions"]["result"], proofs["bucket slow"]["result"])
    assert 0 < proofs["bucket sessions"]["seconds"] < 5
    assert (
        "app could not put a canary: user app may not publish on $KV.slow.natsmith_canary_"
        in (proofs["bucket slow"]["text"])
    )
    assert proofs["bucket slow"]["text"].endswith("grant that user publish on $KV.slow.>")
    assert 0 == await here.left_behind()


@pytest.mark.parametrize(
    ("rights", "values", "text"),
    [
        (
            {"publish": ["$KV.>"], "subscribe": ["_INBOX.>"]},
            "accounts: {APP: {}}\nbuckets: {b: {}}",
            "grant that user publish on $JS.API.DIRECT.GET.KV_b.>",
        ),
        (
            {"publish": ["$KV.>"], "subscribe": ["_INBOX.>"]},
            "accounts: {APP: {}}\nbuckets: {b: {config: {allow_direct: false}}}",
            "grant that user publish on $JS.API.STREAM.MSG.GET.*",
        ),
        (
            {"publish": [">"], "subscribe": ["x"]},
            "accounts: {APP: {}}\nbuckets: {b: {}}",
            "app could not put a canary: user app may not receive answers on _INBOX.",
        ),
    ],
    ids=["no direct get", "no get", "no answers"],
)
async def test_a_right_too_few_is_named(
    bench: Callable[..., Bench], rights: dict[str, Any], values: str, text: str
) -> None:
    here = bench(rights)

    result = await here.verify(values=values)

    assert 4 == result.code, result.text
    assert text in result.stdout
    assert "1 bucket of no use to an application" in result.last
    assert 0 == await here.left_behind()


async def test_a_full_bucket_is_of_no_use(bench: Callable[..., Bench]) -> None:
    here = bench()
    values = "accounts: {APP: {}}\nbuckets: {b: {maxBytes: 1Ki}}"
    here.natsmith.write("values.yaml", values)
    assert 0 == (await here.natsmith("apply", "-f", "values.yaml")).code
    async with await connect(here.natsmith.connection, timeout=10, log=Log()) as server:
        await server.publish("$KV.b.k", b"x" * 980)

    result = await here.verify(values=values)

    assert 4 == result.code, result.text
    assert "fails bucket b: app could not put a canary: maximum bytes exceeded (10077)" in result.stdout
    assert 1 == await here.left_behind()


async def test_a_user_of_another_account_is_told(bench: Callable[..., Bench]) -> None:
    """A bucket of the same name there would look as good."""
    here = bench(account="OTHER")

    result = await here.verify()

    assert 3 == result.code, result.text
    assert "the values are for account APP, but the user that connects belongs to OTHER" in result.stderr


async def test_an_account_that_the_values_lack_is_an_error(bench: Callable[..., Bench]) -> None:
    here = bench()

    result = await here.verify(account="OTHER")

    assert 2 == result.code, result.text
    assert "names users of OTHER, but the accounts of the values are APP: " in result.stderr


async def test_the_file_of_a_toolbox_is_enough(bench: Callable[..., Bench]) -> None:
    """NATSMITH_CONNECTIONS says who connects, --server where: so a file without a server serves any."""
    here = bench()
    accounts = {"accounts": {"APP": {"user": "provisioner-APP", "password": "pw"}}}
    here.natsmith.write("connections.json", json.dumps(accounts))
    nobody = {"NATS_URL": "", "NATS_USER": "", "NATS_PASSWORD": "", "NATSMITH_CONNECTIONS": "connections.json"}

    told = await here.natsmith("status", "--server", here.server.url, **nobody)
    without = await here.natsmith("status", **nobody)

    assert 0 == told.code, told.text
    assert told.last.startswith("Account APP on nats-server ")
    assert 2 == without.code
    assert "accounts.APP has no server: " in without.stderr
