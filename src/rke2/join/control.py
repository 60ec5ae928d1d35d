"""The settings that servers tell each other and their agents: the answer of ``GET /v1-rke2/config``.

Mirrors the supervisor reference §5.3: keys are Go field names, absent lists and networks are null. Readers ignore
keys they do not know; a missing key has its type's zero value. Told is only what somebody reads (`READERS`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from rke2.config.cni import CNIS
from rke2.config.model import (
    APISERVER_PORT,
    SUPERVISOR_PORT,
    ComponentSettings,
    IPAddress,
    IPNetwork,
    NetworkSettings,
    NodeConfig,
    NodeSettings,
)
from rke2.config.names import is_dns_name
from rke2.config.network import families_of, in_order
from rke2.errors import JoinError
from rke2.join.gonet import (
    decode_address,
    decode_network,
    encode_address,
    encode_addresses,
    encode_network,
    encode_networks,
)
from rke2.staticpods.arguments import last_value
from rke2.staticpods.kube_apiserver import CIPHER_SUITES

T = TypeVar("T")
Answer = Mapping[str, Any]
"""The decoded JSON object of a server."""

EGRESS_MODES = ("agent", "cluster", "pod", "disabled")
CRITICAL: Mapping[str, str] = {
    "ClusterDNSs": "cluster-dns",
    "ClusterIPRanges": "cluster-cidr",
    "ClusterDNS": "cluster-dns",
    "ClusterDomain": "cluster-domain",
    "ClusterIPRange": "cluster-cidr",
    "DisableCCM": "disable-cloud-controller",
    "DisableHelmController": "disable-helm-controller",
    "DisableNPC": "disable-network-policy",
    "DisableServiceLB": "enable-servicelb",
    "EncryptSecrets": "secrets-encryption",
    "EncryptProvider": "secrets-encryption-provider",
    "EmbeddedRegistry": "embedded-registry",
    "FlannelBackend": "flannel-backend",
    "FlannelIPv6Masq": "flannel-ipv6-masq",
    "FlannelIPMasqDisableRandomFully": "flannel-ip-masq-disable-random-fully",
    "FlannelExternalIP": "flannel-external-ip",
    "EgressSelectorMode": "egress-selector-mode",
    "ServiceIPRange": "service-cidr",
    "ServiceIPRanges": "service-cidr",
    "SupervisorMetrics": "supervisor-metrics",
}
"""Key that must be equal on all servers -> the flag it comes from (some only k3s has)."""


READERS: Mapping[str, str] = {
    **dict.fromkeys(CRITICAL, "servers that join: it must be as theirs"),
    "Disables": "servers of ours that join: they deploy the same CNI plugin",
    "DisableKubeProxy": "agents: whether they run kube-proxy",
    "SystemDefaultRegistry": "agents: where their images come from",
    "ServiceNodePortRange": "agents: kube-proxy's; one of RKE2 does not start without",
    "SupervisorPort": "agents of RKE2: one load balancer or two",
    "HTTPSPort": "agents of RKE2: one load balancer or two",
    "MinTLSVersion": "agents: of the kubelet",
    "CipherSuites": "agents of RKE2: of the kubelet",
}
"""Key of the answer -> who reads it. Everybody who may join is told all of it, so nothing else is in it.

