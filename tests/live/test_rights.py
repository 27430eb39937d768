"""Each right of the chart's provisioner is needed: with one less, the same work fails or does visibly less."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import pytest

import chart
from builders import desired
from cli import Natsmith
from embedded import Embedded, nats_server
from installed import data
from natsmith.actions import lease, state, verify
from natsmith.actions.apply import apply, prepare
from natsmith.actions.as_application import prove_use, usable
from natsmith.adapters.application import connect_application
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import JetStream, connect
from natsmith.adapters.server import Refused
from natsmith.errors import NatsmithError
from natsmith.log import Log
from natsmith.model.outcome import Outcome
from versions import VERSIONS, binary

ROOT = Path(__file__).parents[2]
ACCOUNT = "app"
PASSWORD = "pw"
INBOX = "_INBOX_natsmith"
ALL = ""
"""Stands for the provisioner that lacks nothing."""


def rights() -> tuple[list[str], list[str]]:
    """Return what the provisioner may publish on and subscribe to, from the chart's own nats.conf."""
    users = data(chart.render())["accounts"][ACCOUNT]["users"]
    [found] = [each["permissions"] for each in users if each["user"] == "provisioner-app"]
    assert {"publish", "subscribe"} == set(found)
    return found["publish"]["allow"], found["subscribe"]["allow"]


PUBLISH, SUBSCRIBE = rights()
TO_HEAR = "subscribe to "
ELSEWHERE = {"$JS.API.STREAM.SNAPSHOT.*", "$JS.SNAPSHOT.ACK.>"}
"""What test_backup_places.py takes away."""

RIGHTS = [*(each for each in PUBLISH if each not in ELSEWHERE), *(TO_HEAR + each for each in SUBSCRIBE)]
SAID = {
    "$SYS.REQ.USER.INFO": "account told: False",
    f"{TO_HEAR}{INBOX}.>": "grant subscribe there",
    f"{TO_HEAR}_natsmith.api.CONSUMER.CREATE.*": "subscribe to _natsmith.api.CONSUMER.CREATE.KV_m",
    f"{TO_HEAR}$JS.API.DIRECT.GET.*": "subscribe to $JS.API.DIRECT.GET.KV_m",
    f"{TO_HEAR}$JS.API.DIRECT.GET.*.>": "subscribe to $JS.API.DIRECT.GET.KV_m.>",
    "$JS.API.DIRECT.GET.*": "publish on $JS.API.DIRECT.GET.natsmith_move_KV_m",
    "$JS.API.DIRECT.GET.*.>": "publish on $JS.API.DIRECT.GET.natsmith_move_KV_m.>",
}
"""What says that a right is missing, where it is not its name."""


def account(number: int, missing: str) -> dict[str, Any]:
    """Return an account of its own, with a provisioner without one right and an application."""
    may = {
        "publish": {"allow": [each for each in PUBLISH if each != missing]},
        "subscribe": {"allow": [each for each in SUBSCRIBE if TO_HEAR + each != missing]},
    }
    users = [
        {"user": f"provisioner-{number}", "password": PASSWORD, "permissions": may},
        {"user": f"application-{number}", "password": PASSWORD},
    ]
    return {"jetstream": "enabled", "users": users}


@pytest.fixture(scope="module")
def embedded() -> Iterator[Embedded]:
    """Run one server with an account for each right that is missing."""
    accounts = {f"A{number}": account(number, missing) for number, missing in enumerate([ALL, *RIGHTS])}
    with nats_server(binary(VERSIONS[-1]), {"accounts": accounts}) as server:
        yield server


class Work:
    """Everything that natsmith does in an account, and what could be seen of it."""

    def __init__(self, url: str, missing: str) -> None:
        number = [ALL, *RIGHTS].index(missing)
        self.mine = Connection(server=url, user=f"provisioner-{number}", password=PASSWORD, inbox_prefix=INBOX)
        self.theirs = Connection(server=url, user=f"application-{number}", password=PASSWORD)
        self.told = io.StringIO()
        self.log = Log(stream=self.told)
        self.seen: list[str] = []

    async def done(self) -> list[str]:
        """Return what was done until something failed, and why it did."""
        try:
            async with await connect(self.mine, timeout=5, log=self.log) as server:
                await self._all(server)
        except (NatsmithError, Refused) as error:
            self.seen.append(str(error))
        return [*self.seen, *re.findall(r".*(?:could not|not given back).*", self.told.getvalue())]

    async def _all(self, server: JetStream) -> None:
        self.seen.append(f"account told: {bool(await server.user_account())}")
        await self._apply(server, BEFORE)
        self.seen.append(f"lock free: {await lease.holder(server) is None}")
        await self._write()
        await self._apply(server, AFTER)
        await self._apply(server, FEWER)
        self.seen.append(f"runs remembered: {len(await state.outcomes(server))}")
        remembered = await state.memories(server)
        self.seen.append(f"objects remembered: {len(remembered)}")
        await self._verify(server)

    async def _apply(self, server: JetStream, values: dict[str, Any]) -> None:
        """Apply *values* with consent to what the plan would lose."""
        made, _ = await prepare(server, desired(values), account=ACCOUNT, owner="local")
        consent = {change.label: change.consent for change in made.changes if change.consent}
        agreed = {**values, "provisioner": {**values.get("provisioner", {}), "consent": consent}}
        outcome = await apply(
            server, desired(agreed), account=ACCOUNT, owner="local", log=self.log, timeout=0.1, lease_seconds=15
        )
        self.seen += _rows(outcome)

    async def _write(self) -> None:
        client = await nats.connect(self.theirs.server, user=self.theirs.user, password=self.theirs.password)
        for subject in ("s.1", "gone.1", "another.1", "$KV.b.a", "$KV.b.a"):
            await client.jetstream().publish(subject, b"x")
        await client.close()

    async def _verify(self, server: JetStream) -> None:
        wanted = desired(FEWER)
        made, observed = await prepare(server, wanted, account=ACCOUNT, owner="local")
        self.seen.append(f"differs: {len(made.changes)}")
        proofs = await verify.prove(server, verify.expiring(wanted.resources, observed), log=self.log)
        async with await connect_application(self.theirs, timeout=5, log=self.log) as application:
            proofs += await prove_use(server, application, usable(wanted.resources, observed))
        self.seen += [f"{each.title} {each.how} {each.result}{_why(each.result, each.text)}" for each in proofs]


