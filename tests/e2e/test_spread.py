"""Three servers find their places on the nodes of several zones, by Kubernetes' own scheduler; nothing runs there."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
import yaml

from e2e.cluster import Manifest, Namespace, run
from e2e.release import CHART
from waiting import eventually

ZONE = "topology.kubernetes.io/zone"
APART = "didn't match pod anti-affinity rules"
SPREAD = "didn't match pod topology spread constraints"


class Nodes:
    """Nodes that only the scheduler knows, and that take nothing but what tolerates them."""

    def __init__(self) -> None:
        self.own = f"spread-{secrets.token_hex(4)}"
        self.zones: dict[str, str] = {}
        """The zone of each node, by its name; empty where it tells none."""

    def add(self, *zones: str, cpu: str = "64") -> None:
        """Add a node for each zone."""
        for zone in zones:
            name = f"{self.own}-{len(self.zones)}"
            self.zones[name] = zone
            node = {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {
                    "name": name,
                    "labels": {"own": self.own, "kubernetes.io/hostname": name, **({ZONE: zone} if zone else {})},
                },
                "spec": {"taints": [{"key": self.own, "effect": "NoSchedule"}]},
            }
            _kubectl("create", "-f", "-", stdin=json.dumps(node))
            room = {"cpu": cpu, "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "110"}
            ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
            status = {"status": {"allocatable": room, "capacity": room, "conditions": [ready]}}
            _kubectl("patch", "node", name, "--subresource=status", "--type=merge", "--patch", json.dumps(status))

    def servers(self, musts: Sequence[str]) -> list[Manifest]:
        """Return three servers of a release, and whom they run as, that come to these nodes and to no other."""
        helm = shutil.which("helm")
        assert helm, "there is no helm on PATH"
        values = {
            "nats": {
                "replicas": 3,
                "topologySpread": dict.fromkeys(musts, "DoNotSchedule"),
                "nodeSelector": {"own": self.own},
                # Also of what Kubernetes says of a node that nobody hears of.
                "tolerations": [{"operator": "Exists"}],
                # Where a volume is would need a node that runs.
                "jetstream": {"storage": {"persistent": False}},
                "resources": {"requests": {"cpu": "50m"}},
            }
        }
        rendered = run([helm, "template", "dev", str(CHART), "-f", "-"], stdin=json.dumps(values))
        assert rendered.code == 0, rendered.text
        manifests = [each for each in yaml.safe_load_all(rendered.out) if each]
        return [each for each in manifests if each["kind"] in ("ServiceAccount", "StatefulSet")]


def _kubectl(*words: str, stdin: str | None = None) -> None:
    ran = run(["kubectl", *words], stdin=stdin)
    assert ran.code == 0, ran.text


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    made = Nodes()
    yield made
    _kubectl("delete", "node", "-l", f"own={made.own}", "--wait=false")


async def places(space: Namespace, nodes: Nodes, *, waiting: int, musts: Sequence[str] = ()) -> Places:
    """Return where the scheduler puts three servers, when it has tried each and so many of them wait."""
    space.apply(*nodes.servers(musts))
    found = Places()

    async def tried() -> bool:
        found.nodes, found.reasons = [], []
        for pod in space.all("pods"):
            for each in pod["status"].get("conditions", ()):
                if each["type"] == "PodScheduled" and each["status"] == "True":
                    found.nodes.append(pod["spec"]["nodeName"])
                elif each["type"] == "PodScheduled":
                    found.reasons.append(each["message"])
        return (3 - waiting, waiting) == (len(found.nodes), len(found.reasons))

    await eventually(tried, within=60)
    return found


@dataclass
class Places:
    """Where servers are, and what the scheduler says of those that wait."""

    nodes: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)


async def test_each_server_comes_to_a_zone_of_its_own_where_there_are_zones(space: Namespace, nodes: Nodes) -> None:
    nodes.add("a", "a", "b", "b", "c", "c")
    found = await places(space, nodes, waiting=0)
    assert ["a", "b", "c"] == sorted(nodes.zones[each] for each in found.nodes)


async def test_each_server_comes_to_a_node_of_its_own_where_no_node_tells_a_zone(
    space: Namespace, nodes: Nodes
) -> None:
    nodes.add("", "", "")
    found = await places(space, nodes, waiting=0)
    assert 3 == len(set(found.nodes))


async def test_servers_share_a_node_unless_they_must_not(space: Namespace, nodes: Nodes) -> None:
    nodes.add("a")
    found = await places(space, nodes, waiting=0)
    assert 1 == len(set(found.nodes))


@pytest.mark.parametrize("zones", [("a",), ("",), ("a", "b")], ids=["one", "no zone", "two"])
async def test_a_server_waits_for_a_node_where_it_must_not_share_one(
    space: Namespace, nodes: Nodes, zones: tuple[str, ...]
) -> None:
    nodes.add(*zones)
    found = await places(space, nodes, waiting=3 - len(zones), musts=["nodes"])
    assert len(zones) == len(set(found.nodes))
    assert all(APART in each for each in found.reasons), found.reasons


async def test_a_server_waits_for_a_zone_where_that_is_a_must(space: Namespace, nodes: Nodes) -> None:
    """One zone has room for all, and the other for none."""
    nodes.add("a", "a", "a")
    nodes.add("b", cpu="0")
    found = await places(space, nodes, waiting=2, musts=["zones"])
    assert ["a"] == [nodes.zones[each] for each in found.nodes]
    assert all(SPREAD in each for each in found.reasons), found.reasons


async def test_no_server_comes_to_nodes_without_a_zone_where_that_is_a_must(space: Namespace, nodes: Nodes) -> None:
    nodes.add("", "", "")
    found = await places(space, nodes, waiting=3, musts=["zones"])
    assert all(f"{SPREAD} (missing required label)" in each for each in found.reasons), found.reasons
