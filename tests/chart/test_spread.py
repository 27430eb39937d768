"""Where servers may be: what the values say of it, together with what keeps several apart; e2e/test_spread.py lets Kubernetes choose."""

from __future__ import annotations

from typing import Any

import pytest

from releases import Values, rendered

WISH, MUST = "preferredDuringSchedulingIgnoredDuringExecution", "requiredDuringSchedulingIgnoredDuringExecution"
DISKS = {"nodeAffinity": {MUST: {"nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "Exists"}]}]}}}
OTHERS: dict[str, Any] = {"podAntiAffinity": {WISH: [{"weight": 1, "podAffinityTerm": {"topologyKey": "rack"}}]}}


def affinity(replicas: int = 3, **nats: Any) -> Any:
    values: Values = {"nats": {"replicas": replicas, **nats}}
    return rendered(values).one("StatefulSet")["spec"]["template"]["spec"].get("affinity")


@pytest.mark.parametrize(("nodes", "kind"), [("ScheduleAnyway", WISH), ("DoNotSchedule", MUST)])
def test_several_servers_keep_apart(nodes: str, kind: str) -> None:
    assert {"podAntiAffinity": {kind}} == {
        key: set(found) for key, found in affinity(topologySpread={"nodes": nodes}).items()
    }


def test_one_server_keeps_apart_from_nobody() -> None:
    assert affinity(1) is None
    assert affinity(1, affinity=DISKS) == DISKS


def test_where_servers_may_be_does_not_let_them_share_a_node() -> None:
    assert {"nodeAffinity", "podAntiAffinity"} == set(affinity(affinity=DISKS))


def test_a_wish_of_the_values_takes_the_place_of_the_charts() -> None:
    assert affinity(affinity=OTHERS) == OTHERS


def test_no_wish_of_the_values_is_none() -> None:
    assert affinity(affinity={"podAntiAffinity": {}}) == {"podAntiAffinity": {}}


def test_what_must_be_stays_beside_what_the_values_say() -> None:
    database = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "database"}}}
    given = {"podAntiAffinity": {**OTHERS["podAntiAffinity"], MUST: [database]}}
    found = affinity(affinity=given, topologySpread={"nodes": "DoNotSchedule"})["podAntiAffinity"]
    assert OTHERS["podAntiAffinity"][WISH] == found[WISH]
    assert database == found[MUST][0]
    assert 2 == len(found[MUST])
