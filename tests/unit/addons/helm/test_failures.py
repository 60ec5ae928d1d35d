"""What is told of a job's pod."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rke2.addons.helm.failures import PATIENCE_SECONDS, FailureTeller
from rke2.addons.helm.names import CHART_LABEL
from rke2.addons.helm.termination import last_failure, told
from rke2.kube.informer import Change
from rke2.kube.objects import Key, Object

FAILED = {
    "exitCode": 1,
    "containerID": "1",
    "message": "helm-job: no release found\nhelm-job: no chart:\n\t* at all\n",
}
DONE = {"exitCode": 0, "message": "helm-job: done\n"}
RETRIED = {
    "exitCode": 0,
    "message": "helm-job: found revision 1\nhelm-job: helm upgrade failed with exit code 1: no; again\n",
}


def pod(**states: Object) -> Object:
    statuses = [{moment: {"terminated": state} for moment, state in states.items()}]
    return {
        "metadata": {"name": "helm-install-x-1", "namespace": "n", "labels": {CHART_LABEL: "x"}},
        "status": {"containerStatuses": statuses},
    }


class Recorder:
    """Collects events."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def emit(self, *event: Any) -> None:
        self.told.append(event)


@pytest.mark.parametrize(
    ("seen", "failure"),
    [
        (pod(), None),
        ({"status": {}}, None),
        ({}, None),
        (pod(state=DONE), None),
        (pod(state=FAILED), FAILED),
        (pod(state=RETRIED), RETRIED),
        (pod(state=DONE, lastState=FAILED), FAILED),
    ],
)
def test_the_last_failure(seen: Object, failure: Object | None) -> None:
    assert last_failure(seen) == failure


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (FAILED, "no chart:\n\t* at all"),
        ({"exitCode": 1, "message": "panic: help"}, "panic: help"),
        ({"exitCode": 137, "reason": "OOMKilled"}, "helm ended with exit code 137 (OOMKilled)"),
        ({"exitCode": 2, "message": " \n"}, "helm ended with exit code 2 (Error)"),
    ],
)
def test_what_the_container_said_last(failure: Object, text: str) -> None:
    assert told(failure) == text


def test_each_failure_is_told_once() -> None:
    chart = {"kind": "HelmChart"}
    recorder, key = Recorder(), Key("n", "helm-install-x-1")
    teller = FailureTeller({Key("n", "x"): chart}, recorder)  # type: ignore[arg-type]
    first, again = pod(state=FAILED), pod(state={**FAILED, "containerID": "2"})
    teller.pod_changed(Change(key, None, pod()))
    teller.pod_changed(Change(key, pod(), first))
    teller.pod_changed(Change(key, first, pod(lastState=FAILED)))
    assert recorder.told == [
        (chart, "Warning", "HelmFailed", "Pod n/helm-install-x-1: no chart:\n\t* at all")
    ]
    teller.pod_changed(Change(key, pod(lastState=FAILED), again))
    teller.pod_changed(Change(key, again, None))
    assert len(recorder.told) == 2
    assert teller.said(Key("n", "x")) == "no chart: * at all"
    teller.forget(Key("n", "x"))
    assert teller.said(Key("n", "x")) == ""


def test_a_pod_of_no_chart_is_not_told() -> None:
    recorder = Recorder()
    FailureTeller({}, recorder).pod_changed(  # type: ignore[arg-type]
        Change(Key("n", "helm-install-x-1"), None, pod(state=FAILED))
    )
    assert recorder.told == []


CORDONED = {
    "metadata": {"name": "s"},
    "spec": {"taints": [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]},
}


def unplaced(age: float) -> Object:
    """A pod for which there is no node."""
    message = "0/1 nodes are available: 1 node(s) had untolerated taint(s)."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    made = (datetime.now(UTC) - timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = {**pod()["metadata"], "creationTimestamp": made}
    return {"metadata": metadata, "spec": {}, "status": {"phase": "Pending", "conditions": [condition]}}


def test_a_pod_without_a_node_is_told_once_with_the_taint() -> None:
    chart, recorder = {"kind": "HelmChart"}, Recorder()
    teller = FailureTeller({Key("n", "x"): chart}, recorder)  # type: ignore[arg-type]
    teller.without_node(unplaced(0), [CORDONED])
    assert recorder.told == []
    for _ in range(3):
        teller.without_node(unplaced(PATIENCE_SECONDS + 1), [CORDONED])
    said = (
        "Pod n/helm-install-x-1: no node for it: 0/1 nodes are available: 1 node(s) had untolerated taint(s): "
        "node.kubernetes.io/unschedulable:NoSchedule on s"
    )
    assert recorder.told == [(chart, "Warning", "HelmPending", said)]
    teller.forget(Key("n", "x"))
    teller.without_node(unplaced(PATIENCE_SECONDS + 1), [CORDONED])
    assert len(recorder.told) == 2


def test_a_pod_whose_image_cannot_be_had_is_told() -> None:
    chart, recorder = {"kind": "HelmChart"}, Recorder()
    teller = FailureTeller({Key("n", "x"): chart}, recorder)  # type: ignore[arg-type]
    waiting = {
        "name": "helm",
        "image": "i:v1",
        "state": {"waiting": {"reason": "ErrImagePull", "message": "no route"}},
    }
    late = {
        **pod(),
        "spec": {"nodeName": "s"},
        "status": {"phase": "Pending", "containerStatuses": [waiting]},
    }
    teller.pod_changed(Change(Key("n", "helm-install-x-1"), None, late))
    teller.pod_changed(Change(Key("n", "helm-install-x-1"), late, late))
    assert recorder.told == [
        (chart, "Warning", "HelmPending", "Pod n/helm-install-x-1: image i:v1: no route")
    ]
