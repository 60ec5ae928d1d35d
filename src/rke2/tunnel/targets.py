"""Keeps the routes in step with the cluster's nodes and pods (controllers 6.5)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from ipaddress import ip_network
from typing import Final

from rke2.config.model import IPNetwork
from rke2.kube.client import Client
from rke2.kube.informer import Change, Informer
from rke2.kube.nodes import is_server
from rke2.kube.objects import Object, age_of, labels_of, metadata, name_of
from rke2.kube.resources import PODS
from rke2.tunnel.claims import Fault
from rke2.tunnel.routing import KUBELET_PORT, NodeTarget, PodTarget, Routes

EGRESS_LABEL: Final = "egress.rke2.io/cluster"
"""Set by agents that take connections to pods; its value does not matter."""
POD_MODES: Final = ("cluster", "pod")
"""Values of egress-selector-mode with which pods are reached through the tunnel."""

SETTLE_SECONDS: Final = 10.0
"""How long a fault has to last to be told."""

_ADDRESSES: Final = ("InternalIP", "ExternalIP")
_UNPRIVILEGED: Final = 1024
"""The first port that may be a kubelet's: with a lower one a Node could take the HTTPS of any address it claims."""
FINISHED: Final = ("Succeeded", "Failed")
"""Phases of pods whose addresses may be other pods' by now."""


Report = Callable[[str, str], None]
"""Gets a node's name and what is wrong with it."""


async def follow(nodes: Informer, client: Client, routes: Routes, mode: str, report: Report) -> None:
    """Follow until cancelled.

    Args:
        nodes: all nodes; its owner runs it, after this has begun to listen.
        mode: egress-selector-mode; pods are watched only if it is cluster or pod.
        report: told of each address that a node or pod says is its own and is not believed to be.
    """
    egress = mode in POD_MODES
    # Begun again, it is not told of what has gone meanwhile, and that would keep its addresses as the oldest.
    routes.forget()
    nodes.listen(lambda change: follow_node(routes, change, egress=egress))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(report_faults(routes, report))
        if egress:
            pods = Informer(client, PODS)
            pods.listen(lambda change: follow_pod(routes, change))
            tasks.create_task(pods.run())


async def report_faults(routes: Routes, report: Report, *, settle: float = SETTLE_SECONDS) -> None:
    """Report each fault once, when it has lasted for `settle` seconds: nodes that swap addresses do so one by one."""
    before: set[Fault] = set()
    told: set[Fault] = set()
    while True:
        await asyncio.sleep(settle)
        now = set(routes.faults())
        for fault in sorted((now & before) - told):
            report(fault.node, _words(fault))
        # A fault that is gone is forgotten, so that it is told again when it comes back.
        told, before = (told | before) & now, now


def _words(fault: Fault) -> str:
    return (
        f"{fault.address} is not taken for an address of node {fault.node}: {fault.reason}. "
        "Connections to it do not go through this node's tunnel"
    )


def follow_node(routes: Routes, change: Change, *, egress: bool = True) -> None:
    if change.new is None:
        routes.remove_node(change.key.name)
    else:
        routes.set_node(node_target(change.new, egress=egress))


def follow_pod(routes: Routes, change: Change) -> None:
    """Pods in the host network are their node; finished ones keep an address that may be another's by now."""
    spec, status = _part(change.latest, "spec"), _part(change.latest, "status")
    addresses = frozenset(entry["ip"] for entry in status.get("podIPs") or [] if entry.get("ip"))
    gone = change.new is None or status.get("phase") in FINISHED
    if gone or spec.get("hostNetwork") or not (addresses and spec.get("nodeName")):
        routes.remove_pod(change.key)
        return
    created, uid = age_of(change.latest)
    ending = bool(metadata(change.latest).get("deletionTimestamp"))
    routes.set_pod(change.key, PodTarget(spec["nodeName"], addresses, created, uid, ending))


def node_target(node: Object, *, egress: bool = True) -> NodeTarget:
    """What `node` says. Its kubelet writes addresses, port and most labels, but no label of a role.

    Args:
        egress: whether the cluster's egress-selector-mode asks more of agents than their kubelets.
    """
    labels, (created, uid) = labels_of(node), age_of(node)
    addresses = _part(node, "status").get("addresses") or []
    port = published_kubelet_port(node)
    return NodeTarget(
        name=name_of(node),
        # Whatever a kubelet writes here becomes text: what is no address is dropped by `claims.parse`.
        addresses=frozenset(str(each.get("address")) for each in addresses if each.get("type") in _ADDRESSES),
        kubelet_port=port if port >= _UNPRIVILEGED else KUBELET_PORT,
        egress=egress and EGRESS_LABEL in labels,
        server=is_server(node),
        created=created,
        uid=uid,
        networks=_networks(_part(node, "spec").get("podCIDRs") or []),
    )


def _networks(texts: Iterable[str]) -> tuple[IPNetwork, ...]:
    networks = []
    for text in texts:
        # A network that cannot be read only costs its Node the precedence for addresses in it.
        with suppress(ValueError):
            networks.append(ip_network(text, strict=False))
    return tuple(networks)


def published_kubelet_port(node: Object) -> int:
    """0 if the kubelet did not publish one yet."""
    endpoints = _part(node, "status").get("daemonEndpoints") or {}
    return int((endpoints.get("kubeletEndpoint") or {}).get("Port") or 0)


def _part(obj: Object, name: str) -> Object:
    return obj.get(name) or {}
