"""Nodes and system pods as the API server knows them: on a server all, on an agent its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from rke2.config.cni import NONE
from rke2.config.paths import Paths
from rke2.content.kept import CNI, begun_with
from rke2.errors import ConfigError, PKIError
from rke2.host.kernel import boot_id
from rke2.pki.pem import certificate_path, read_certificates
from rke2.status.api import Api
from rke2.status.asking import FAILURES
from rke2.status.outdated import outdated
from rke2.status.settled import PATHS, Unsettled, unsettled

_ROLE = "node-role.kubernetes.io/"

_SAID = 3
"""Of what the system workload waits for so much is said in a line."""


@dataclass(frozen=True)
class Node:
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
    """A system pod; `state` is what ``kubectl get pods`` calls its status."""

    name: str
    state: str
    ready: str
    restarts: int


@dataclass(frozen=True)
class Cluster:
    """What the API server says.

    Args:
        unsettled: what the system workload still waits for.
        own: name of this node; empty if it is not known yet.
        cni: the CNI plugin of the cluster, as far as this node knows.
    """

    nodes: tuple[Node, ...]
    pods: tuple[Pod, ...]
    unsettled: tuple[Unsettled, ...] = ()
    own: str = ""
    cni: str = ""

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
            return f"node {names} to be Ready{self._without_network() if network else ''}"
        more = len(self.unsettled) - _SAID
        return "; ".join(map(str, self.unsettled[:_SAID])) + (f"; and {more} more" if more > 0 else "")

    def _without_network(self) -> str:
        if self.cni == NONE:
            return ": it has no network. With cni: none that is yours: install a CNI plugin"
        return ": no CNI plugin has set up its network yet"


def look(paths: Paths, role: str, api: Api) -> Cluster | None:
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
    missing = unsettled(workload, packaged_manifests(paths), lost)
    return _cluster(paths, own, nodes, [item for item in workload if item["kind"] == "Pod"], missing)


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


def _of_agent(paths: Paths, api: Api, own: str) -> Cluster:
    """A kubelet may read its own Node and the pods on it."""
    try:
        nodes = [api.get(f"/api/v1/nodes/{quote(own)}")]
    except LookupError:
        return Cluster((), (), (), own)
    here = quote(f"spec.nodeName={own}")
    items = api.items(f"{PATHS['Pod']}?fieldSelector={here}")
    pods = [{"kind": "Pod", **item} for item in items]
    return _cluster(paths, own, nodes, pods, unsettled(pods))


def _cluster(
    paths: Paths, own: str, nodes: list[dict[str, Any]], pods: list[dict[str, Any]], missing: list[Unsettled]
) -> Cluster:
    missing = missing + outdated(nodes, pods, boot_id(), paths.containerd_tasks)
    pod_rows = tuple(map(_pod, pods))
    return Cluster(tuple(map(_node, nodes)), pod_rows, tuple(missing), own, _cni(paths))


def _cni(paths: Paths) -> str:
    try:
        return begun_with(paths, CNI)
    except ConfigError:
        return ""


def packaged_manifests(paths: Paths) -> list[str]:
    """The manifests of the runtime image that are to be applied on this node."""
    charts = paths.bin.resolve().parent / "charts"
    return [chart.stem for chart in sorted(charts.glob("*.yaml")) if (paths.manifests / chart.name).exists()]


def _node(obj: dict[str, Any]) -> Node:
    conditions = obj.get("status", {}).get("conditions", [])
    ready: dict[str, Any] = next((c for c in conditions if c["type"] == "Ready"), {})
    return Node(
        obj["metadata"]["name"],
        ready.get("status") == "True",
        ready.get("message", ""),
        ",".join(sorted(_roles(obj))),
    )


def _roles(obj: dict[str, Any]) -> Iterator[str]:
    for label in obj["metadata"].get("labels", {}):
        if label.startswith(_ROLE):
            yield label.removeprefix(_ROLE)


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
