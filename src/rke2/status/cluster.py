"""Nodes and system pods as the API server knows them: on a server all, on an agent its own."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import quote

from rke2.causes.ended import STATIC_PODS
from rke2.config.cni import NONE
from rke2.config.immutable import CNI, created_with
from rke2.config.paths import Paths
from rke2.errors import ConfigError, PKIError
from rke2.host.kernel import boot_id
from rke2.pki.pem import certificate_path, read_certificates
from rke2.status.api import Api
from rke2.status.asking import FAILURES
from rke2.status.excerpt import excerpt, few
from rke2.status.outdated import outdated
from rke2.status.plans import PlanUnderWay, under_way
from rke2.status.reasons import Reasons, on_agent, on_server, reasons
from rke2.status.settled import NO_REASONS, PATHS, Unsettled, is_ready, unsettled, without_pods

_ROLE = "node-role.kubernetes.io/"


@dataclass(frozen=True)
class NodeStatus:
    """A node; `roles` as ``kubectl get nodes`` shows them."""

    name: str
    ready: bool
    message: str
    roles: str = ""

    @property
    def lacks_network(self) -> bool:
        """The kubelet misses a CNI configuration (the words are containerd's, or the CRI's)."""
        return not self.ready and "NetworkPluginNotReady" in self.message


@dataclass(frozen=True)
class Pod:
    """A system pod; `state` is what ``kubectl get pods`` calls its status, `why` the cause if it is not ready."""

    name: str
    state: str
    ready: str
    restarts: int
    why: str = ""


@dataclass(frozen=True)
class ClusterStatus:
    """What the API server says.

    Args:
        unsettled: what the system workload still waits for.
        own: name of this node; empty if it is not known yet.
        cni: the CNI plugin of the cluster, as far as this node knows.
        plans: Plans that are not complete; a server tells of them.
    """

    nodes: tuple[NodeStatus, ...]
    pods: tuple[Pod, ...]
    unsettled: tuple[Unsettled, ...] = ()
    own: str = ""
    cni: str = ""
    plans: tuple[PlanUnderWay, ...] = ()

    def waiting(self) -> str:
        """What is missing until this node and its system pods are all there; empty when nothing is.

        Other nodes that are not Ready are not waited for: this one works without them.
        """
        here = [node for node in self.nodes if node.name == self.own or not self.own]
        if not here:
            return "the node to register"
        if late := [node for node in here if not node.ready]:
            names = ", ".join(node.name for node in late)
            network = any(node.lacks_network for node in late)
            return f"node {names} to be Ready" + (self._without_network() if network else _said_by(late))
        return self._first()

    def _first(self) -> str:
        """What is in trouble first, with all that shares its cause: it is mostly one thing that is wrong."""
        if not self.unsettled:
            return ""
        first = self.unsettled[0]
        alike = [each for each in self.unsettled if each.is_like(first)]
        names = few([f"{each.kind} {each.name}" for each in alike])
        state = first.state if all(each.state == first.state for each in alike) else ""
        others = len(self.unsettled) - len(alike)
        said = ": ".join(filter(None, (names, state, excerpt(first.why))))
        return said + (f"; and {others} more" if others else "")

    def _without_network(self) -> str:
        if self.cni == NONE:
            return ": it has no network. With cni: none that is yours: install a CNI plugin"
        first = f"; {self._first()}" if any(each.in_trouble for each in self.unsettled) else ""
        return f": no CNI plugin has set up its network yet{first}"


def _said_by(late: Iterable[NodeStatus]) -> str:
    """What the kubelet, or whoever misses it, says of the first node."""
    said = next((node.message for node in late if node.message), "")
    return f": {excerpt(said)}" if said else ""


def look(paths: Paths, role: str, api: Api) -> ClusterStatus | None:
    """The cluster as this node may see it; None when the API server cannot be asked."""
    own = own_name(paths)
    try:
        if role == "agent":
            return _of_agent(paths, api, own)
        nodes = api.items("/api/v1/nodes")
        workload = [{"kind": kind, **item} for kind, path in PATHS.items() for item in api.items(path)]
    except (*FAILURES, ValueError, LookupError):
        return None
    lost = {node.name for node in map(_node, nodes) if not node.ready and node.name != own}
    pods = [item for item in workload if item["kind"] == "Pod"]
    late = [pod for pod in pods if not is_ready(pod) and pod["spec"].get("nodeName") not in lost]
    sources = on_server(api, own, nodes, time.time())
    whys = reasons(late, without_pods(workload), sources)
    missing = unsettled(workload, packaged_manifests(paths), lost, whys, partial(_asked, own))
    return replace(_cluster(paths, own, nodes, pods, missing, whys), plans=under_way(api))


def own_name(paths: Paths) -> str:
    """The name this node was given in the kubelet's certificate; empty if there is none yet."""
    try:
        found = read_certificates(certificate_path(paths.agent / "client-kubelet"))
    except PKIError:
        return ""
    subject = found.first.subject.rfc4514_string() if found else ""
    return next((part for part in subject.split(",") if part.startswith(_COMMON_NAME)), "")[
        len(_COMMON_NAME) :
    ]