def _rows(outcome: Outcome) -> list[str]:
    rows = [f"{change.action} {change.title}: {change.fate.word} {change.fate.count}" for change in outcome.done]
    return [*rows, *(f"failed {change.title}: {why}" for change, why in outcome.failed)]


def _why(result: str, text: str) -> str:
    return "" if result == "holds" else f": {text}"


STREAM = {"subjects": ["s.>"], "maxAgeSeconds": 3600, "consumers": {"c": {"maxDeliver": 3}, "d": {}}}
BEFORE: dict[str, Any] = {
    "buckets": {"b": {"history": 5}, "m": {"storage": "memory"}},
    "streams": {
        "S": STREAM,
        "GONE": {"subjects": ["gone.>"]},
        "ANOTHER": {"subjects": ["another.>"], "storage": "memory"},
    },
}
AFTER: dict[str, Any] = {
    "buckets": {"b": {"history": 1}, "m": {"storage": "file", "onImmutable": "move"}},
    "streams": {
        "S": {**STREAM, "maxAgeSeconds": 1800, "consumers": {"c": {"maxDeliver": 4}, "d": {}}},
        "ANOTHER": {"subjects": ["another.>"], "storage": "file"},
    },
    "provisioner": {"prune": True, "onImmutable": "replace"},
}
FEWER: dict[str, Any] = {
    **AFTER,
    "streams": {**AFTER["streams"], "S": {**AFTER["streams"]["S"], "consumers": {"c": {"maxDeliver": 4}}}},
}
EVERYTHING = [
    "account told: True",
    *("create bucket b: keeps 0", "create bucket m: keeps 0", "create stream S: keeps 0"),
    "create stream GONE: keeps 0",
    *("create stream ANOTHER: keeps 0", "create consumer S/c: keeps 0", "create consumer S/d: keeps 0"),
    "lock free: True",
    *(
        "update bucket b: drops 1",
        "move bucket m: moves 0",
        "update stream S: expires 0",
        "replace stream ANOTHER: drops 1",
    ),
    *("update consumer S/c: keeps 0", "delete stream GONE: drops 1"),
    "delete consumer S/d: keeps 0",
    *("runs remembered: 3", "objects remembered: 5", "differs: 0"),
    *("stream S twin holds", "bucket b as an application holds", "bucket m as an application holds"),
]


async def test_the_rights_of_the_chart_are_enough(embedded: Embedded) -> None:
    assert EVERYTHING == await Work(embedded.url, ALL).done()


@pytest.mark.parametrize("right", RIGHTS)
async def test_each_right_is_needed(embedded: Embedded, right: str) -> None:
    """Without it less is done, and natsmith says which right would help."""
    done = await Work(embedded.url, right).done()

    assert set(EVERYTHING) - set(done)
    assert SAID.get(right, f"grant that user publish on {right}") in "\n".join(done)


@pytest.mark.parametrize(("missing", "code"), [(ALL, 3), ("$SYS.REQ.USER.INFO", 0)])
async def test_a_provisioner_of_another_account_is_found_out(
    embedded: Embedded, tmp_path: Path, missing: str, code: int
) -> None:
    """What $SYS.REQ.USER.INFO is good for: without it the plan is made for an account that nobody meant."""
    work = Work(embedded.url, missing)
    mine = {"server": embedded.url, "user": work.mine.user, "password": PASSWORD, "inboxPrefix": INBOX}
    natsmith = Natsmith(tmp_path, Connection(server=""))
    natsmith.write("connections.yaml", json.dumps({"accounts": {"BILLING": mine}}))
    natsmith.write("values.yaml", json.dumps({"accounts": {"BILLING": {}}, "buckets": {"invoices": {}}}))

    result = await natsmith("plan", "-f", "values.yaml", "--connections", "connections.yaml")
    assert code == result.code, result.text
    assert (code == 3) == ("the user that connects belongs to A0" in result.text)


def test_security_md_says_the_same_rights() -> None:
    """Who grants them by hand grants what the chart grants."""
    text = (ROOT / "SECURITY.md").read_text().partition("## The rights that a provisioner needs")[2]
    lines = [line for line in text.splitlines() if line.startswith(("Publish", "Subscribe"))]
    first, *more, hears = [re.findall(r"`([^`]+)`", line) for line in lines]
    published = [
        *(f"$JS.API.{each}" for each in first[1:]),
        *(each for line in more for each in line if each[0] in "$_"),
    ]

    assert sorted(PUBLISH) == sorted(published)
    assert sorted(SUBSCRIBE) == sorted([f"{INBOX}.>", *hears])
