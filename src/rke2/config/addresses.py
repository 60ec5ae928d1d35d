"""Addresses in the forms that component flags want them."""

from __future__ import annotations

from collections.abc import Iterable

from rke2.config.model import IPAddress, IPNetwork, NodeConfig
from rke2.host.addresses import host_port


def comma(items: Iterable[IPNetwork | IPAddress]) -> str:
    """``10.42.0.0/16,fd00:42::/56``."""
    return ",".join(map(str, items))


def loopback(config: NodeConfig) -> str:
    """``127.0.0.1``, or ``::1`` where the cluster has IPv6 only."""
    return "::1" if _ipv6_only(config) else "127.0.0.1"


def on_loopback(config: NodeConfig, port: int) -> str:
    """A port of this host as it stands in a URL: ``127.0.0.1:2379`` or ``[::1]:2379``."""
    return host_port(loopback(config), port)


def on_node(config: NodeConfig, port: int) -> str:
    """A port of this node's first address as it stands in a URL."""
    return host_port(str(config.node.ips[0]), port)


def any_address(config: NodeConfig) -> str:
    """``0.0.0.0``, or ``::`` where the cluster has IPv6 only."""
    return "::" if _ipv6_only(config) else "0.0.0.0"


def _ipv6_only(config: NodeConfig) -> bool:
    return all(network.version == 6 for network in config.network.cluster_cidrs)


def advertised(config: NodeConfig) -> IPAddress:
    """What the apiserver publishes: the flag, else the first external or internal address of the node."""
    return config.network.advertise_address or (*config.node.external_ips, *config.node.ips)[0]
