"""Passwords are renewed in two steps, and only who still uses the old ones after the second is disconnected."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import yaml

from cli import Natsmith
from installed import Installed
from memory_cluster import Cluster
from natsmith.adapters.connections import Connection
from releases import Values, laid
from rotating import *  # noqa: F403  # its fixtures
from rotating import START, Clients, Run, Step, refused, upgraded

Steps = Callable[..., Awaitable[Step]]


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
