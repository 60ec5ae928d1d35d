"""Pods and events as Kubernetes 1.36 makes them, cut down to what tells the cause."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]

IMAGE = "registry.invalid/nobody/nothing:v1"
UNRESOLVED = (
    f'failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": failed to do request: Head '
    '"https://registry.invalid/v2/nobody/nothing/manifests/v1": dial tcp: lookup registry.invalid on 10.89.0.1:53: '
    "read udp 10.89.0.10:42421->10.89.0.1:53: read: connection refused"
)
UNSCHEDULABLE = (
    "0/1 nodes are available: 1 node(s) had untolerated taint(s). no new claims to deallocate, preemption: 0/1 nodes "
    "are available: 1 Preemption is not helpful for scheduling."
)
ENDED_AT = "2026-11-30T07:59:12Z"


def pod(*containers: Object, phase: str = "Pending", node: str = "server-0", **more: Any) -> Object:
    """With these statuses of containers; `more` is its status, or ``spec`` and ``metadata``."""
    spec = {"containers": [{"name": "c", "image": IMAGE}], **more.pop("spec", {})}
    metadata = {"name": "p", "namespace": "kube-system", "uid": "1-2-3", **more.pop("metadata", {})}
    conditions = [{"type": "PodScheduled", "status": "True"}] if node else []
    status = {"phase": phase, "conditions": conditions, "containerStatuses": list(containers), **more}
    return {
        "kind": "Pod",
        "metadata": metadata,
        "spec": {**spec, **({"nodeName": node} if node else {})},
        "status": status,
    }


def container(
    name: str = "c", *, ready: bool = False, last: Object | None = None, restarts: int = 0, **state: Any
) -> Object:
    """The status of a container; `last` is how it ended before."""
    before = {"terminated": last} if last else {}
    return {
        "name": name,
        "image": IMAGE,
        "ready": ready,
        "restartCount": restarts,
        "state": state,
        "lastState": before,
    }


def waits(reason: str, message: str = "", **more: Any) -> Object:
    return container(waiting={"reason": reason, **({"message": message} if message else {})}, **more)


def ended(code: int, reason: str = "Error", message: str = "") -> Object:
    return {
        "exitCode": code,
        "reason": reason,
        "finishedAt": ENDED_AT,
        **({"message": message} if message else {}),
    }


def crashes(how: Object) -> Object:
    """A container that is started again and again."""
    return waits(
        "CrashLoopBackOff",
        "back-off 40s restarting failed container=c pod=p_kube-system(1-2-3)",
        last=how,
        restarts=3,
    )


def unscheduled(message: str, reason: str = "Unschedulable", **spec: Any) -> Object:
    condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
    return pod(node="", conditions=[condition], spec=spec)


def event(
    reason: str, message: str = "", at: str = "2026-11-30T07:59:00Z", version: int = 1, **about: str
) -> Object:
    """As the kubelet records it."""
    involved = {"kind": "Pod", "name": "p", "uid": "1-2-3", **about}
    meta = {"resourceVersion": str(version), "creationTimestamp": "2026-11-30T07:58:00Z"}
    return {
        "metadata": meta,
        "involvedObject": involved,
        "reason": reason,
        "message": message,
        "lastTimestamp": at,
    }


def node(name: str, *taints: str) -> Object:
    """`taints` as ``key=value:effect`` or ``key:effect``."""
    return {"metadata": {"name": name}, "spec": {"taints": [_taint(taint) for taint in taints]}}


def _taint(text: str) -> Object:
    what, _, effect = text.partition(":")
    key, _, value = what.partition("=")
    return {"key": key, "effect": effect, **({"value": value} if value else {})}
