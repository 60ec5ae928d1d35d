"""The node and the system pods as the API server knows them."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any

from rke2.config.model import APISERVER_PORT
from rke2.config.paths import Paths
from rke2.host.kernel import boot_id
from rke2.status.health import Endpoint, get
from rke2.status.outdated import outdated
from rke2.status.settled import PATHS, unsettled


@dataclass(frozen=True)
class Node:
    name: str
    ready: bool
    message: str


@dataclass(frozen=True)
class Pod:
    """A system pod; `state` is what ``kubectl get pods`` calls its status."""

    name: str
    state: str
    ready: str
    restarts: int


@dataclass(frozen=True)
class Cluster:
    nodes: tuple[Node, ...]
    pods: tuple[Pod, ...]
    unsettled: tuple[str, ...] = ()
    """What the system workload still waits for."""

    def waiting(self) -> str:
        """What is missing until node and system pods are all there; empty when nothing is."""
        if not self.nodes:
            return "the node to register"
        if late := [node.name for node in self.nodes if not node.ready]:
            return f"node {', '.join(late)} to be Ready"
        return "; ".join(self.unsettled)


def look(paths: Paths) -> Cluster | None:
    """Nodes and kube-system pods; None when the API server cannot be asked."""
    try:
        nodes = _items(paths, "/api/v1/nodes")
        workload = [{"kind": kind, **item} for kind, path in PATHS.items() for item in _items(paths, path)]
    except (OSError, http.client.HTTPException, ValueError):
        return None
    pods = [item for item in workload if item["kind"] == "Pod"]
    missing = unsettled(workload, packaged_manifests(paths))
    missing += outdated(nodes, pods, boot_id(), paths.containerd_tasks)
    return Cluster(tuple(map(_node, nodes)), tuple(map(_pod, pods)), tuple(missing))


def packaged_manifests(paths: Paths) -> list[str]:
    """The manifests of the runtime image that are to be applied on this node."""
    charts = paths.bin.resolve().parent / "charts"
    return [chart.stem for chart in sorted(charts.glob("*.yaml")) if (paths.manifests / chart.name).exists()]


def _items(paths: Paths, path: str) -> list[dict[str, Any]]:
    status, body = get(Endpoint("kube-apiserver", "https", APISERVER_PORT, path, credentials=True), paths)
    if status != 200:
        raise ValueError(f"{path}: HTTP {status}")
    items: list[dict[str, Any]] = json.loads(body)["items"]
    return items


def _node(obj: dict[str, Any]) -> Node:
    conditions = obj.get("status", {}).get("conditions", [])
    ready: dict[str, Any] = next((c for c in conditions if c["type"] == "Ready"), {})
    return Node(obj["metadata"]["name"], ready.get("status") == "True", ready.get("message", ""))


def _pod(obj: dict[str, Any]) -> Pod:
    status = obj.get("status", {})
    containers = status.get("containerStatuses", [])
    return Pod(
        obj["metadata"]["name"],
        _state(obj, containers),
        f"{sum(c['ready'] for c in containers)}/{len(obj['spec']['containers'])}",
        sum(c["restartCount"] for c in containers),
    )


def _state(obj: dict[str, Any], containers: list[dict[str, Any]]) -> str:
    status = obj.get("status", {})
    if "deletionTimestamp" in obj["metadata"]:
        return "Terminating"
    for container in [*status.get("initContainerStatuses", []), *containers]:
        reason = container.get("state", {}).get("waiting", {}).get("reason", "")
        if reason and reason not in ("PodInitializing", "ContainerCreating"):
            return str(reason)
    phase = str(status.get("phase", "Unknown"))
    return "Completed" if phase == "Succeeded" else phase
