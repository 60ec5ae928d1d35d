"""`rke2 status` says of each thing that is not ready why: pods that fail in every way, and what is told of them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from rke2_lab.node import LabNode
from tests.cluster.charts.packing import helm_chart
from tests.cluster.eventually import eventually
from tests.cluster.namespace import Namespace
from tests.cluster.workload import IMAGE

NOWHERE = "registry.invalid/nobody/nothing:v1"
LABEL = {"rke2test": "causes"}
TAINT = "node.kubernetes.io/causes"
QUICK_SECONDS = 15.0
"""Far above what a status of a cluster with ten pods in trouble takes."""


def shell(script: str, **container: Any) -> dict[str, Any]:
    """The spec of a pod whose container runs a script."""
    one = {
        "name": "c",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", script],
        **container,
    }
    return {"containers": [one], "terminationGracePeriodSeconds": 0}


def with_volume(source: dict[str, Any]) -> dict[str, Any]:
    spec = shell("sleep 600", volumeMounts=[{"name": "data", "mountPath": "/data"}])
    return {**spec, "volumes": [{"name": "data", **source}]}


MEMORY = "x=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; while :; do x=$x$x; done"

PODS: dict[str, tuple[dict[str, Any], str]] = {
    "image": (
        {"containers": [{"name": "c", "image": NOWHERE}]},
        f"image {NOWHERE}: dial tcp: lookup registry.invalid",
    ),
    "label": (
        {**shell("sleep 600"), "nodeSelector": {"no": "such"}},
        "no node for it: 0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector",
    ),
    "volume": (
        with_volume({"configMap": {"name": "causes-missing"}}),
        'volume "data": configmap "causes-missing" not found',
    ),
    "setting": (
        shell("sleep 600", envFrom=[{"configMapRef": {"name": "causes-missing"}}]),
        'container c: configmap "causes-missing" not found',
    ),
    "unready": (
        shell(
            "sleep 600",
            readinessProbe={"periodSeconds": 1, "exec": {"command": ["sh", "-c", "echo cold; exit 1"]}},
        ),
        "Readiness probe failed: cold",
    ),
    "unalive": (
        shell("sleep 600", livenessProbe={"periodSeconds": 1, "httpGet": {"port": 8080, "path": "/alive"}}),
        "container c is restarted: Liveness probe failed: Get ",
    ),
    "crash": (
        shell("echo starting; echo 'Error: no such database' >&2; exit 3"),
        "container c ended with exit code 3: Error: no such database",
    ),
    "message": (
        shell("echo 'licence expired' > /dev/termination-log; exit 4"),
        "container c ended with exit code 4: licence expired",
    ),
    "memory": (
        shell(MEMORY, resources={"limits": {"memory": "16Mi"}}),
        "container c was killed for using too much memory (limit 16Mi, exit code 137, SIGKILL)",
    ),
    "program": (
        shell("", command=["/no/such/program"]),
        'container c: unable to start container process: error during container init: exec: "/no/such/program"',
    ),
}
"""What is wrong with a pod, and how its cause begins."""


@pytest.fixture(scope="module")
def system(cluster: LabNode) -> Iterator[Namespace]:
    """The namespace that `rke2 status` looks at; what a test leaves there goes with its label."""
    made = Namespace(cluster, "kube-system")
    yield made
    made.kubectl("delete", "pods,daemonsets", "--selector", "rke2test=causes", "--wait=true", "--timeout=60s")
    eventually(
        lambda: cluster.rke2("status").returncode, "the cluster is ready again", 90, ok=lambda code: code == 0
    )


@pytest.fixture(scope="module")
def failing(system: Namespace) -> Namespace:
    """With all of `PODS`."""
    system.apply(*(pod(f"causes-{name}", spec) for name, (spec, _) in PODS.items()))
    return system


def pod(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": LABEL}, "spec": spec}


def status(node: LabNode) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(node.rke2("status", "-o", "json").stdout)
    return found


def why(node: LabNode, kind: str, name: str) -> str:
    """What status says of something; empty if it is well, or nothing is known."""
    cluster = status(node)["cluster"] or {"unsettled": []}
    return next(
        (each["why"] for each in cluster["unsettled"] if (each["kind"], each["name"]) == (kind, name)), ""
    )


def until_said(node: LabNode, kind: str, name: str, words: str, seconds: float = 90) -> None:
    eventually(
        lambda: why(node, kind, name),
        f"of {kind} {name}: {words}",
        seconds,
        ok=lambda said: said.startswith(words),
        poll=1,
    )


@pytest.mark.parametrize("name", PODS)
def test_why_a_pod_is_not_ready(failing: Namespace, name: str) -> None:
    until_said(failing.node, "pod", f"causes-{name}", PODS[name][1])


def test_the_text_has_it_and_its_first_line_is_short(failing: Namespace) -> None:
    until_said(failing.node, "pod", "causes-crash", PODS["crash"][1])
    text = failing.node.rke2("status").stdout
    assert PODS["crash"][1] in text
    first = text.partition("\n")[0]
    assert "waiting for pod causes-" in first
    assert len(first) < 450


def test_it_is_told_quickly(failing: Namespace) -> None:
    before = time.monotonic()
    status(failing.node)
    assert time.monotonic() - before < QUICK_SECONDS


def test_a_taint_is_named(system: Namespace) -> None:
    node = system.node.host.name
    system.kubectl("taint", "node", node, "dedicated=databases:NoSchedule")
    try:
        system.apply(pod("causes-taint", shell("sleep 600")))
        until_said(
            system.node,
            "pod",
            "causes-taint",
            "no node for it: 0/1 nodes are available: 1 node(s) had untolerated",
        )
        assert why(system.node, "pod", "causes-taint").endswith(f"dedicated=databases:NoSchedule on {node}")
    finally:
        system.kubectl("taint", "node", node, "dedicated-")


def test_a_controller_whose_pods_are_refused_says_why(system: Namespace) -> None:
    own = {**LABEL, "set": "refused"}
    template = {
        "metadata": {"labels": own},
        "spec": {**shell("sleep 600"), "serviceAccountName": "causes-nobody"},
    }
    spec = {"selector": {"matchLabels": own}, "template": template}
    meta = {"name": "causes-refused", "labels": LABEL}
    system.apply({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": meta, "spec": spec})
    until_said(
        system.node, "daemonset", "causes-refused", 'Error creating: pods "causes-refused-" is forbidden: '
    )


def test_a_chart_whose_job_finds_no_node_says_the_taint(system: Namespace) -> None:
    """Of the taints that operators set jobs tolerate all, of Kubernetes' own ones none."""
    node, name = system.node.host.name, "causes-chart"
    system.kubectl("taint", "node", node, f"{TAINT}:NoSchedule")
    try:
        system.apply(helm_chart(name, "default"))
        tainted = f"{TAINT}:NoSchedule on {node}"
        eventually(
            lambda: why(system.node, "chart", name),
            "status says it",
            60,
            ok=lambda said: said.endswith(tainted),
            poll=1,
        )
        of_chart = ("--field-selector", f"involvedObject.name={name},reason=HelmPending")
        event = eventually(lambda: system.list("events", *of_chart), "the HelmChart has an event", 90)[0]
        assert event["message"].endswith(tainted)
        assert f"HelmPending: Pod kube-system/helm-install-{name}" in system.node.log.read_text()
    finally:
        system.kubectl("taint", "node", node, f"{TAINT}-")
        system.remove("helmchart", name)
