"""What an agent lets supervisors reach through its tunnel (supervisor-api 9.5)."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from rke2.kube.client import Client
from rke2.kube.informer import Informer
from rke2.kube.objects import Object
from rke2.kube.resources import NODES, PODS
from rke2.tunnel.routing import KUBELET_PORT, STREAM_PORT
from rke2.tunnel.session import Target
from rke2.tunnel.targets import FINISHED, published_kubelet_port

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Pods = Callable[[], Iterable[Object]]

_LOOPBACK: Final = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))


class Authorizer:
    """Decides about Connects; called with protocol and address, it tells what to dial.

    Args:
        mode: egress-selector-mode of the cluster.
        kubelet_address: where the own kubelet listens, an address that can be dialled.
        node_ips: addresses of the own node, for the modes cluster and pod.
        cluster_cidrs: for the mode cluster.
        pods: the pods of the own node, for the mode pod.
        started: Ready heartbeats from before are of an earlier kubelet (its port may have been another one).
    """

    def __init__(
        self,
        mode: str,
        *,
        kubelet_address: str = "127.0.0.1",
        node_ips: Iterable[str] = (),
        cluster_cidrs: Iterable[str] = (),
        pods: Pods = tuple,
        started: datetime | None = None,
    ) -> None:
        self.mode = mode
        self.pods = pods
        self.kubelet_port = KUBELET_PORT
        self._kubelet_address = kubelet_address
        self._node_ips = frozenset(map(ipaddress.ip_address, node_ips))
        self._cluster_cidrs = tuple(map(ipaddress.ip_network, cluster_cidrs))
        # Heartbeats have whole seconds: one of this very second must not
        # look like that of an earlier kubelet.
        self._started = (started or datetime.now(UTC)).replace(microsecond=0)

    def __call__(self, network: str, address: str) -> Target | None:
        """The target of a Connect, or None if it is not allowed.

        Args:
            network: only ``tcp`` is allowed.
            address: IP address and port, such as ``127.0.0.1:10250`` or ``[::1]:10250``. Names are never allowed.
        """
        parsed = _parse(address)
        if network != "tcp" or parsed is None:
            return None
        ip, port = parsed
        # Supervisors ask for loopback, whatever address the kubelet listens
        # on; with bind-address it is another.
        if ip in _LOOPBACK and port == self.kubelet_port:
            return self._kubelet_address, port
        if (ip in _LOOPBACK and port == STREAM_PORT) or self._allowed_by_mode(ip, port):
            return str(ip), port
        return None

    def see_node(self, node: Object) -> None:
        """Take the kubelet's port from the own Node object if the kubelet of now wrote it."""
        conditions = (node.get("status") or {}).get("conditions") or []
        if any(self._is_fresh(condition) for condition in conditions if condition.get("type") == "Ready"):
            self.kubelet_port = published_kubelet_port(node) or self.kubelet_port

    def _is_fresh(self, condition: dict[str, Any]) -> bool:
        try:
            return datetime.fromisoformat(condition.get("lastHeartbeatTime") or "") >= self._started
        except (ValueError, TypeError):
            return False

    def _allowed_by_mode(self, ip: Address, port: int) -> bool:
        if self.mode == "cluster":
            return ip in self._node_ips or any(ip in network for network in self._cluster_cidrs)
        if self.mode == "pod":
            return any(self._is_of_pod(ip, port, pod) for pod in self.pods())
        return False

    def _is_of_pod(self, ip: Address, port: int, pod: Object) -> bool:
        spec, status = pod.get("spec") or {}, pod.get("status") or {}
        if status.get("phase") in FINISHED:
            return False
        # Its address is the node's: without the declared ports, one such pod
        # would open every port of the host.
        if spec.get("hostNetwork"):
            return ip in self._node_ips and port in _tcp_ports(spec)
        return any(_same(entry.get("ip"), ip) for entry in status.get("podIPs") or [])


async def follow_own_node(client: Client, node: str, authorizer: Authorizer) -> None:
    """Keep `authorizer` current from the own Node, and in the mode pod from its pods, until cancelled.

    Args:
        client: with the credentials of the agent's controllers.
    """
    async with asyncio.TaskGroup() as tasks:
        nodes = Informer(client, NODES, field_selector=f"metadata.name={node}")
        # A Node that was deleted leaves the port as it is: the kubelet still listens there.
        nodes.listen(lambda change: authorizer.see_node(change.new or {}))
        tasks.create_task(nodes.run())
        if authorizer.mode == "pod":
            pods = Informer(client, PODS, field_selector=f"spec.nodeName={node}")
            # The method, not its result: each Connect is judged by the pods of that moment.
            authorizer.pods = pods.objects.values
            tasks.create_task(pods.run())


def _tcp_ports(spec: Object) -> Iterator[int]:
    """Container ports of a pod, those of its sidecars (restartable init containers) too."""
    for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
        for port in container.get("ports") or []:
            if port.get("protocol", "TCP") == "TCP":
                yield port.get("containerPort", 0)


def _parse(address: str) -> tuple[Address, int] | None:
    host, _, port = address.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    # isdigit() alone also accepts superscripts, on which int() fails, and digits of other scripts.
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) <= 0xFFFF and len(port) <= 5):
        return None
    try:
        return ipaddress.ip_address(host), int(port)
    except ValueError:
        return None


def _same(text: str | None, ip: Address) -> bool:
    try:
        return text is not None and ipaddress.ip_address(text) == ip
    except ValueError:
        return False