RKE2 tells arguments, files, addresses and names of its servers besides, and the secret ``IPSECPSK``, which agents read
only for parts that are switched off here (``EmbeddedRegistry``, ``FlannelBackend``).
"""


# --- a server's answer -----------------------------------------------------------------------------
def encode_config(config: NodeConfig) -> dict[str, Any]:
    """The answer of a server configured as `config`; its keys are those of `READERS`."""
    return {**encode_critical(config), **_disables(config), **_for_agents(config)}


def encode_critical(config: NodeConfig) -> dict[str, Any]:
    """The part that must be equal on all servers of a cluster; its keys are those of `CRITICAL`."""
    network, server = config.network, config.server
    return {
        "ClusterDNSs": encode_addresses(network.cluster_dns),
        "ClusterIPRanges": encode_networks(network.cluster_cidrs),
        "ClusterDNS": encode_address(_first(network.cluster_dns)),
        "ClusterDomain": network.cluster_domain,
        "ClusterIPRange": encode_network(_first(network.cluster_cidrs)),
        "DisableCCM": config.component("cloud-controller-manager").disabled,
        "DisableHelmController": False,
        "DisableNPC": True,
        "DisableServiceLB": True,
        "EncryptSecrets": True,
        "EncryptProvider": server.secrets_encryption_provider if server else "",
        "EmbeddedRegistry": False,
        "FlannelBackend": "none",
        "FlannelIPv6Masq": False,
        "FlannelIPMasqDisableRandomFully": False,
        "FlannelExternalIP": False,
        "EgressSelectorMode": network.egress_selector_mode,
        "ServiceIPRange": encode_network(_first(network.service_cidrs)),
        "ServiceIPRanges": encode_networks(network.service_cidrs),
        "SupervisorMetrics": False,
    }


def _disables(config: NodeConfig) -> dict[str, Any]:
    return {"Disables": dict.fromkeys(config.server.disable if config.server else (), True)}


def _for_agents(config: NodeConfig) -> dict[str, Any]:
    low, _, high = config.network.node_port_range.partition("-")
    return {
        "DisableKubeProxy": config.component("kube-proxy").disabled,
        "SystemDefaultRegistry": config.images.system_default_registry,
        "ServiceNodePortRange": {"Base": int(low), "Size": int(high) - int(low) + 1},
        "SupervisorPort": SUPERVISOR_PORT,
        "HTTPSPort": APISERVER_PORT,
        "MinTLSVersion": last_value(config.component("kube-apiserver").args, "tls-min-version") or "",
        "CipherSuites": _cipher_suites(config),
    }


def _cipher_suites(config: NodeConfig) -> list[str]:
    given = last_value(config.component("kube-apiserver").args, "tls-cipher-suites")
    return [name.strip() for name in given.split(",")] if given else list(CIPHER_SUITES)


def _first(values: tuple[T, ...]) -> T | None:
    return values[0] if values else None


# --- comparing servers -----------------------------------------------------------------------------
def critical_mismatches(config: NodeConfig, answer: Answer) -> list[str]:
    """The flags in which this server and the one that gave `answer` differ; the servers must not be mixed then.

    A server that does not tell its EgressSelectorMode is of an old release and fits all.
    """
    own = encode_critical(config)
    differing = [
        CRITICAL[key] for key, value in own.items() if _comparable(answer.get(key)) != _comparable(value)
    ]
    if not answer.get("EgressSelectorMode"):
        differing = [flag for flag in differing if flag != CRITICAL["EgressSelectorMode"]]
    theirs, ours = _network_plugin(answer), _network_plugin(_disables(config))
    if None not in (theirs, ours) and theirs != ours:
        differing.append("cni")
    return list(dict.fromkeys(differing))


def _network_plugin(answer: Answer) -> str | None:
    """The CNI plugin a server deploys, empty for none; None if it cannot be told.

    RKE2 compares no ``cni``, and servers that differ deploy two networks. Its servers, too, disable the charts of
    all plugins that were not chosen.
    """
    disables = answer.get("Disables")
    if not isinstance(disables, dict):
        return None
    left = [cni.name for cni in CNIS if cni.charts and f"rke2-{cni.name}" not in disables]
    return None if len(left) > 1 else "".join(left)


def _comparable(value: Any) -> Any:
    """`value` without differences that Go does not see: zero values, and ways to write a mask."""
    if isinstance(value, list):
        return [_comparable(item) for item in value] or None
    if isinstance(value, dict):
        try:
            return decode_network(value)
        except ValueError:
            return value
    return value or None


# --- an agent's settings ---------------------------------------------------------------------------
def with_cluster_settings(config: NodeConfig, answer: Answer) -> NodeConfig:
    """The agent's configuration with the settings that its cluster decides; what the server does not tell stays.

    Raises:
        JoinError: a value cannot be understood, or the node's addresses do not fit the cluster's.
    """
    network = _network(config.network, answer)
    registry = _read(answer, "SystemDefaultRegistry", _text, "")
    return replace(
        config,
        node=_node(config.node, network),
        network=network,
        images=replace(config.images, system_default_registry=registry),
        components={**config.components, **_components(config, answer)},
        kubelet_args=(*_kubelet_args(answer), *config.kubelet_args),
    )


def _network(own: NetworkSettings, answer: Answer) -> NetworkSettings:
    return replace(
        own,
        cluster_cidrs=_read_list(
            answer, "ClusterIPRanges", "ClusterIPRange", decode_network, own.cluster_cidrs
        ),
        service_cidrs=_read_list(
            answer, "ServiceIPRanges", "ServiceIPRange", decode_network, own.service_cidrs
        ),
        cluster_dns=_read_list(answer, "ClusterDNSs", "ClusterDNS", decode_address, own.cluster_dns),
        cluster_domain=_read(answer, "ClusterDomain", _domain, own.cluster_domain),
        node_port_range=_read(answer, "ServiceNodePortRange", _port_range, own.node_port_range),
        egress_selector_mode=_read(answer, "EgressSelectorMode", _egress_mode, own.egress_selector_mode),
    )


def _components(config: NodeConfig, answer: Answer) -> dict[str, ComponentSettings]:
    kube_proxy, cloud = config.component("kube-proxy"), config.component("cloud-controller-manager")
    without_proxy = kube_proxy.disabled or _read(answer, "DisableKubeProxy", _flag, False)
    without_cloud = (
        cloud.disabled if "DisableCCM" not in answer else _read(answer, "DisableCCM", _flag, False)
    )
    return {
        "kube-proxy": replace(kube_proxy, disabled=without_proxy),
        "cloud-controller-manager": replace(cloud, disabled=without_cloud),
    }


def _kubelet_args(answer: Answer) -> tuple[str, ...]:
    """In front of the node's own, which win."""
    version = _read(answer, "MinTLSVersion", _tls_version, "")
    return (f"tls-min-version={version}",) if version else ()


