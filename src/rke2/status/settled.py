"""When the system workload of a cluster is complete: nothing is missing, nothing still starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from rke2.addons.helm.names import DELETE, INSTALL

Object = Mapping[str, Any]

PATHS = {
    "Addon": "/apis/k3s.cattle.io/v1/namespaces/kube-system/addons",
    "HelmChart": "/apis/helm.cattle.io/v1/namespaces/kube-system/helmcharts",
    "Job": "/apis/batch/v1/namespaces/kube-system/jobs",
    "Deployment": "/apis/apps/v1/namespaces/kube-system/deployments",
    "DaemonSet": "/apis/apps/v1/namespaces/kube-system/daemonsets",
    "Pod": "/api/v1/namespaces/kube-system/pods",
}
"""The kinds looked at and where the API lists them."""

_USUAL = ("ContainerCreating", "PodInitializing", "Pending", "Running")
"""What every pod is while it starts: any other state that lasts is trouble."""

_OF_CHARTS = {f"{INSTALL}-": "being installed", f"{DELETE}-": "being removed"}
"""What the Jobs of the helm controller do, by the beginning of their names."""


@dataclass(frozen=True)
class Unsettled:
    """Something of the system workload that is waited for.

    Args:
        kind: manifest, chart, job, deployment, daemonset, pod.
        state: what it is in, or what it lacks.
    """

    kind: str
    name: str
    state: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.state}"

    @property
    def in_trouble(self) -> bool:
        """A pod in a state that does not pass by itself."""
        return self.kind == "pod" and self.state not in _USUAL


def unsettled(
    items: Iterable[Object], manifests: Collection[str] = (), lost: Collection[str] = ()
) -> list[Unsettled]:
    """What is still being waited for; empty if everything runs or is completed.

    Pods in trouble come first: the rest mostly waits for them.

    Args:
        items: objects of the kinds in `PATHS`.
        manifests: names of the AddOns that the deploy controller has to apply.
        lost: names of nodes whose pods nobody waits for.
    """
    found, gone = _without(list(items), lost)
    applied = {
        item["metadata"]["name"] for item in found if item["kind"] == "Addon" and item["spec"].get("checksum")
    }
    jobs = {item["metadata"]["name"] for item in found if item["kind"] == "Job"}
    missing = [Unsettled("manifest", name, "not applied yet") for name in manifests if name not in applied]
    waiting: dict[str, Callable[[Object], Unsettled | None]] = {
        "HelmChart": partial(_chart, jobs=jobs),
        "Job": _job,
        "Deployment": partial(_deployment, gone=gone),
        "DaemonSet": partial(_daemonset, gone=gone),
        "Pod": _pod,
    }
    missing += filter(None, (waiting[item["kind"]](item) for item in found if item["kind"] in waiting))
    return sorted(missing, key=lambda each: not each.in_trouble)


def _without(items: list[Object], lost: Collection[str]) -> tuple[list[Object], Counter[tuple[str, str]]]:
    """The items without the pods on `lost` nodes, and how many of those each DaemonSet and Deployment has."""
    there = [item for item in items if item.get("spec", {}).get("nodeName") not in lost]
    gone = (item for item in items if item.get("spec", {}).get("nodeName") in lost)
    return there, Counter(workload for pod in gone for workload in _workloads(pod))


def _workloads(pod: Object) -> Iterable[tuple[str, str]]:
    """Kind and name of what made the pod; a ReplicaSet is its Deployment's, whose name it has with a hash."""
    hashed = f"-{pod['metadata'].get('labels', {}).get('pod-template-hash', '')}"
    for owner in pod["metadata"].get("ownerReferences", ()):
        if owner["kind"] == "ReplicaSet":
            yield "Deployment", owner["name"].removesuffix(hashed)
        else:
            yield owner["kind"], owner["name"]


def _chart(chart: Object, jobs: set[str]) -> Unsettled | None:
    name = chart["metadata"]["name"]
    return None if f"{INSTALL}-{name}" in jobs else Unsettled("chart", name, "not installed yet")


def _job(job: Object) -> Unsettled | None:
    complete = any(
        condition["type"] == "Complete" and condition["status"] == "True"
        for condition in job.get("status", {}).get("conditions", ())
    )
    name = str(job["metadata"]["name"])
    if complete:
        return None
    for prefix, doing in _OF_CHARTS.items():
        if name.startswith(prefix):
            return Unsettled("chart", name.removeprefix(prefix), doing)
    return Unsettled("job", name, "not completed")


def _deployment(deployment: Object, gone: Counter[tuple[str, str]]) -> Unsettled | None:
    """The replicas on lost nodes are not waited for, but one that is ready there must be."""
    replicas, name = deployment["spec"].get("replicas", 1), deployment["metadata"]["name"]
    wanted = max(replicas - gone["Deployment", name], min(replicas, 1))
    return _count("deployment", deployment, deployment.get("status", {}).get("readyReplicas", 0), wanted)


def _daemonset(daemonset: Object, gone: Counter[tuple[str, str]]) -> Unsettled | None:
    status, name = daemonset.get("status", {}), daemonset["metadata"]["name"]
    if status.get("observedGeneration", 0) < daemonset["metadata"].get("generation", 1):
        return Unsettled("daemonset", name, "not scheduled yet")
    wanted = status.get("desiredNumberScheduled", 0) - gone["DaemonSet", name]
    return _count("daemonset", daemonset, status.get("numberReady", 0), wanted)


def _count(kind: str, item: Object, ready: int, wanted: int) -> Unsettled | None:
    name = item["metadata"]["name"]
    return None if ready >= wanted else Unsettled(kind, name, f"{ready} of {wanted} ready")


def _pod(pod: Object) -> Unsettled | None:
    status, name = pod.get("status", {}), pod["metadata"]["name"]
    if status.get("phase") == "Succeeded" or _replaced(pod):
        return None
    states = status.get("containerStatuses", ())
    if status.get("phase") == "Running" and all(state["ready"] for state in states):
        return None
    reason = _reason([*status.get("initContainerStatuses", ()), *states])
    return Unsettled("pod", name, reason or status.get("phase", "Unknown"))


def _replaced(pod: Object) -> bool:
    """A failed try of a Job; the Job itself says whether another one succeeded."""
    owners = pod["metadata"].get("ownerReferences", ())
    return pod.get("status", {}).get("phase") == "Failed" and any(owner["kind"] == "Job" for owner in owners)


def _reason(states: Iterable[Object]) -> str:
    """Why a container of the pod does not run; what is usual only if there is nothing else to say."""
    waiting = (state["state"].get("waiting", {}).get("reason", "") for state in states)
    return min(filter(None, waiting), key=_USUAL.__contains__, default="")
