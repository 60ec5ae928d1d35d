"""When the system workload of a cluster is complete: nothing is missing, nothing still starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

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


def unsettled(
    items: Iterable[Object], manifests: Collection[str] = (), lost: Collection[str] = ()
) -> list[str]:
    """What is still being waited for, one line each; empty if everything runs or is completed.

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
    lines = [f"manifest {name}: not applied yet" for name in manifests if name not in applied]
    lines += [_missing_job(item, jobs) for item in found if item["kind"] == "HelmChart"]
    lines += [_WAITING[item["kind"]](item) for item in found if item["kind"] in _WAITING]
    lines += [_daemonset(item, gone) for item in found if item["kind"] == "DaemonSet"]
    return [line for line in lines if line]


def _without(items: list[Object], lost: Collection[str]) -> tuple[list[Object], Counter[str]]:
    """The items without the pods on `lost` nodes, and how many of those each DaemonSet has."""
    there = [item for item in items if item.get("spec", {}).get("nodeName") not in lost]
    owners = (
        owner
        for item in items
        if item.get("spec", {}).get("nodeName") in lost
        for owner in item["metadata"].get("ownerReferences", ())
    )
    return there, Counter(owner["name"] for owner in owners if owner["kind"] == "DaemonSet")


def _missing_job(chart: Object, jobs: set[str]) -> str:
    name = chart["metadata"]["name"]
    return "" if f"helm-install-{name}" in jobs else f"chart {name}: not installed yet"


def _job(job: Object) -> str:
    complete = any(
        condition["type"] == "Complete" and condition["status"] == "True"
        for condition in job.get("status", {}).get("conditions", ())
    )
    return "" if complete else f"job {job['metadata']['name']}: not completed"


def _deployment(deployment: Object) -> str:
    wanted, status = deployment["spec"].get("replicas", 1), deployment.get("status", {})
    return _count("deployment", deployment, status.get("readyReplicas", 0), wanted)


def _daemonset(daemonset: Object, gone: Counter[str]) -> str:
    status, name = daemonset.get("status", {}), daemonset["metadata"]["name"]
    if status.get("observedGeneration", 0) < daemonset["metadata"].get("generation", 1):
        return f"daemonset {name}: not scheduled yet"
    wanted = status.get("desiredNumberScheduled", 0) - gone[name]
    return _count("daemonset", daemonset, status.get("numberReady", 0), wanted)


def _count(kind: str, item: Object, ready: int, wanted: int) -> str:
    return "" if ready >= wanted else f"{kind} {item['metadata']['name']}: {ready} of {wanted} ready"


def _pod(pod: Object) -> str:
    status, name = pod.get("status", {}), pod["metadata"]["name"]
    if status.get("phase") == "Succeeded" or _replaced(pod):
        return ""
    states = status.get("containerStatuses", ())
    if status.get("phase") == "Running" and all(state["ready"] for state in states):
        return ""
    return f"pod {name}: {_reason(states) or status.get('phase', 'Unknown')}"


def _replaced(pod: Object) -> bool:
    """A failed try of a Job; the Job itself says whether another one succeeded."""
    owners = pod["metadata"].get("ownerReferences", ())
    return pod.get("status", {}).get("phase") == "Failed" and any(owner["kind"] == "Job" for owner in owners)


def _reason(states: Iterable[Object]) -> str:
    waiting = (state["state"].get("waiting", {}).get("reason", "") for state in states)
    return next((reason for reason in waiting if reason), "")


_WAITING: dict[str, Callable[[Object], str]] = {
    "Job": _job,
    "Deployment": _deployment,
    "Pod": _pod,
}
