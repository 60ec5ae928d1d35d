"""A boot of a server as its state file and the API tell it: Canal makes the network, CoreDNS waits for the node."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rke2.lifecycle.progress import PhaseStatus, ProcessStatus, Span, Wait

STARTED = datetime(2026, 11, 30, 12, 0, 0, tzinfo=UTC).timestamp() + 0.4
NODE = "server-0"
EVERYWHERE = [{"operator": "Exists"}]


def at(seconds: int) -> str:
    """A time of the API: `seconds` after 12:00:00, in which the boot began."""
    return datetime.fromtimestamp(STARTED - 0.4 + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def process() -> ProcessStatus:
    def phase(name: str, requires: list[str], started: float, ended: float, *waits: Wait) -> PhaseStatus:
        return PhaseStatus(name, "done", requires, started=started, ended=ended, waits=list(waits))

    return ProcessStatus(
        "server",
        "v1.36.4+rke2r1",
        1,
        STARTED,
        ready=True,
        ready_after=12.0,
        phases=[
            phase("host", [], 0.1, 0.5),
            phase("content", ["host"], 0.5, 2.0),
            phase("certificates", ["host"], 0.5, 1.0),
            phase("images", ["content"], 2.0, 9.0),
            phase("kubelet", ["content", "certificates"], 2.0, 2.5),
            phase(
                "kube-apiserver",
                ["kubelet"],
                2.5,
                8.0,
                Wait(2.5, "image kubernetes to be imported"),
                Wait(5.5, "pod kube-apiserver to begin"),
                Wait(6.0, "GET /readyz"),
            ),
            phase("controllers", ["kube-apiserver"], 8.0, 9.5),
            phase("node", ["kube-apiserver"], 8.0, 9.2),
            PhaseStatus("kube-proxy", requires=["kube-apiserver"]),
        ],
        spans=[
            Span("images", "core.tar.zst", 2.1, 8.9),
            Span("service", "kubelet", 2.4),
        ],
    )


def node(ready: int | None = 20, made: int = 9) -> dict[str, Any]:
    condition = {
        "type": "Ready",
        "status": "False" if ready is None else "True",
        "lastTransitionTime": at(ready or 0),
    }
    return {
        "metadata": {"name": NODE, "creationTimestamp": at(made)},
        "status": {"conditions": [condition]},
    }


def pod(
    name: str,
    made: int,
    scheduled: int,
    started: int,
    *,
    ready: int | None = None,
    finished: int | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A pod: `ready`, or with its work done when it `finished`."""
    conditions = [condition("PodScheduled", scheduled), condition("PodReadyToStartContainers", scheduled + 1)]
    state: dict[str, Any] = {"running": {"startedAt": at(started)}}
    if ready is not None:
        conditions.append(condition("Ready", ready))
    if finished is not None:
        state = {"terminated": {"startedAt": at(started), "finishedAt": at(finished)}}
    metadata = {"name": name, "uid": f"uid-{name}", "creationTimestamp": at(made), **more.pop("metadata", {})}
    return {
        "metadata": metadata,
        "spec": {"nodeName": NODE, **more},
        "status": {
            "phase": "Running" if finished is None else "Succeeded",
            "conditions": conditions,
            "containerStatuses": [{"state": state}],
        },
    }


def condition(kind: str, seconds: int) -> dict[str, str]:
    return {"type": kind, "status": "True", "lastTransitionTime": at(seconds)}


def pods() -> list[dict[str, Any]]:
    daemon = {"ownerReferences": [{"kind": "DaemonSet"}]}
    mirror = {"annotations": {"kubernetes.io/config.mirror": "x"}, "labels": {"component": "kube-apiserver"}}
    return [
        pod("kube-apiserver-server-0", 9, 3, 6, ready=8, metadata=mirror, tolerations=EVERYWHERE),
        pod("helm-install-rke2-canal-abcde", 10, 10, 11, finished=13, tolerations=EVERYWHERE),
        pod("helm-install-rke2-coredns-abcde", 10, 10, 11, finished=14, tolerations=EVERYWHERE),
        pod(
            "rke2-canal-xyz12",
            13,
            13,
            17,
            ready=24,
            hostNetwork=True,
            tolerations=EVERYWHERE,
            metadata=daemon,
        ),
        pod("rke2-coredns-rke2-coredns-5-6", 14, 20, 22, ready=26),
    ]


def pulled(name: str, seconds: int) -> dict[str, Any]:
    return {"involvedObject": {"uid": f"uid-{name}"}, "lastTimestamp": at(seconds), "reason": "Pulled"}
