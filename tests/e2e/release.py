"""A release of the chart in a namespace: Helm as a person runs it, and what is then there."""

from __future__ import annotations

import base64
import json
import os
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import nats
import nats.errors
from nats.aio.client import Client
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue

from e2e.cluster import Manifest, Namespace, Ran, run

ROOT = Path(__file__).parent.parent.parent
CHART = ROOT / "charts" / "natsmith"
USERS = [f"user-{number}" for number in range(20)]
"""Keys that an application writes into the bucket `sessions`."""


def images() -> list[str]:
    """Return the Helm arguments that name the images under test."""
    words = []
    for key, variable in (("provisioner.image", "NATSMITH_IMAGE"), ("nats.image", "NATS_IMAGE")):
        repository, _, tag = os.environ[variable].rpartition(":")
        words += ["--set-string", f"{key}.repository={repository},{key}.tag={tag}"]
    return words


@dataclass(frozen=True)
class Release:
    """One release, by one Helm."""

    helm: str
    namespace: Namespace
    name: str = "dev"
    trusts: ssl.SSLContext | None = None
    """What clients trust, where the servers speak TLS."""

    @property
    def fullname(self) -> str:
        """What its objects are called."""
        return self.name if self.name == "natsmith" else f"{self.name}-natsmith"

    def run(self, verb: str, *words: str, seconds: float = 420) -> Ran:
        """Run Helm in the release's namespace."""
        return run([self.helm, verb, "--namespace", self.namespace.name, *words], seconds=seconds)

    def upgrade(
        self,
        values: str | Sequence[str] = (),
        *,
        sets: Sequence[str] = (),
        more: Sequence[str] = (),
        chart: Path = CHART,
    ) -> Ran:
        """Install or upgrade, as the README tells it; *values* are names of files in values/, or paths."""
        files = [values] if isinstance(values, str) else values
        words = [word for each in files for word in ("-f", str(ROOT / "values" / each))]
        words += [word for each in sets for word in ("--set", each)]
        return self.run("upgrade", "--install", self.name, str(chart), *words, *images(), *more)

    def installed(self, values: str | Sequence[str] = (), **given: Sequence[str] | Path) -> Ran:
        """Install or upgrade, which must succeed."""
        ran = self.upgrade(values, **given)  # type: ignore[arg-type]  # the keywords are those of upgrade
        assert ran.code == 0, ran.text
        return ran

    @property
    def status(self) -> str:
        """What Helm says of the release: deployed, failed."""
        found = json.loads(self.run("status", self.name, "-o", "json").out)
        return str(found["info"]["status"])

    @property
    def revision(self) -> int:
        """How often it was installed, upgraded or rolled back."""
        return int(json.loads(self.run("status", self.name, "-o", "json").out)["version"])

    def pods(self, component: str) -> list[Manifest]:
        """Return the pods of a component (nats, provisioner, toolbox), oldest first."""
        return self.namespace.all(
            "pods", f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component={component}"
        )

    def jobs(self) -> list[Manifest]:
        """Return the Jobs that provision, oldest first."""
        return self.namespace.all(
            "jobs", f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component=provisioner"
        )

    def natsmith(self, *words: str, stdin: str = "", may_fail: bool = False) -> Ran:
        """Run natsmith in the toolbox, which may read *stdin*."""
        # `kubectl exec` does not wait for a pod that is about to start.
        self.namespace.kubectl("rollout", "status", f"deploy/{self.fullname}-toolbox", "--timeout=60s", may_fail=True)
        return self.namespace.kubectl(
            *("exec", "-i", f"deploy/{self.fullname}-toolbox", "--", "natsmith", *words),
            stdin=stdin,
            may_fail=may_fail,
        )

    def objects(self) -> dict[str, Manifest]:
        """Return what is provisioned, by kind and name, as the toolbox sees it."""
        document = json.loads(self.natsmith("status", "--output", "json").out)
        return {
            f"{each['kind']} {each['name']}": each for account in document["accounts"] for each in account["objects"]
        }

    def exported(self) -> Manifest:
        """Return the account as values."""
        found: Manifest = json.loads(self.natsmith("export", "--output", "json").out)
        return found

    def application(self, name: str, program: str) -> Manifest:
        """Return a pod that runs a program in Python with natsmith's image; SERVER and /credentials let it connect."""
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [
                    {
                        "name": name,
                        "image": os.environ["NATSMITH_IMAGE"],
                        "command": ["python3", "-c", program],
                        "env": [{"name": "SERVER", "value": f"nats://{self.fullname}:4222"}],
                        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                        "volumeMounts": [{"name": "credentials", "mountPath": "/credentials"}],
                    }
                ],
                "volumes": [{"name": "credentials", "secret": {"secretName": f"{self.fullname}-credentials"}}],
            },
        }

    def outcome(self) -> Manifest:
        """Return what the last Job's pod left as its termination message."""
        last = self.pods("provisioner")[-1]
        message: Manifest = json.loads(last["status"]["containerStatuses"][0]["state"]["terminated"]["message"])
        return message

    def password(self, key: str, secret: str = "") -> str:
        """Return a user's password."""
        data = self.namespace.get("secret", secret or f"{self.fullname}-credentials")["data"]
        return base64.b64decode(data[f"{key}.password"]).decode()

    @asynccontextmanager
    async def client(
        self, user: str = "app", account: str = "app", *, secret: str = "", tls: ssl.SSLContext | None = None
    ) -> AsyncIterator[Client]:
        """Connect as an application does, through the Service; its password is in *secret*, or in the chart's."""
        tls = tls or self.trusts
        with self.namespace.forwarded(f"svc/{self.fullname}", 4222) as port:
            client = await nats.connect(
                f"{'tls' if tls else 'nats'}://127.0.0.1:{port}",
                user=user,
                password=self.password(f"{account}.{user}", secret),
                allow_reconnect=False,
                tls=tls,
                tls_hostname="localhost" if tls else None,
            )
            try:
                yield client
            finally:
                await client.close()

    async def logs_in(self, user: str, password: str) -> bool:
        """Tell whether a login and its password are right."""
        client = Client()

        async def told(_: Exception) -> None:
            """Print nothing: what matters is raised as well."""

        with self.namespace.forwarded(f"svc/{self.fullname}", 4222) as port:
            try:
                await client.connect(
                    f"nats://127.0.0.1:{port}", user=user, password=password, allow_reconnect=False, error_cb=told
                )
            except nats.errors.Error as error:
                if "authorization" not in str(error).lower():
                    raise
                return False
            finally:
                await client.close()  # nats-py leaves its socket open when it is refused
        return True

    async def filled(self) -> dict[str, str]:
        """Write into the objects of values/dev.yaml as an application, and return all that was acknowledged."""
        async with self.client() as client:
            stream = client.jetstream()
            bucket = await stream.key_value("sessions")
            for key in USERS:
                await bucket.put(key, f"token of {key}".encode())
                await stream.publish("messages.ingest.orders", f"order of {key}".encode())
        return await self.held()

    async def _entry(self, bucket: KeyValue, key: str) -> str:
        try:
            return ((await bucket.get(key)).value or b"").decode()
        except KeyNotFoundError:
            return "gone"

    async def held(self) -> dict[str, str]:
        """Return the entries of the bucket `sessions` by key, and how many messages the stream MESSAGES has.

        Each key is got by its name: nats-py lists none of them where the server's answer overtakes the first entry.
        """
        async with self.client() as client:
            stream = client.jetstream()
            bucket = await stream.key_value("sessions")
            entries = {key: await self._entry(bucket, key) for key in USERS}
            return {**entries, "MESSAGES": str((await stream.stream_info("MESSAGES")).state.messages)}


MakeRelease = Callable[..., Release]
"""What the fixture `release` gives: a function that makes a release that is not installed yet."""
