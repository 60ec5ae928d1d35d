"""Which way the API server's connections take: through a node's tunnel or directly (supervisor-api 9.4)."""

from __future__ import annotations

import logging
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

from rke2.config.model import IPNetwork
from rke2.errors import TunnelError
from rke2.host.addresses import host_port
from rke2.tunnel.claims import AddressClaim, AddressClaims, ClaimKind, Fault, Protected, parse
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
        server: it has a role that no kubelet can give itself.
        created: when the Node was; `uid` tells apart those of the same second.
        networks: those its pods' addresses are usually of (``podCIDRs``).
    """

    name: str
    addresses: frozenset[str]
    kubelet_port: int = KUBELET_PORT
    egress: bool = False
    server: bool = False
    created: str = ""
    uid: str = ""
    networks: tuple[IPNetwork, ...] = ()

    @property
    def claim(self) -> AddressClaim:
        kind = ClaimKind.SERVER if self.server else ClaimKind.NODE
        return AddressClaim(self.name, kind, self.created, self.uid)

    def reserves(self, port: int) -> bool:
        """Whether every agent takes connections to `port`, at its loopback address."""
        return port in (self.kubelet_port, STREAM_PORT)


@dataclass(frozen=True)
class TunnelRoute:
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


@dataclass(frozen=True)
class PodTarget:
    """What a pod says that is not in the host network."""

    node: str
    addresses: frozenset[str]
    created: str = ""
    uid: str = ""
    ending: bool = False


class Routes:
    """The prefix table. All its prefixes are single addresses, so it is a dictionary.

    Args:
        protected: what no Node and no pod can make lead to itself.
    """

    def __init__(self, protected: Protected | None = None) -> None:
        self._protected = protected or Protected()
        self._nodes: dict[str, NodeTarget] = {}
        self._claims = AddressClaims(self._protected)

    def forget(self) -> None:
        """Know of no node and no pod, as at the beginning."""
        self._nodes.clear()
        self._claims = AddressClaims(self._protected)

    def set_node(self, node: NodeTarget) -> None:
        """Add a node or replace what was known of it."""
        self._nodes[node.name] = node
        self._claims.networks[node.name] = node.networks
        self._claims.set(_NODE + node.name, node.claim, node.addresses)

    def remove_node(self, name: str) -> None:
        self._nodes.pop(name, None)
        self._claims.networks.pop(name, None)
        self._claims.remove(_NODE + name)

    def set_pod(self, pod: Hashable, target: PodTarget) -> None:
        """Add a pod, or replace what was known of it."""
        claim = AddressClaim(target.node, ClaimKind.POD, target.created, target.uid, target.ending)
        self._claims.set(pod, claim, target.addresses)

    def remove_pod(self, pod: Hashable) -> None:
        self._claims.remove(pod)

    def faults(self) -> list[Fault]:
        """What Nodes and pods say of their addresses and names that is not believed."""
        named = [
            node for node in self._nodes.values() if not node.server and self._protected.names(node.name)
        ]
        reason = "the name means something else in the cluster or to the server"
        return self._claims.faults() + [Fault(node.name, node.name, reason) for node in named]

    def find(self, host: str, port: int) -> TunnelRoute | None:
        """The route to `host`, an IP address or name; None if it is not one of the cluster's nodes and pods."""
        address = parse(host)
        if address is None:
            return self._by_name(host.lower().removesuffix("."), port)
        # The own addresses do not depend on what any object says. Loopback is
        # nobody's claim and dialled as it is.
        if not address.is_loopback and self._protected.own(address):
            return self._to_node(self._protected.node, port)
        claim = self._claims.holder(address)
        if claim is None:
            return None
        if claim.kind is not ClaimKind.POD:
            return self._to_node(claim.node, port)
        # Pods and Nodes are watched separately: of a pod whose Node is not known yet, no tunnel is assumed.
        node = self._nodes.get(claim.node)
        return TunnelRoute(claim.node, reserved=False, tunnelled=node is not None and node.egress)

    def _by_name(self, name: str, port: int) -> TunnelRoute | None:
        """A node's name means its kubelet, so only with a reserved port.

        An agent ends its whole session when it is asked for another one.
        """
        node = self._nodes.get(name)
        if node is None or not node.reserves(port):
            return None
        believed = node.server or not self._protected.names(name)
        return self._to_node(name, port) if believed else None

    def _to_node(self, name: str, port: int) -> TunnelRoute:
        # The own Node may not be registered yet: then it has the default ports.
        node = self._nodes.get(name) or NodeTarget(name, frozenset())
        return TunnelRoute(
            name, reserved=node.reserves(port), tunnelled=node.egress, kubelet=port == node.kubelet_port
        )


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
        # No direct way instead, as upstream: agents need no port that servers can reach (ADR 0010).
        if route.reserved:
            return await self._tunnel.dial(route.node, _connect(self._loopback, port))
        if route.tunnelled:
            try:
                return await self._tunnel.dial(route.node, _connect(host, port))
            except TunnelError as error:
                # Only a missing session shows here: nothing acknowledges a Connect,
                # so a target that is down does not.
                log.debug("%s port %d: %s; dialling directly", host, port, error)
        return await DirectStream.open(host, port)

    def _own_address(self, route: TunnelRoute, host: str) -> str:
        if route.kubelet:
            return self._bind_address
        return self._loopback if route.reserved else host


_NODE: Final = "node "
"""Begins a node's key among the owners of addresses; pods have others."""


def _connect(host: str, port: int) -> str:
    return f"tcp/{host_port(host, port)}"
