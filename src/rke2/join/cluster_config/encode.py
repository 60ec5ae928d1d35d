"""What a server answers."""

from __future__ import annotations

from typing import Any, TypeVar

from rke2.config.model import APISERVER_PORT, SUPERVISOR_PORT, NodeConfig
from rke2.join.gonet import encode_address, encode_addresses, encode_network, encode_networks
from rke2.staticpods.arguments import last_value
from rke2.staticpods.kube_apiserver import CIPHER_SUITES

T = TypeVar("T")


def encode_config(config: NodeConfig) -> dict[str, Any]:
    """The answer of a server configured as `config`; its keys are those of `READERS`."""
    return {**encode_critical(config), **disables(config), **_for_agents(config)}


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
        # Fixed in RKE2, or switched off there: told all the same, since a server of RKE2 that joins compares
        # each with its own, and takes a missing one for zero.
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
        "SupervisorMetrics": config.supervisor_metrics,
    }


def disables(config: NodeConfig) -> dict[str, Any]:
    """The part that says which charts are not deployed."""
    disabled = dict.fromkeys(config.server.disable if config.server else (), True)
    return {"Disables": disabled, "Skips": disabled}


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
