"""Which way the API server's connections take: through a node's tunnel or directly (supervisor-api 9.4)."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Final

from rke2.errors import TunnelError
from rke2.host.addresses import host_port
from rke2.tunnel.server import TunnelServer
from rke2.tunnel.stream import DirectStream, Stream

log = logging.getLogger(__name__)

KUBELET_PORT: Final = 10250
"""Until a Node object says another one."""
STREAM_PORT: Final = 10010
"""Of containerd, for exec and attach."""


@dataclass(frozen=True)
class NodeTarget:
    """What a Node object says.

    Args:
        addresses: internal and external IPs.
        egress: the node's agent takes more than connections to its kubelet (label egress.rke2.io/cluster).
    """

    name: str
    addresses: frozenset[str]
    kubelet_port: int = KUBELET_PORT
    egress: bool = False

    def reserves(self, port: int) -> bool:
        """Whether every agent takes connections to `port`, at its loopback address."""
        return port in (self.kubelet_port, STREAM_PORT)


@dataclass(frozen=True)
class Route:
    """The way to one target.

    Args:
        node: where it is.
        reserved: a port every agent takes connections to, at its loopback address only.
        tunnelled: whether the node's agent takes the connection.
        kubelet: it is the port of the node's kubelet.
    """

    node: str
    reserved: bool
    tunnelled: bool
    kubelet: bool = False


class Routes:
    """The prefix table. All its prefixes are single addresses, so it is a dictionary.

    Addresses are kept by owner: a pod's address may belong to the next pod before the first one's end is told.
    """

    def __init__(self) -> None:
        self._nodes: dict[str, NodeTarget] = {}
        self._owners: dict[str, dict[Hashable, str]] = {}
        self._pods: dict[Hashable, frozenset[str]] = {}

    def set_node(self, node: NodeTarget) -> None:
        """Add a node or replace what was known of it."""
        self.remove_node(node.name)
        self._nodes[node.name] = node
        self._own(_NODE + node.name, node.name, node.addresses)

    def remove_node(self, name: str) -> None:
        if old := self._nodes.pop(name, None):
            self._disown(_NODE + name, old.addresses)

    def set_pod(self, pod: Hashable, node: str, addresses: Iterable[str]) -> None:
        """Add a pod that is not in the host network, or replace what was known of it."""
        self.remove_pod(pod)
        self._pods[pod] = frozenset(addresses)
        self._own(pod, node, self._pods[pod])

    def remove_pod(self, pod: Hashable) -> None:
        self._disown(pod, self._pods.pop(pod, frozenset()))

    def find(self, host: str, port: int) -> Route | None:
        """The route to `host`, an IP address or name; None if it is none of the cluster's nodes and pods.

        A node's name means its kubelet, so only with a reserved port: an agent ends its whole session when it
        is asked for another one.
        """
        if node := self._nodes.get(host):
            return _to_node(node, port) if node.reserves(port) else None
        owners = self._owners.get(_canonical(host))
        if not owners:
            return None
        owner, name = next(reversed(owners.items()))
        node = self._nodes.get(name)
        if node and owner == _NODE + name:
            return _to_node(node, port)
        return Route(name, reserved=False, tunnelled=node is not None and node.egress)

    def _own(self, owner: Hashable, node: str, addresses: Iterable[str]) -> None:
        for address in addresses:
            self._owners.setdefault(_canonical(address), {})[owner] = node

    def _disown(self, owner: Hashable, addresses: Iterable[str]) -> None:
        for address in map(_canonical, addresses):
            owners = self._owners.get(address, {})
            owners.pop(owner, None)
            if not owners:
                self._owners.pop(address, None)


class Dialer:
    """Makes the connections the API server asks for by HTTP CONNECT.

    Args:
        own_node: name of the node this server runs on; its connections need no tunnel.
        bind_address: where the own kubelet listens, an address that can be dialled.
        loopback: loopback address of the cluster's first IP family.
    """

    def __init__(
        self,
        routes: Routes,
        tunnel: TunnelServer,
        own_node: str,
        *,
        bind_address: str = "127.0.0.1",
        loopback: str = "127.0.0.1",
    ) -> None:
        self._routes = routes
        self._tunnel = tunnel
        self._own_node = own_node
        self._bind_address = bind_address
        self._loopback = loopback

    async def dial(self, host: str, port: int) -> Stream:
        """A connection to `host`, a name or an IP address without brackets.

        Raises:
            TunnelError: there is none.
        """
        route = self._routes.find(host, port)
        if route is None:
            return await DirectStream.open(host, port)
        if route.node == self._own_node:
            return await DirectStream.open(self._own_address(route, host), port)
        if route.reserved:
            return await self._tunnel.dial(route.node, _connect(self._loopback, port))
        if route.tunnelled:
            try:
                return await self._tunnel.dial(route.node, _connect(host, port))
            except TunnelError as error:
                log.debug("%s port %d: %s; dialling directly", host, port, error)
        return await DirectStream.open(host, port)

    def _own_address(self, route: Route, host: str) -> str:
        if route.kubelet:
            return self._bind_address
        return self._loopback if route.reserved else host


_NODE: Final = "node "
"""Begins a node's key among the owners of addresses."""


def _to_node(node: NodeTarget, port: int) -> Route:
    return Route(
        node.name, reserved=node.reserves(port), tunnelled=node.egress, kubelet=port == node.kubelet_port
    )


def _connect(host: str, port: int) -> str:
    return f"tcp/{host_port(host, port)}"


def _canonical(host: str) -> str:
    """One spelling per address; names stay as they are."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host