_COMMON_NAME = "CN=system:node:"


def _of_agent(paths: Paths, api: Api, own: str) -> ClusterStatus:
    """A kubelet may read its own Node and the pods on it."""
    try:
        nodes = [api.get(f"/api/v1/nodes/{quote(own)}")]
    except LookupError:
        return ClusterStatus((), (), (), own)
    here = quote(f"spec.nodeName={own}")
    items = api.items(f"{PATHS['Pod']}?fieldSelector={here}")
    pods = [{"kind": "Pod", **item} for item in items]
    late = [pod for pod in pods if not is_ready(pod)]
    sources = on_agent(paths, nodes, [pod["metadata"]["name"] for pod in late], time.time())
    whys = reasons(late, (), sources)
    return _cluster(paths, own, nodes, pods, unsettled(pods, reasons=whys, asked=partial(_asked, own)), whys)


def _cluster(
    paths: Paths,
    own: str,
    nodes: list[dict[str, Any]],
    pods: list[dict[str, Any]],
    missing: list[Unsettled],
    whys: Reasons = NO_REASONS,
) -> ClusterStatus:
    others = [pod for pod in pods if not _asked(own, pod)]
    missing = missing + outdated(nodes, others, boot_id(), paths.containerd_tasks)
    pod_rows = tuple(_pod(pod, whys) for pod in pods)
    return ClusterStatus(tuple(map(_node, nodes)), pod_rows, tuple(missing), own, _cni(paths))


def _cni(paths: Paths) -> str:
    try:
        return created_with(paths, CNI)
    except ConfigError:
        return ""


def _asked(own: str, pod: Mapping[str, Any]) -> bool:
    """Whether the pod is one of this node's that `rke2.status.health` asks, so that the API need not tell."""
    metadata = pod["metadata"]
    mirrored = _MIRROR in metadata.get("annotations", {}) and pod["spec"].get("nodeName") == own
    return mirrored and metadata.get("labels", {}).get("component") in STATIC_PODS


_MIRROR = "kubernetes.io/config.mirror"


def packaged_manifests(paths: Paths) -> list[str]:
    """The manifests of the runtime image that are to be applied on this node."""
    charts = paths.bin.resolve().parent / "charts"
    return [chart.stem for chart in sorted(charts.glob("*.yaml")) if (paths.manifests / chart.name).exists()]


def _node(obj: dict[str, Any]) -> NodeStatus:
    conditions = obj.get("status", {}).get("conditions", [])
    ready: dict[str, Any] = next((c for c in conditions if c["type"] == "Ready"), {})
    return NodeStatus(
        obj["metadata"]["name"],
        ready.get("status") == "True",
        ready.get("message", ""),
        ",".join(sorted(_roles(obj))),
    )


def _roles(obj: dict[str, Any]) -> Iterator[str]:
    for label in obj["metadata"].get("labels", {}):
        if label.startswith(_ROLE):
            yield label.removeprefix(_ROLE)


def _pod(obj: dict[str, Any], whys: Reasons = NO_REASONS) -> Pod:
    status = obj.get("status", {})
    containers = status.get("containerStatuses", [])
    why = whys.get(("pod", obj["metadata"]["name"]))
    return Pod(
        obj["metadata"]["name"],
        _state(obj, containers),
        f"{sum(c['ready'] for c in containers)}/{len(obj['spec']['containers'])}",
        sum(c["restartCount"] for c in containers),
        why.words if why else "",
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
