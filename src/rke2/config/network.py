"""Networks and addresses of the cluster: read, checked against each other, defaults filled in.

Upstream finds most of these mistakes only when a component crashes; here they are refused before the start.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address, ip_network

from rke2.config.model import IPAddress, IPNetwork, NetworkSettings
from rke2.config.names import is_dns_name
from rke2.config.ports import FIXED, balancer_ports, first_shared
from rke2.config.settings import Settings
from rke2.errors import ConfigError
from rke2.host.identity import Family

logger = logging.getLogger(__name__)

CLUSTER_CIDRS: Mapping[Family, str] = {4: "10.42.0.0/16", 6: "fd00:42::/56"}
SERVICE_CIDRS: Mapping[Family, str] = {4: "10.43.0.0/16", 6: "fd00:43::/112"}
DNS_OFFSET = 10

_NODE_MASK: Mapping[Family, int] = {4: 24, 6: 64}
"""Size of the pod network of one node, the default of kube-controller-manager's node-cidr-mask-size."""
_MAX_SUBNET_BITS = 16
"""kube-controller-manager's node IPAM refuses more node networks than this many bits can number."""
_MAX_SERVICE_BITS = 20
"""kube-apiserver refuses service networks with more host bits."""


def parse_networks(settings: Settings, name: str) -> tuple[IPNetwork, ...]:
    """Networks of the list flag `name`: none, or one per address family.

    Raises:
        ConfigError: no network, host bits set, or two of one family.
    """
    networks = tuple(_network(settings, name, text) for text in settings.items(name))
    _one_per_family(settings, name, networks)
    return networks


def _network(settings: Settings, name: str, text: str) -> IPNetwork:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise settings.invalid(
            name, text, "not a network", f"write it as address/prefix, for example {CLUSTER_CIDRS[4]}"
        ) from None
    if str(network.network_address) != str(ip_address(text.partition("/")[0])) or "/" not in text:
        raise settings.invalid(name, text, "it has host bits set or no prefix", f"did you mean {network}?")
    return network


def parse_addresses(settings: Settings, name: str) -> tuple[IPAddress, ...]:
    """Addresses of the list flag `name`, at most one per address family.

    Raises:
        ConfigError: no address, an address no node can have, or two of one family.
    """
    addresses = tuple(parse_address(settings, name, text) for text in settings.items(name))
    _one_per_family(settings, name, addresses)
    return addresses


def parse_address(settings: Settings, name: str, text: str) -> IPAddress:
    """One unicast address.

    Raises:
        ConfigError: anything else.
    """
    try:
        address = ip_address(text)
    except ValueError:
        raise settings.invalid(name, text, "not an IP address") from None
    if address.is_loopback or address.is_unspecified or address.is_multicast:
        raise settings.invalid(name, text, "not the address of one reachable host")
    return address


def _one_per_family(settings: Settings, name: str, values: Sequence[IPAddress | IPNetwork]) -> None:
    if len(families_of(values)) != len(values):
        shown = ",".join(map(str, values))
        raise settings.invalid(
            name, shown, "more than one of the same address family", "keep one IPv4 and one IPv6"
        )


def families_of(values: Iterable[IPAddress | IPNetwork]) -> tuple[Family, ...]:
    """The address families of `values` in order, each once."""
    return tuple(dict.fromkeys(value.version for value in values))


def in_order(addresses: Iterable[IPAddress], families: Sequence[Family]) -> tuple[IPAddress, ...]:
    """`addresses`, those of the first of `families` in front."""
    return tuple(sorted(addresses, key=lambda address: address.version != families[0]))


def wanted_families(settings: Settings) -> tuple[Family, ...]:
    """The families that the networks set by the user ask of a node; empty if none is set."""
    return families_of(parse_networks(settings, "cluster-cidr")) or families_of(
        parse_networks(settings, "service-cidr")
    )


def cluster_network(
    settings: Settings, node_ips: Sequence[IPAddress], external_ips: Sequence[IPAddress]
) -> NetworkSettings:
    """All network settings of a server.

    Raises:
        ConfigError: a value is invalid, or two of them do not fit together.
    """
    families = wanted_families(settings) or _default_families(node_ips)
    clusters = parse_networks(settings, "cluster-cidr") or _defaults(CLUSTER_CIDRS, families)
    services = parse_networks(settings, "service-cidr") or _defaults(SERVICE_CIDRS, families)
    _check_networks(settings, clusters, services)
    _check_node_ips(settings, clusters, services, node_ips)
    return NetworkSettings(
        cluster_cidrs=clusters,
        service_cidrs=services,
        cluster_dns=_cluster_dns(settings, services),
        cluster_domain=_domain(settings),
        node_port_range=_port_range(settings),
        egress_selector_mode=settings.text("egress-selector-mode"),
        bind_address=bind_address(settings, node_ips),
        advertise_address=_advertise_address(settings, [*external_ips, *node_ips]),
        tls_sans=_sans(settings),
        tls_san_security=settings.on("tls-san-security"),
    )


def agent_network(settings: Settings, node_ips: Sequence[IPAddress]) -> NetworkSettings:
    """What an agent knows before it asks its server: its own listen address; the rest are the defaults."""
    families = _default_families(node_ips)
    services = _defaults(SERVICE_CIDRS, families)
    return NetworkSettings(
        _defaults(CLUSTER_CIDRS, families),
        services,
        _tenth(services),
        bind_address=bind_address(settings, node_ips),
    )


