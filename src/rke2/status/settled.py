"""When the system workload of a cluster is complete: nothing is missing, nothing still starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rke2.addons.helm.names import CHART_LABEL, DELETE, INSTALL, WAITING
from rke2.addons.helm.termination import last_failure, told_in_a_line
from rke2.causes.pods import Why
from rke2.kube.objects import condition_is_true, labels_of

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

Reasons = Mapping[tuple[str, str], Why]
"""Why something is not ready, by kind and name (`rke2.status.reasons`)."""

NO_REASONS: Reasons = {}

_OF_CHARTS = {f"{INSTALL}-": "being installed", f"{DELETE}-": "being removed"}
"""What the Jobs of the helm controller do, by the beginning of their names."""


@dataclass(frozen=True)
class Unsettled:
    """Something of the system workload that is waited for.

    Args:
        kind: manifest, chart, job, deployment, daemonset, pod.
        state: what it is in, or what it lacks.
        why: the newest cause, as far as one is known.
        in_trouble: it does not pass by itself.
    """

    kind: str
    name: str
    state: str
    why: str = ""
    in_trouble: bool = False

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.state}"

    def is_like(self, other: Unsettled) -> bool:
        """Whether it has the same cause; of what no cause is known, whether it is in the same state."""
        if self.why or other.why:
            return self.why == other.why
        return (self.kind, self.state) == (other.kind, other.state)


def unsettled(
    items: Iterable[Object],
    manifests: Collection[str] = (),
    lost: Collection[str] = (),
    reasons: Reasons = NO_REASONS,
    asked: Callable[[Object], bool] = lambda pod: False,
) -> list[Unsettled]:
    """What is still being waited for; empty if everything runs or is completed.

    What is in trouble comes first: the rest mostly waits for it.

    Args:
        items: objects of the kinds in `PATHS`.
        manifests: names of the AddOns that the deploy controller has to apply.
        lost: names of nodes whose pods nobody waits for.
        reasons: why pods are not ready, and why controllers have none.
        asked: whether a pod was asked itself how it is. Then that it runs is enough: the kubelet has its first look at
            a container ten seconds after its start.
    """
    found, gone = _without(list(items), lost)
    applied = {
        item["metadata"]["name"] for item in found if item["kind"] == "Addon" and item["spec"].get("checksum")
    }
    jobs = {item["metadata"]["name"]: item for item in found if item["kind"] == "Job"}
    failures = _failures(item for item in found if item["kind"] == "Pod")
    missing = [Unsettled("manifest", name, "not applied yet") for name in manifests if name not in applied]
    whys = _of_workloads(found, reasons)
    waiting: dict[str, Callable[[Object], Unsettled | None]] = {
        "HelmChart": partial(_chart, jobs=jobs, failures=failures),
        "Job": partial(_job, failures=failures, whys=whys),
        "Deployment": partial(_deployment, gone=gone, whys=whys),
        "DaemonSet": partial(_daemonset, gone=gone, whys=whys),
        "Pod": partial(_pod, reasons=reasons, asked=asked),
    }
    missing += filter(None, (waiting[item["kind"]](item) for item in found if item["kind"] in waiting))
    # Of a chart its own state and its job may tell: one line, the worse one.
    told_once: dict[tuple[str, str], Unsettled] = {}
    for each in sorted(missing, key=lambda each: not each.in_trouble):
        told_once.setdefault((each.kind, each.name), each)
    return list(told_once.values())


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


def _of_workloads(items: Iterable[Object], reasons: Reasons) -> Reasons:
    """The cause of each workload: its own, or that of its newest pod that has one."""
    found = {key: why for key, why in reasons.items() if why.words and key[0] != "pod"}
    pods = (item for item in items if item["kind"] == "Pod")
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp")), reverse=True):
        why = reasons.get(("pod", pod["metadata"]["name"]), Why())
        for kind, name in _workloads(pod) if why.words else ():
            found.setdefault((kind.lower(), name), why)
    return found


def _failures(pods: Iterable[Object]) -> dict[str, str]:
    """Why helm failed last, by chart, as the pods of its jobs tell."""
    return {
        labels_of(pod)[CHART_LABEL]: told_in_a_line(failure)
        for pod in sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp")))
        if CHART_LABEL in labels_of(pod) and (failure := last_failure(pod))
    }


def _chart(chart: Object, jobs: Mapping[str, Object], failures: Mapping[str, str]) -> Unsettled | None:
    """What its job does not tell: there is none, or it has ended and the release is not as wanted."""
    name, job = chart["metadata"]["name"], jobs.get(f"{INSTALL}-{chart['metadata']['name']}")
    if "deletionTimestamp" in chart["metadata"]:
        return None if f"{DELETE}-{name}" in jobs else Unsettled("chart", name, "to be removed")
    conditions: Iterable[Object] = chart.get("status", {}).get("conditions", ())
    failed: Object = next((c for c in conditions if c["type"] == "Failed"), {})
    if failed.get("reason") == WAITING:
        return Unsettled("chart", name, "not begun", failed.get("message", ""))
    if failed.get("reason"):
        return _failing(name, failures.get(name) or failed.get("message", ""))
    return None if job else Unsettled("chart", name, "not installed yet")


def _failing(chart: str, why: str) -> Unsettled:
    return Unsettled("chart", chart, "failing", why, in_trouble=True)


def _job(job: Object, failures: Mapping[str, str], whys: Reasons) -> Unsettled | None:
    name = str(job["metadata"]["name"])
    if condition_is_true(job, "Complete"):
        return None
    why = whys.get(("job", name), Why())
    for prefix, doing in _OF_CHARTS.items():
        if name.startswith(prefix):
            chart = name.removeprefix(prefix)
            return (
                _failing(chart, failures[chart]) if chart in failures else _told("chart", chart, doing, why)
            )
    return _told("job", name, "not completed", why)


def _told(kind: str, name: str, state: str, why: Why) -> Unsettled:
    """With its cause, which is trouble unless it passes by itself."""
    return Unsettled(kind, name, state, why.words, in_trouble=bool(why.words) and not why.passing)


def _deployment(deployment: Object, gone: Counter[tuple[str, str]], whys: Reasons) -> Unsettled | None:
    """The replicas on lost nodes are not waited for, but one that is ready there must be."""
    replicas, name = deployment["spec"].get("replicas", 1), deployment["metadata"]["name"]
    wanted = max(replicas - gone["Deployment", name], min(replicas, 1))
    ready = deployment.get("status", {}).get("readyReplicas", 0)
    return _count("deployment", name, ready, wanted, whys)


def _daemonset(daemonset: Object, gone: Counter[tuple[str, str]], whys: Reasons) -> Unsettled | None:
    status, name = daemonset.get("status", {}), daemonset["metadata"]["name"]
    if status.get("observedGeneration", 0) < daemonset["metadata"].get("generation", 1):
        return Unsettled("daemonset", name, "not scheduled yet")
    wanted = status.get("desiredNumberScheduled", 0) - gone["DaemonSet", name]
    return _count("daemonset", name, status.get("numberReady", 0), wanted, whys)


def _count(kind: str, name: str, ready: int, wanted: int, whys: Reasons) -> Unsettled | None:
    if ready >= wanted:
        return None
    return _told(kind, name, f"{ready} of {wanted} ready", whys.get((kind, name), Why()))


def _pod(pod: Object, reasons: Reasons, asked: Callable[[Object], bool]) -> Unsettled | None:
    status, name = pod.get("status", {}), pod["metadata"]["name"]
    if is_ready(pod) or _replaced(pod):
        return None
    reason = _reason([*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())])
    state = reason or status.get("phase", "Unknown")
    if state in _USUAL and asked(pod):
        return None
    why = reasons.get(("pod", name), Why())
    trouble = state not in _USUAL or (bool(why.words) and not why.passing)
    return Unsettled("pod", name, state, why.words, in_trouble=trouble)


def is_ready(pod: Object) -> bool:
    """Whether all containers of the pod are ready, or have done their work."""
    status = pod.get("status", {})
    states = status.get("containerStatuses") or ()
    running = status.get("phase") == "Running" and all(state["ready"] for state in states)
    return running or status.get("phase") == "Succeeded"


def without_pods(items: Sequence[Object]) -> list[Object]:
    """The workloads that should have pods and have none."""
    have = {workload for item in items if item["kind"] == "Pod" for workload in _workloads(item)}
    late: dict[str, Callable[[Object], Unsettled | None]] = {
        "Job": partial(_job, failures={}, whys=NO_REASONS),
        "Deployment": partial(_deployment, gone=Counter(), whys=NO_REASONS),
        "DaemonSet": partial(_daemonset, gone=Counter(), whys=NO_REASONS),
    }
    bare = (item for item in items if (item["kind"], item["metadata"]["name"]) not in have)
    return [item for item in bare if item["kind"] in late and late[item["kind"]](item)]


def _replaced(pod: Object) -> bool:
    """A failed try of a Job; the Job itself says whether another one succeeded."""
    owners = pod["metadata"].get("ownerReferences", ())
    return pod.get("status", {}).get("phase") == "Failed" and any(owner["kind"] == "Job" for owner in owners)


def _reason(states: Iterable[Object]) -> str:
    """Why a container of the pod does not run; what is usual only if there is nothing else to say."""
    waiting = (state["state"].get("waiting", {}).get("reason", "") for state in states)
    return min(filter(None, waiting), key=_USUAL.__contains__, default="")
