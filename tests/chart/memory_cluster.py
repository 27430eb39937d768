"""A Kubernetes API in memory, as much of it as Helm asks when it renders for a cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from chart import KUBERNETES, Manifest

RESOURCES: Mapping[str, Mapping[str, str]] = {
    "v1": {
        "configmaps": "ConfigMap",
        "pods": "Pod",
        "secrets": "Secret",
        "serviceaccounts": "ServiceAccount",
        "services": "Service",
    },
    "apps/v1": {"deployments": "Deployment", "statefulsets": "StatefulSet"},
    "batch/v1": {"cronjobs": "CronJob", "jobs": "Job"},
    "networking.k8s.io/v1": {"networkpolicies": "NetworkPolicy"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
    "cert-manager.io/v1": {"certificates": "Certificate"},
    "monitoring.coreos.com/v1": {"podmonitors": "PodMonitor", "prometheusrules": "PrometheusRule"},
}


@dataclass
class Cluster:
    """What a cluster has, and how Helm reaches it."""

    kubeconfig: Path
    objects: dict[str, Manifest] = field(default_factory=dict)
    """By the path of the API under which one is found."""

    def put(self, namespace: str, release: str, *manifests: Manifest) -> None:
        """Store objects as those of a release, which Helm would otherwise not take for its own."""
        for each in manifests:
            api = each["apiVersion"]
            plural = next(plural for plural, kind in RESOURCES[api].items() if kind == each["kind"])
            metadata = each["metadata"]
            metadata.setdefault("labels", {})["app.kubernetes.io/managed-by"] = "Helm"
            owner = {"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": namespace}
            metadata.setdefault("annotations", {}).update(owner)
            root = "/apis/" if "/" in api else "/api/"
            self.objects[f"{root}{api}/namespaces/{namespace}/{plural}/{metadata['name']}"] = each

    def forget(self, namespace: str) -> None:
        """Remove everything from a namespace."""
        gone = [path for path in self.objects if f"/namespaces/{namespace}/" in path]
        for path in gone:
            del self.objects[path]

    def listed(self, path: str) -> Manifest | None:
        """Return all objects of one kind in a namespace, where *path* asks for them."""
        place, _, plural = path.rpartition("/")
        kinds = [resources[plural] for resources in RESOURCES.values() if plural in resources]
        if not kinds or "/namespaces/" not in place:
            return None
        items = [each for at, each in self.objects.items() if at.startswith(f"{path}/")]
        return {"apiVersion": "v1", "kind": f"{kinds[0]}List", "metadata": {}, "items": items}

    @property
    def flags(self) -> tuple[str, ...]:
        """How Helm is told to ask this cluster, which has no schemas to validate against."""
        return ("--disable-openapi-validation", "--kubeconfig", str(self.kubeconfig))


@contextmanager
def serving(home: Path) -> Iterator[Cluster]:
    """Serve an empty cluster on loopback, with its kubeconfig in *home*."""
    cluster = Cluster(home / "kubeconfig")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(cluster))
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "memory",
        "contexts": [{"name": "memory", "context": {"cluster": "memory", "user": "nobody"}}],
        "clusters": [{"name": "memory", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "users": [{"name": "nobody", "user": {}}],
    }
    cluster.kubeconfig.write_text(json.dumps(config))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield cluster
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(cluster: Cluster) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Else each answer waits 40 ms for an acknowledgement between its head and its body.
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            path = self.path.partition("?")[0].rstrip("/")
            found = _discovery(path) or cluster.objects.get(path) or cluster.listed(path)
            status = {"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}
            body = json.dumps(found or status).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing: a test says what went wrong."""

    return Handler


def _discovery(path: str) -> dict[str, Any] | None:
    if path == "/version":
        major, minor, _ = KUBERNETES.split(".")
        return {"major": major, "minor": minor, "gitVersion": f"v{KUBERNETES}"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        return {
            "apiVersion": "v1",
            "kind": "APIGroupList",
            "groups": [_group(each) for each in RESOURCES if "/" in each],
        }
    group_version = path.removeprefix("/apis/").removeprefix("/api/")
    if group_version in RESOURCES:
        return {
            "apiVersion": "v1",
            "kind": "APIResourceList",
            "groupVersion": group_version,
            "resources": [
                {
                    "name": plural,
                    "singularName": kind.lower(),
                    "namespaced": True,
                    "kind": kind,
                    "verbs": ["get", "list"],
                }
                for plural, kind in RESOURCES[group_version].items()
            ],
        }
    return None


def _group(group_version: str) -> dict[str, Any]:
    name, _, version = group_version.partition("/")
    said = {"groupVersion": group_version, "version": version}
    return {"name": name, "versions": [said], "preferredVersion": said}