def _default_families(node_ips: Sequence[IPAddress]) -> tuple[Family, ...]:
    """Single-stack: IPv4 unless the node has only IPv6."""
    return (6,) if families_of(node_ips) == (6,) else (4,)


def _defaults(table: Mapping[Family, str], families: Iterable[Family]) -> tuple[IPNetwork, ...]:
    return tuple(ip_network(table[family]) for family in families)


# --- checks ------------------------------------------------------------------------------------------------
def _check_networks(settings: Settings, clusters: Sequence[IPNetwork], services: Sequence[IPNetwork]) -> None:
    if set(families_of(clusters)) != set(families_of(services)):
        raise ConfigError(
            f"cluster-cidr {_join(clusters)} and service-cidr {_join(services)} are not of the "
            "same address families",
            "give both of them one network per family",
        )
    for cluster in clusters:
        _check_cluster_size(settings, cluster)
        for service in services:
            if cluster.version == service.version and cluster.overlaps(service):
                raise ConfigError(
                    f"cluster-cidr {cluster} and service-cidr {service} overlap",
                    "choose networks that share no address",
                )
    for service in services:
        if service.max_prefixlen - service.prefixlen > _MAX_SERVICE_BITS:
            raise settings.invalid(
                "service-cidr",
                service,
                "larger than kube-apiserver accepts",
                f"use /{service.max_prefixlen - _MAX_SERVICE_BITS} or smaller",
            )
        if service.num_addresses <= DNS_OFFSET:
            raise settings.invalid("service-cidr", service, "too small", "use a larger network")


def _check_cluster_size(settings: Settings, cluster: IPNetwork) -> None:
    if any("node-cidr-mask-size" in item for item in settings.items("kube-controller-manager-arg")):
        return
    node = _NODE_MASK[cluster.version]
    if not node - _MAX_SUBNET_BITS <= cluster.prefixlen <= node:
        raise settings.invalid(
            "cluster-cidr",
            cluster,
            f"it cannot be divided into networks of /{node} per node",
            f"use a prefix from /{node - _MAX_SUBNET_BITS} to /{node}, or set "
            "node-cidr-mask-size with kube-controller-manager-arg",
        )


def _check_node_ips(
    settings: Settings,
    clusters: Sequence[IPNetwork],
    services: Sequence[IPNetwork],
    node_ips: Sequence[IPAddress],
) -> None:
    missing = [family for family in families_of(clusters) if family not in families_of(node_ips)]
    if missing:
        raise ConfigError(
            f"node-ip {_join(node_ips) or '(none found)'} has no IPv{missing[0]} address, "
            f"which cluster-cidr {_join(clusters)} needs",
            "set node-ip, or give cluster-cidr and service-cidr the families of the node",
        )
    for network in (*clusters, *services):
        for address in node_ips:
            if address in network:
                logger.warning(
                    "node address %s lies inside the cluster's network %s: pods will not reach "
                    "hosts of the node's own network",
                    address,
                    network,
                )


def _join(values: Iterable[object]) -> str:
    return ",".join(map(str, values))


# --- single values -----------------------------------------------------------------------------------------
def _tenth(services: Iterable[IPNetwork]) -> tuple[IPAddress, ...]:
    return tuple(service[DNS_OFFSET] for service in services)


def _cluster_dns(settings: Settings, services: Sequence[IPNetwork]) -> tuple[IPAddress, ...]:
    given = parse_addresses(settings, "cluster-dns")
    for address in given:
        if not any(address in service for service in services):
            raise settings.invalid(
                "cluster-dns",
                address,
                f"outside service-cidr {_join(services)}",
                f"use {_join(_tenth(services))}",
            )
    return given or _tenth(services)


def _domain(settings: Settings) -> str:
    domain = settings.text("cluster-domain")
    if not is_dns_name(domain):
        raise settings.invalid("cluster-domain", domain, "not a DNS domain in lower case")
    return domain


def _port_range(settings: Settings) -> str:
    text = settings.text("service-node-port-range")
    low, dash, high = text.partition("-")
    if not (dash and low.isdecimal() and high.isdecimal() and 0 < int(low) <= int(high) < 65536):
        raise settings.invalid(
            "service-node-port-range", text, "not a range of ports", "write it as 30000-32767"
        )
    taken = {**FIXED, **balancer_ports(settings.number("lb-server-port"))}
    if shared := first_shared(range(int(low), int(high) + 1), taken):
        reason = f"a Service could take a port that nodes need: {shared}"
        raise settings.invalid("service-node-port-range", text, reason, "use a range without it: 30000-32767")
    return text


def bind_address(settings: Settings, node_ips: Sequence[IPAddress]) -> str:
    """The listen address; every IPv6 address by default on a node that has only IPv6."""
    if not settings.is_given("bind-address") and families_of(node_ips) == (6,):
        return "::"
    text = settings.text("bind-address")
    try:
        return str(ip_address(text))
    except ValueError:
        raise settings.invalid("bind-address", text, "not an IP address") from None


def _advertise_address(settings: Settings, candidates: Sequence[IPAddress]) -> IPAddress:
    text = settings.text("advertise-address")
    return parse_address(settings, "advertise-address", text) if text else candidates[0]


def _sans(settings: Settings) -> tuple[str, ...]:
    for name in settings.items("tls-san"):
        if not _is_address(name) and not is_dns_name(name.lower().removeprefix("*.")):
            raise settings.invalid(
                "tls-san", name, "neither a host name nor an IP address", "give names without scheme and port"
            )
    return settings.items("tls-san")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
