"""A Plan on a running server: what is to be done about it is asked of the node and answered by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rke2.rollout.conditions import condition
from rke2.rollout.names import ANSWER, NAMESPACE, REQUEST, plan_label
from rke2_lab.node import LabNode
from tests.cluster.eventually import eventually

NAME = "plan-of-a-test"
FILE = Path("/root/plan.json")
SELECTOR = {"matchExpressions": [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}]}


@pytest.fixture
def server(cluster: LabNode) -> Iterator[LabNode]:
    yield cluster
    cluster.kubectl("delete", "plan", "-n", NAMESPACE, NAME, "--ignore-not-found")
    cluster.kubectl("label", "nodes", "--all", f"{plan_label(NAME)}-")
    cluster.kubectl("annotate", "nodes", "--all", f"{ANSWER}-", f"{REQUEST}-")


def put(server: LabNode, version: str) -> None:
    spec = {
        "concurrency": 1,
        "cordon": True,
        "version": version,
        "nodeSelector": SELECTOR,
        "upgrade": {"image": "rancher/rke2-upgrade"},
    }
    plan = {
        "apiVersion": "upgrade.cattle.io/v1",
        "kind": "Plan",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": spec,
    }
    server.host.write_file(FILE, json.dumps(plan))
    server.kubectl("apply", "-f", str(FILE))


def complete(server: LabNode) -> Any:
    found = server.kubectl("get", "plan", "-n", NAMESPACE, NAME, "-o", "json")
    return condition(json.loads(found.stdout).get("status") or {}, "Complete")


def test_a_plan_to_the_release_that_runs_is_complete(server: LabNode) -> None:
    version = server.rke2("--version").stdout.split()[2]
    put(server, version)
    eventually(
        lambda: complete(server), "the Plan is complete", 60, ok=lambda c: c.get("reason") == "Complete"
    )
    (node,) = json.loads(server.kubectl("get", "nodes", "-o", "json").stdout)["items"]
    assert plan_label(NAME) in node["metadata"]["labels"]
    assert json.loads(node["metadata"]["annotations"][ANSWER])["step"] == "done"
    assert "unschedulable" not in node["spec"]


def test_a_node_that_refuses_stops_the_plan(server: LabNode) -> None:
    """Its program is no file that could be exchanged: a lab runs the checkout."""
    put(server, "v1.36.99+rke2py1")
    eventually(lambda: complete(server), "the Plan stops", 60, ok=lambda c: c.get("reason") == "JobFailed")
    assert "was not installed as one file" in complete(server)["message"]
    assert NAME in server.rke2("status").stdout
