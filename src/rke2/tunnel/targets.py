"""Keeps the routes in step with the cluster's nodes and pods (controllers 6.5)."""

from __future__ import annotations

from typing import Final

from rke2.kube.client import Client
from rke2.kube.informer import Change, Informer
from rke2.kube.objects import Object, metadata
from rke2.kube.resources import PODS
from rke2.tunnel.routing import KUBELET_PORT, NodeTarget, Routes

EGRESS_LABEL: Final = "egress.rke2.io/cluster"
"""Set by agents that take connections to pods; its value does not matter."""
POD_MODES: Final = ("cluster", "pod")
"""Values of egress-selector-mode with which pods are reached through the tunnel."""

_ADDRESSES: Final = ("InternalIP", "ExternalIP")
FINISHED: Final = ("Succeeded", "Failed")
"""Phases of pods whose addresses may be other pods' by now."""


async def follow(nodes: Informer, client: Client, routes: Routes, mode: str) -> None:
    """Follow until cancelled.

    Args:
        nodes: all nodes; its owner runs it, after this has begun to listen.
        mode: egress-selector-mode; pods are watched only if it is cluster or pod.
    """
    nodes.listen(lambda change: follow_node(routes, change))
    if mode in POD_MODES:
        pods = Informer(client, PODS)
        pods.listen(lambda change: follow_pod(routes, change))
        await pods.run()


def follow_node(routes: Routes, change: Change) -> None:
    if change.new is None:
        routes.remove_node(change.key.name)
    else:
        routes.set_node(node_target(change.new))


def follow_pod(routes: Routes, change: Change) -> None:
    """Pods in the host network are their node; finished ones keep an address that may be another's by now."""
    spec, status = _part(change.latest, "spec"), _part(change.latest, "status")
    addresses = [entry["ip"] for entry in status.get("podIPs") or [] if entry.get("ip")]
    gone = change.new is None or status.get("phase") in FINISHED
    if gone or spec.get("hostNetwork") or not (addresses and spec.get("nodeName")):
        routes.remove_pod(change.key)
    else:
        routes.set_pod(change.key, spec["nodeName"], addresses)


def node_target(node: Object) -> NodeTarget:
    addresses = _part(node, "status").get("addresses") or []
    return NodeTarget(
        name=str(metadata(node).get("name", "")),
        addresses=frozenset(entry["address"] for entry in addresses if entry.get("type") in _ADDRESSES),
        kubelet_port=published_kubelet_port(node) or KUBELET_PORT,
        egress=EGRESS_LABEL in (metadata(node).get("labels") or {}),
    )


def published_kubelet_port(node: Object) -> int:
    """0 if the kubelet did not publish one yet."""
    endpoints = _part(node, "status").get("daemonEndpoints") or {}
    return int((endpoints.get("kubeletEndpoint") or {}).get("Port") or 0)


def _part(obj: Object, name: str) -> Object:
    return obj.get(name) or {}
