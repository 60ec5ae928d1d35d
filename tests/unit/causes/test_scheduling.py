from __future__ import annotations

from typing import Any

import pytest

from rke2.causes.scheduling import untolerated, without_node
from tests.unit.causes.recorded import node, pod, unscheduled

TAINTED = node(
    "a", "dedicated=db:NoSchedule", "node.kubernetes.io/disk-pressure:NoSchedule", "slow:PreferNoSchedule"
)
DEDICATED, PRESSURE = "dedicated=db:NoSchedule on a", "node.kubernetes.io/disk-pressure:NoSchedule on a"


@pytest.mark.parametrize(
    ("toleration", "left"),
    [
        ({"operator": "Exists"}, []),
        ({"operator": "Exists", "effect": "NoExecute"}, [DEDICATED, PRESSURE]),
        ({"key": "dedicated", "operator": "Exists"}, [PRESSURE]),
        ({"key": "dedicated", "value": "db"}, [PRESSURE]),
        ({"key": "dedicated", "value": "web"}, [DEDICATED, PRESSURE]),
        ({"key": "dedicated", "value": "db", "effect": "NoSchedule", "tolerationSeconds": 5}, [PRESSURE]),
        ({"key": "node.kubernetes.io/disk-pressure"}, [DEDICATED]),
    ],
)
def test_taints_that_are_tolerated_are_left_out(toleration: dict[str, Any], left: list[str]) -> None:
    assert untolerated(pod(node="", spec={"tolerations": [toleration]}), [TAINTED]) == left


def test_of_many_nodes_with_one_taint_some_are_named() -> None:
    nodes = [node(f"n{number}", "x:NoSchedule") for number in range(5)]
    assert untolerated(pod(node=""), nodes) == ["x:NoSchedule on n0, n1, n2 and 2 more"]


def test_cordoned_nodes_are_named() -> None:
    cordoned = {"metadata": {"name": "a"}, "spec": {"unschedulable": True}}
    said = "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable."
    assert (
        without_node(unscheduled(said), [cordoned, node("b")]) == f"no node for it: {said[:-1]}: cordoned: a"
    )