def _node(node: NodeSettings, network: NetworkSettings) -> NodeSettings:
    """The node with its addresses in the order of the cluster's families (lifecycle reference §3, step 4)."""
    clusters, services = families_of(network.cluster_cidrs), families_of(network.service_cidrs)
    if set(clusters) != set(services):
        raise JoinError(
            f"the cluster's networks {_join(network.cluster_cidrs)} and {_join(network.service_cidrs)} "
            "are not of the same address families",
            "correct cluster-cidr and service-cidr on the servers",
        )
    ips = tuple(ip for ip in node.detected_ips if ip.version in clusters) or node.ips
    missing = [family for family in clusters if family not in families_of(ips)]
    if missing:
        raise JoinError(
            f"node-ip {_join(ips) or '(none)'} has no IPv{missing[0]} address, which the cluster's network "
            f"{_join(network.cluster_cidrs)} needs",
            "set node-ip to one address of each family of the cluster",
        )
    return replace(node, ips=in_order(ips, clusters))


def _join(values: tuple[IPAddress, ...] | tuple[IPNetwork, ...]) -> str:
    return ",".join(map(str, values))


# --- single values ---------------------------------------------------------------------------------
def _read(answer: Answer, key: str, decode: Callable[[Any], T], default: T) -> T:
    """The value of `key`; `default` for a key that is missing or has Go's zero value."""
    value = answer.get(key)
    if not value:
        return default
    try:
        return decode(value)
    except (ValueError, TypeError, KeyError) as error:
        raise JoinError(
            f"the server's configuration is unusable: {key}: {error}",
            "compare the releases of server and node; the node must not be newer",
        ) from error


def _read_list(
    answer: Answer, key: str, single: str, decode: Callable[[Any], T | None], default: tuple[T, ...]
) -> tuple[T, ...]:
    """The list `key`, of an old server the one value `single`."""

    def decode_all(values: Any) -> tuple[T, ...]:
        if not isinstance(values, list):
            raise ValueError(f"{values!r} is not a list")
        return tuple(item for value in values if (item := decode(value)) is not None)

    one = _read(answer, single, decode, None)
    return _read(answer, key, decode_all, ()) or ((one,) if one is not None else default)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError(f"{value!r} is not text")
    return value


def _tls_version(value: Any) -> str:
    if not re.fullmatch(r"VersionTLS1[0-3]", _text(value)):
        raise ValueError(f"{value!r} is not a version such as VersionTLS12")
    return _text(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")
    return value


def _domain(value: Any) -> str:
    if not is_dns_name(_text(value)):
        raise ValueError(f"{value!r} is not a DNS domain")
    return _text(value)


def _egress_mode(value: Any) -> str:
    if value not in EGRESS_MODES:
        raise ValueError(f"{value!r} is not one of {', '.join(EGRESS_MODES)}")
    return _text(value)


def _port(value: Any) -> int:
    if type(value) is not int or not 0 < value < 65536:
        raise ValueError(f"{value!r} is not a port")
    return value


def _port_range(value: Any) -> str:
    """Of ``{"Base":30000,"Size":2768}``."""
    low = _port(value["Base"])
    return f"{low}-{_port(low + value['Size'] - 1)}"
