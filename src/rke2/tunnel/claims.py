"""Whose an address is, and which addresses are nobody's to claim.

A kubelet may write the status of its own Node and of its own pods, so each of them can name any address. What is said
here is therefore believed in a fixed order that nobody gains from by being the last to speak, and that a restart of the
server does not change: servers before others, Nodes before pods outside the pod networks, the oldest first.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from rke2.config.model import IPAddress, IPNetwork, NodeConfig
from rke2.host.addresses import unmapped
from rke2.host.identity import is_local


class ClaimKind(Enum):
    """Who claims."""

    SERVER = "server"
    NODE = "node"
    POD = "pod"


@dataclass(frozen=True)
class AddressClaim:
    """One Node's or pod's word that it has its addresses.

    Args:
        node: the Node, or the one that the pod is on.
        created: ``creationTimestamp``, which nobody but the API server writes.
        uid: decides between two of the same second.
        ending: a pod that is being deleted; its address may be the next pod's already.
    """

    node: str
    kind: ClaimKind
    created: str = ""
    uid: str = ""
    ending: bool = False


@dataclass(frozen=True)
class Protected:
    """Addresses and names that mean this server or the cluster, whatever an object says.

    Args:
        node: this server's own.
        own: whether an address is this server's.
        shared: addresses and names of servers in general (``tls-san``), in lower case.
        services: networks that no host and no pod is in.
        pods: networks that no host is in.
    """

    node: str = ""
    own: Callable[[IPAddress], bool] = lambda address: False
    shared: frozenset[str] = frozenset()
    services: tuple[IPNetwork, ...] = ()
    pods: tuple[IPNetwork, ...] = ()

    @classmethod
    def of(cls, config: NodeConfig) -> Protected:
        """What a server of this configuration protects.

        Hosts may be in the pod networks where this server is: there both have addresses of one network (clouds).
        """
        node, network = config.node, config.network
        own = {*node.ips, *node.external_ips, parse(network.bind_address), network.advertise_address}
        sans = ((parse(each), each.lower()) for each in network.tls_sans)
        return cls(
            node=node.name,
            own=lambda address: address in own or is_local(address),
            shared=frozenset(str(address) if address else name for address, name in sans),
            services=network.service_cidrs,
            pods=tuple(pods for pods in network.cluster_cidrs if not any(ip in pods for ip in node.ips)),
        )

    def objection(self, claim: AddressClaim, address: IPAddress) -> str:
        """Why `claim` is not to be believed about `address`; empty if nothing speaks against it."""
        if _is_no_hosts(address):
            return "it is not the address of a host in a network"
        # First, and for other servers too: a connection to this server must never leave it.
        if claim.node != self.node and self.own(address):
            return "it is an address of this server"
        # Servers may: tls-san usually lists their own addresses.
        if claim.kind is not ClaimKind.SERVER and str(address) in self.shared:
            return "it is an address of the servers (tls-san)"
        if _within(address, self.services):
            return "it is in the network of Services (service-cidr)"
        if claim.kind is not ClaimKind.POD and _within(address, self.pods):
            return "it is in the network of pods (cluster-cidr)"
        return ""

    def names(self, name: str) -> bool:
        """Whether `name` means something else than the Node that is called so."""
        return name in self.shared or _is_local_name(name) or _is_service_name(name) or _is_address(name)


class Fault(NamedTuple):
    """A claim that is not believed."""

    node: str
    address: str
    reason: str


class AddressClaims:
    """All claims, by owner, and whose each address is. All addresses are in the form of `parse`.

    Attributes:
        networks: where pods of a Node usually have their addresses, by the Node's name.
    """

    def __init__(self, protected: Protected) -> None:
        self._protected = protected
        self._claims: dict[Hashable, tuple[AddressClaim, frozenset[IPAddress]]] = {}
        self._owners: dict[IPAddress, dict[Hashable, AddressClaim]] = {}
        self._refused: dict[Hashable, list[Fault]] = {}
        self.networks: dict[str, tuple[IPNetwork, ...]] = {}

    def set(self, owner: Hashable, claim: AddressClaim, addresses: Iterable[str]) -> None:
        """Replace what `owner` claimed; what is not an IP address counts for nothing."""
        found = frozenset(address for text in addresses if (address := parse(text)) is not None)
        # Most updates of a Node or pod (heartbeats, conditions) leave its claim as it was.
        if self._claims.get(owner) == (claim, found):
            return
        self.remove(owner)
        self._claims[owner] = claim, found
        for address in found:
            if reason := self._protected.objection(claim, address):
                self._refused.setdefault(owner, []).append(Fault(claim.node, str(address), reason))
            else:
                self._owners.setdefault(address, {})[owner] = claim

    def remove(self, owner: Hashable) -> None:
        _, addresses = self._claims.pop(owner, (None, frozenset()))
        self._refused.pop(owner, None)
        for address in addresses:
            owners = self._owners.get(address, {})
            owners.pop(owner, None)
            # Pods keep coming with new addresses: entries without owners would pile up.
            if not owners:
                self._owners.pop(address, None)

    def holder(self, address: IPAddress) -> AddressClaim | None:
        """Whose `address` is; None if it is nobody's."""
        owners = self._owners.get(address)
        # Ranked at each question, not stored: a Node's networks may become
        # known after the claims of its pods.
        return min(owners.values(), key=lambda claim: self._rank(claim, address)) if owners else None

    def faults(self) -> list[Fault]:
        """What is not believed; not two pods with one address: the next may be told before the last one's end."""
        refused = [fault for faults in self._refused.values() for fault in faults]
        return refused + [
            fault
            for address, owners in self._owners.items()
            if len(owners) > 1
            for fault in self._losers(address, owners.values())
        ]

    def _losers(self, address: IPAddress, claims: Iterable[AddressClaim]) -> Iterable[Fault]:
        holder = self.holder(address)
        for claim in claims:
            if holder and claim.kind is not ClaimKind.POD and claim.node != holder.node:
                yield Fault(claim.node, str(address), f"it is that of node {holder.node}")

    def _rank(self, claim: AddressClaim, address: IPAddress) -> tuple[bool, bool, bool, bool, str, str]:
        """Smaller comes first. What a kubelet can write (addresses, readiness) has no part in it."""
        # Outside the pod networks a pod comes last: it could name the address of any host there.
        second = ClaimKind.NODE if _within(address, self._protected.pods) else ClaimKind.POD
        return (
            claim.kind is not ClaimKind.SERVER,
            claim.kind is second,
            claim.ending,
            not _within(address, self.networks.get(claim.node, ())),
            claim.created,
            claim.uid,
        )


def parse(text: str) -> IPAddress | None:
    """The address that `text` spells, an IPv4 one in IPv6's clothes as what it leads to; None for names."""
    try:
        return unmapped(ipaddress.ip_address(text))
    except ValueError:
        return None


def _within(address: IPAddress, networks: Iterable[IPNetwork]) -> bool:
    return any(address in network for network in networks)


def _is_no_hosts(address: IPAddress) -> bool:
    return address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local


def _is_local_name(name: str) -> bool:
    return name == "localhost" or name.endswith(".localhost")


def _is_service_name(name: str) -> bool:
    return name in ("kubernetes", "kubernetes.default") or name.endswith(".svc") or ".svc." in name


def _is_address(name: str) -> bool:
    """Whether resolvers take `name` for an IPv4 address: ``127.1`` and ``2130706433`` are names of Nodes, too."""
    try:
        socket.inet_aton(name)
    except OSError:
        return parse(name) is not None
    return True
