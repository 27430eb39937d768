"""The files of ``natsmith credentials``, read by nats-server itself as the chart includes them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml

from cli import Natsmith
from natsmith.adapters.connections import Connection
from versions import binary

CONFIG = """
port: -1
server_name: demo-natsmith-0
cluster { name: demo, port: -1, include "users/routes.conf" }
accounts {
  APP {
    users: [ {user: app, include "users/APP.app.conf"}, {user: provisioner-APP, include "users/APP.provisioner.conf"} ]
  }
  SYS { users: [ {user: sys, include "users/_SYS.sys.conf"} ] }
}
system_account: SYS
"""


async def test_the_server_reads_every_file(release: str, tmp_path: Path) -> None:
    """Its own parser judges, and it refuses a file with a mistake."""
    natsmith = Natsmith(tmp_path, Connection())
    natsmith.write("values.yaml", "{nats: {replicas: 3}, accounts: {APP: {users: {app: {}}}}}")
    made = await natsmith("credentials", "-f", "values.yaml", "--name", "users", "--release", "demo")
    assert 0 == made.code, made.text
    (tmp_path / "users").mkdir()
    for name, text in yaml.safe_load(made.stdout)["stringData"].items():
        natsmith.write(f"users/{name}", text)
    natsmith.write("nats.conf", CONFIG)

    def judged() -> subprocess.CompletedProcess[str]:
        words = [str(binary(release)), "-c", str(tmp_path / "nats.conf"), "-t"]
        return subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)

    assert 0 == judged().returncode, judged().stderr
    natsmith.write("users/routes.conf", "routes: [")
    assert 0 != judged().returncode
