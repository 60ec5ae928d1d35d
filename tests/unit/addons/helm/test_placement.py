"""Where jobs may run."""

from __future__ import annotations

from typing import Any

import pytest

from rke2.addons.helm.jobs import BOOTSTRAP_TOLERATIONS, JobSettings, launched, plan
from rke2.addons.helm.model import Chart, ChartSpec, ConfigSpec
from rke2.addons.helm.placement import is_unschedulable, missing_tolerations
from rke2.kube.nodes import CONTROL_PLANE_ROLE

DEDICATED = {"key": "dedicated", "value": "cp", "effect": "NoSchedule"}
EXISTS = {"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}


def node(*taints: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"taints": list(taints)}} if taints else {"spec": {}}


def pod_of(nodes: list[dict[str, Any]], **spec: Any) -> dict[str, Any]:
    made = plan(Chart("demo", "ns", ChartSpec(chart="demo", **spec)), ConfigSpec(), JobSettings("i"))
    pod: dict[str, Any] = launched(made.job, made.config_hash, 0, nodes)["spec"]["template"]["spec"]
    return pod


@pytest.mark.parametrize("bootstrap", [False, True])
def test_a_job_runs_on_a_tainted_control_plane(bootstrap: bool) -> None:
    pod = pod_of([node(DEDICATED)], bootstrap=bootstrap)
    assert pod["nodeSelector"] == {"kubernetes.io/os": "linux", CONTROL_PLANE_ROLE: "true"}
    assert pod["tolerations"] == [*(BOOTSTRAP_TOLERATIONS if bootstrap else ()), EXISTS]


def test_a_job_without_a_control_plane_node_runs_anywhere() -> None:
    pod = pod_of([])
    assert pod["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert "tolerations" not in pod


def test_where_a_job_runs_runs_no_chart_again() -> None:
    made = plan(Chart("demo", "ns", ChartSpec(chart="demo")), ConfigSpec(), JobSettings("i"))
    hashes = {
        str(launched(made.job, made.config_hash, 0, nodes)["spec"]["template"]["metadata"]["annotations"])
        for nodes in ([], [node()], [node(DEDICATED)])
    }
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("taints", "there", "missing"),
    [
        ([], [], []),
        ([DEDICATED], [], [EXISTS]),
        ([DEDICATED, DEDICATED | {"value": "other"}], [], [EXISTS]),
        ([DEDICATED | {"effect": "NoExecute"}], [EXISTS], [EXISTS | {"effect": "NoExecute"}]),
        ([DEDICATED], [EXISTS], []),
        ([DEDICATED], [{"operator": "Exists"}], []),
        ([DEDICATED], [{"key": "dedicated", "operator": "Exists"}], []),
        ([DEDICATED], [{"key": "dedicated", "value": "cp", "effect": "NoSchedule"}], [EXISTS]),
        ([DEDICATED], [EXISTS | {"tolerationSeconds": 5}], [EXISTS]),
        ([DEDICATED | {"effect": "PreferNoSchedule"}], [], []),
        ([{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}], [], []),
        ([{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}], [], []),
    ],
)
def test_what_an_operator_keeps_others_away_with_is_tolerated(
    taints: list[dict[str, Any]], there: list[dict[str, Any]], missing: list[dict[str, Any]]
) -> None:
    assert missing_tolerations({"tolerations": there}, [node(*taints), node()]) == missing


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, False),
        ({"conditions": [{"type": "PodScheduled", "status": "True"}]}, False),
        ({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]}, True),
    ],
)
def test_a_pod_without_a_node(status: dict[str, Any], expected: bool) -> None:
    assert is_unschedulable({"status": status}) is expected
