"""Credentials are renewed in two steps, and only who still uses the old ones after the second is disconnected."""

from __future__ import annotations

import json
import shutil
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart import Manifest, Rendered
from cli import Natsmith
from installed import Installed, certificate, installed
from memory_cluster import Cluster, serving
from natsmith.adapters.connections import Connection
from natsmith.adapters.jetstream import connect
from natsmith.errors import NatsmithError
from natsmith.log import Log
from releases import Values, laid
from rotating import Clients, refused, reloaded, upgraded
from test_chart_users import key
from versions import binary

START: Values = {
    "nats": {
        "jetstream": {
            "memory": "64Mi",
            "storage": {"persistent": False, "size": "256Mi"},
        }
    },
    "accounts": {"A": {"users": {"u": {}}}},
    "buckets": {"b": {"ttlSeconds": 60}},
}
Step = tuple[Rendered, list[Manifest]]
Steps = Callable[..., Awaitable[Step]]
Run = Callable[..., Installed]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Serve a cluster of the test's own, in which upgrades find what was before."""
    with serving(tmp_path) as running:
        yield running


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Run the servers of a release, of a version."""
    with ExitStack() as stack:
        yield lambda step, version: stack.enter_context(
            installed(step[0], tmp_path, others=step[1], binary=binary(version))
        )


@pytest.fixture
async def clients() -> AsyncIterator[Callable[[Installed], Clients]]:
    """Give connections that are closed when the test ends."""
    made: list[Clients] = []

    def one(running: Installed) -> Clients:
        made.append(Clients(running))
        return made[-1]

    yield one
    for each in made:
        await each.close()


async def generated(cluster: Cluster, tmp_path: Path, values: Values, generation: int, *, overlap: bool) -> Step:
    """Leave the passwords to the chart."""
    said = {"credentials": {"generation": generation, "overlap": overlap}}
    return upgraded(cluster, laid(values, said)), []


async def existing(cluster: Cluster, tmp_path: Path, values: Values, generation: int, *, overlap: bool) -> Step:
    """Keep the passwords in a Secret, to which `natsmith credentials` adds those of a generation as `kubectl patch` does."""
    said = laid(
        values,
        {
            "credentials": {
                "existingSecret": "mine",
                "generation": generation,
                "overlap": overlap,
            }
        },
    )
    file = tmp_path / "mine.yaml"
    mine = yaml.safe_load(file.read_text()) if file.exists() else {"kind": "Secret", "metadata": {"name": "mine"}}
    if generation == 1 or overlap:
        natsmith = Natsmith(tmp_path, Connection())
        natsmith.write("values.yaml", json.dumps(said))
        words = () if generation == 1 else ("--only", "users")
        made = await natsmith(
            "credentials",
            "-f",
            "values.yaml",
            "--name",
            "mine",
            "--release",
            "dev",
            *words,
        )
        assert 0 == made.code, made.text
        mine = laid(mine, {"stringData": yaml.safe_load(made.stdout)["stringData"]})
        file.write_text(yaml.safe_dump(mine))
    return upgraded(cluster, said), [mine]


async def plain(cluster: Cluster, tmp_path: Path, values: Values, generation: int, *, overlap: bool) -> Step:
    """Write the passwords into the values."""
    given = {
        "password": f"p {generation}",
        "previousPassword": f"p {generation - 1}" if overlap else "",
    }
    said = {
        "nats": {"systemUser": given},
        "accounts": {"A": {"users": {"u": given}, "provisioner": given}},
        "credentials": {"generation": generation, "overlap": overlap},
    }
    return upgraded(cluster, laid(values, said)), []


KINDS: dict[str, Steps] = {"generated": generated, "existing": existing, "plain": plain}


@pytest.mark.parametrize(
    ("kind", "servers"),
    [
        ("generated", 1),
        ("generated", 3),
        ("existing", 1),
        ("existing", 3),
        ("plain", 1),
    ],
)
async def test_only_who_uses_the_old_password_at_the_end_is_disconnected(
    kind: str,
    servers: int,
    release: str,
    cluster: Cluster,
    tmp_path: Path,
    run: Run,
    clients: Callable[[Installed], Clients],
) -> None:
    """The first step cuts nobody and lets both in; the second cuts the old ones, and the Job is never without a login."""
    values = laid(START, {"nats": {"replicas": servers}})
    before = await KINDS[kind](cluster, tmp_path, values, 1, overlap=False)
    running = run(before, release)
    assert 0 == (await running.job()).code
    old = running.user("u").password
    seen = clients(running)
    await seen.connect("old", user="u", password=old)

    during = await KINDS[kind](cluster, tmp_path, values, 2, overlap=True)
    await upgrades(running, during)
    new = running.user("u.2").password
    assert old == running.user("u").password != new
    assert ["old"] == await seen.there()
    await seen.connect("old, later", user="u", password=old)
    await seen.connect("new", user="u.2", password=new)
    assert await refused(running, user="u", password=new)
    assert await refused(running, user="u.2", password=old)

    after = await KINDS[kind](cluster, tmp_path, values, 2, overlap=False)
    await upgrades(running, after)
    assert (["new"], ["old", "old, later"]) == (await seen.there(), await seen.gone())
    assert await refused(running, user="u", password=old)
    assert not await refused(running, user="u.2", password=new)
    assert 0 == (await running.job()).code


async def upgrades(running: Installed, step: Step) -> None:
    """Do a step as an upgrade does: the files are there, and the Job has the servers load them."""
    running.mounted(step[0], *step[1])
    job = await running.job()
    assert 0 == job.code, job.text


async def test_both_logins_may_do_the_same(cluster: Cluster, tmp_path: Path, run: Run, newest: str) -> None:
    """The permissions of a user, and of the provisioner, are those of each of its logins."""
    few = {"publish": {"allow": ["a"]}, "subscribe": {"allow": ["b"]}}
    values = laid(START, {"accounts": {"A": {"users": {"v": {"permissions": few}}}}})
    running = run(await generated(cluster, tmp_path, values, 2, overlap=True), newest)

    for one, other in (
        ("v", "v.2"),
        ("u", "u.2"),
        ("provisioner-A", "provisioner-A.2"),
        ("sys", "sys.2"),
    ):
        first, second = running.user(one), running.user(other)
        assert (first.account, first.permissions) == (
            second.account,
            second.permissions,
        )
        assert first.password != second.password
    assert few == running.user("v.2").permissions


async def test_without_an_overlap_the_old_ones_are_cut_and_the_job_waits_for_the_servers(
    cluster: Cluster,
    tmp_path: Path,
    run: Run,
    newest: str,
    clients: Callable[[Installed], Clients],
) -> None:
    """A leaked password is worth that: its user is out at once, and the Job gets in when the servers know its login."""
    running = run(await generated(cluster, tmp_path, START, 1, overlap=False), newest)
    seen = clients(running)
    await seen.connect("old", user="u", password=running.user("u").password)

    now = await generated(cluster, tmp_path, START, 2, overlap=False)
    await upgrades(running, now)
    assert ["old"] == await seen.gone()


async def test_an_nkey_is_renewed_with_another_beside_it(
    cluster: Cluster,
    tmp_path: Path,
    run: Run,
    release: str,
    clients: Callable[[Installed], Clients],
) -> None:
    """Two keys of one user: who has the old one is cut when it is no longer named."""
    (old, old_seed), (new, new_seed) = key(), key()
    seeds = {"old": tmp_path / "old.nk", "new": tmp_path / "new.nk"}
    seeds["old"].write_text(old_seed)
    seeds["new"].write_text(new_seed)

    def step(**given: Any) -> Step:
        return upgraded(cluster, laid(START, {"accounts": {"A": {"users": {"u": given}}}})), []

    running = run(step(nkey=old), release)
    seen = clients(running)
    await seen.connect("old", nkeys_seed=str(seeds["old"]))
    assert await refused(running, nkeys_seed=str(seeds["new"]))

    await reloaded(running, *step(nkey=new, previousNkey=old))
    await seen.connect("new", nkeys_seed=str(seeds["new"]))
    assert ["new", "old"] == await seen.there()

    await reloaded(running, *step(nkey=new))
    assert (["new"], ["old"]) == (await seen.there(), await seen.gone())
    assert await refused(running, nkeys_seed=str(seeds["old"]))


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificates")
@pytest.mark.parametrize("servers", [1, 3])
async def test_a_certificate_of_another_authority_takes_over(
    servers: int,
    cluster: Cluster,
    tmp_path: Path,
    run: Run,
    release: str,
    clients: Callable[[Installed], Clients],
) -> None:
    """Trust in both, then the new certificate, then trust in the new one alone: no step disconnects anybody."""
    old, new = (certificate(tmp_path / name, name="mine")["stringData"] for name in ("old", "new"))
    both = {"ca.crt": old["ca.crt"] + new["ca.crt"]}
    values = laid(
        START,
        {
            "nats": {
                "replicas": servers,
                "tls": {"existingSecret": "mine", "verifyClients": True},
            }
        },
    )
    release_of = upgraded(cluster, values)

    def step(**files: str) -> Step:
        return release_of, [{"kind": "Secret", "metadata": {"name": "mine"}, "stringData": files}]

    def files(shown: str, trusted: str) -> dict[str, str]:
        path = tmp_path / f"trusted-{len(trusted)}-{shown}.crt"
        path.write_text(trusted)
        own = tmp_path / shown
        return {
            "tls_ca": str(path),
            "tls_cert": str(own / "tls.crt"),
            "tls_key": str(own / "tls.key"),
        }

    def login(shown: str, trusted: str) -> dict[str, Any]:
        given = files(shown, trusted)
        context = ssl.create_default_context(cafile=given["tls_ca"])
        context.load_cert_chain(given["tls_cert"], given["tls_key"])
        return {"user": "u", "password": running.user("u").password, "tls": context}

    async def out(shown: str, trusted: str, *, within: float = 1) -> bool:
        """Tell whether the first server refuses; natsmith's own connection gives up in time, and nats-py's does not."""
        who = {
            "server": running.servers[0].url,
            "user": "u",
            "password": running.user("u").password,
        }
        try:
            async with await connect(
                Connection(**who, **files(shown, trusted)),
                timeout=within,
                log=Log(stream=StringIO()),
            ):
                return False
        except NatsmithError:
            return True

    running = run(step(**old), release)
    seen = clients(running)
    await seen.connect("old", **login("old", old["ca.crt"]))
    assert await out("new", both["ca.crt"])

    await reloaded(running, *step(**{**old, **both}))
    await seen.connect("new", **login("new", both["ca.crt"]))
    assert ["new", "old"] == await seen.there()

    await reloaded(running, *step(**{**new, **both}))
    assert ["new", "old"] == await seen.there()
    assert await out("old", old["ca.crt"])
    assert not await out("old", both["ca.crt"], within=20)

    await reloaded(running, *step(**new))
    assert ["new", "old"] == await seen.there()
    assert await out("old", both["ca.crt"])
    assert not await out("new", new["ca.crt"], within=20)
    job = await running.job()
    assert 0 == job.code, job.text
