"""The chart's values files, rendered, run and provisioned as in a cluster: its own servers, Job and helm test."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import nats.errors
import pytest

import chart
from chart import Manifest
from cli import Natsmith
from installed import Installed, certificate, credentials, data
from versions import binary
from waiting import Eventually

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("values/*.yaml"), *ROOT.glob("charts/natsmith/ci/*.yaml")])
STAGING = ROOT / "values/staging.yaml"
ACCOUNTS = ROOT / "charts/natsmith/ci/accounts-values.yaml"

Install = Callable[..., Installed]


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def values(request: pytest.FixtureRequest) -> Path:
    """Give each values file of the repository."""
    file: Path = request.param
    return file


@pytest.fixture
def others(values: Path, tmp_path: Path) -> list[Manifest]:
    """Make the Secrets that a values file says somebody has to make first."""
    if values.stem != "production":
        return []
    if not shutil.which("openssl"):
        pytest.skip("openssl makes the certificate, and it is not here")
    return [
        credentials(values, name="prod-users", release="dev"),
        certificate(tmp_path / "certificate", name="prod-tls"),
    ]


@pytest.fixture
def running(install: Install, values: Path, others: list[Manifest]) -> Installed:
    return install(values, others=others)


def test_every_server_version_takes_the_configuration(
    release: str, values: Path, others: list[Manifest], tmp_path: Path
) -> None:
    rendered = chart.render([values])
    server = chart.server(rendered, tmp_path, others=others)

    command = [str(binary(release)), "-t", "-c", str(server.config)]
    environment = {**os.environ, **server.environment}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert "is valid" in done.stderr
    assert "warn" not in done.stderr.lower()
    assert 0 == done.returncode


async def test_every_user_logs_in_with_the_password_of_its_secret_and_with_no_other(running: Installed) -> None:
    assert {"system", "provisioner", "application"} == {_role(each.account, each.login) for each in running.users}
    for user in running.users:
        await (await running.connect(user.login)).close()
        with pytest.raises((nats.errors.Error, ConnectionError)):
            await running.connect(user.login, user.password + "x")
        with pytest.raises((nats.errors.Error, ConnectionError)):
            await running.connect(user.login, "")


def _role(account: str, login: str) -> str:
    if account == "$SYS":
        return "system"
    return "provisioner" if login == f"provisioner-{account}" else "application"


async def test_no_password_is_in_nats_conf_or_a_configmap(running: Installed) -> None:
    """Not even in the development ones: everybody may read those."""
    visible = json.dumps([each for each in running.rendered.manifests if each["kind"] != "Secret"])
    passwords = {each.password for each in running.users} - {
        "sys",
        "noetl",
    }  # the short ones are words of the values too

    assert [] == [each for each in passwords if each in visible]
    assert "password" not in json.dumps(data(running.rendered))


async def test_the_job_makes_it_so_a_second_changes_nothing_and_helm_test_proves_it(running: Installed) -> None:
    first = await running.job()
    assert 0 == first.code, first.text
    second = await running.job()
    assert (0, "") == (second.code, second.stderr)
    assert second.last.startswith("Nothing to do")

    proof = await running.test()
    assert 0 == proof.code, proof.text
    assert proof.last.startswith("Everything is as the values say.")


async def test_a_rendered_document_and_its_values_file_have_one_plan(running: Installed, values: Path) -> None:
    """`helm template … | natsmith plan -f -` shows what `natsmith plan -f values.yaml` shows."""
    natsmith = running.natsmith()
    natsmith.write("rendered.yaml", running.rendered.text)

    rendered = await digests(natsmith, "-f", "rendered.yaml")
    direct = await digests(natsmith, "-f", str(values), "--owner", "default/dev")
    assert direct == rendered
    assert direct != {}


async def digests(natsmith: Natsmith, *words: str) -> dict[str, str]:
    result = await natsmith("plan", "--output", "json", *words)
    assert 0 == result.code, result.text
    return {each["account"]: each["digest"] for each in json.loads(result.stdout)["accounts"]}


async def test_a_release_is_provisioned_and_proved_on_every_server_version(install: Install, release: str) -> None:
    running = install(ACCOUNTS, version=release)

    assert 0 == (await running.job()).code
    assert 0 == (await running.test()).code


async def test_three_servers_form_one_cluster(install: Install, eventually: Eventually) -> None:
    """They know each other by their pods' names and elect one leader of JetStream."""
    running = install(STAGING)
    assert 3 == len(running.servers)
    client = await running.connect("sys")

    async def led() -> bool:
        answer = await client.request("$SYS.REQ.SERVER.PING.JSZ", b"{}", timeout=5)
        meta = json.loads(answer.data)["data"]["meta_cluster"]
        peers = {each["name"] for each in meta.get("replicas") or []} | {meta.get("leader")}
        return peers == {f"dev-natsmith-{number}" for number in range(3)}

    await eventually(led, within=20)
    await client.close()


async def test_every_object_of_three_servers_is_on_all_three(install: Install) -> None:
    running = install(STAGING)
    assert 0 == (await running.job()).code

    client = await running.connect("app")
    streams = await client.jetstream().streams_info()
    await client.close()
    assert {3} == {each.config.num_replicas for each in streams}
    assert {"KV_sessions", "KV_natsmith_state", "MESSAGES", "MESSAGES_workers_dead"} <= {
        each.config.name for each in streams
    }
