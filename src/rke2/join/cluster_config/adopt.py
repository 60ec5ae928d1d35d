"""An agent takes over the settings that its cluster decides."""

from __future__ import annotations

from dataclasses import replace

from rke2.config.model import (
    ComponentSettings,
    IPAddress,
    IPNetwork,
    NetworkSettings,
    NodeConfig,
    NodeSettings,
)
from rke2.config.network import families_of, in_order
from rke2.errors import JoinError
from rke2.join.cluster_config.keys import Answer
from rke2.join.cluster_config.values import (
    domain,
    egress_mode,
    flag,
    port_range,
    read,
    read_list,
    text,
    tls_version,
)
from rke2.join.gonet import decode_address, decode_network


def with_cluster_settings(config: NodeConfig, answer: Answer) -> NodeConfig:
    """The agent's configuration with the settings that its cluster decides; what the server does not tell stays.

    Raises:
        JoinError: a value cannot be understood, or the node's addresses do not fit the cluster's.
    """
    network = _network(config.network, answer)
    registry = read(answer, "SystemDefaultRegistry", text, "")
    return replace(
        config,
        node=_node(config.node, network),
        network=network,
        images=replace(config.images, system_default_registry=registry),
        components={**config.components, **_components(config, answer)},
        kubelet_args=(*_kubelet_args(answer), *config.kubelet_args),
        supervisor_metrics=read(answer, "SupervisorMetrics", flag, False),
    )


def _network(own: NetworkSettings, answer: Answer) -> NetworkSettings:
    return replace(
        own,
        cluster_cidrs=read_list(
            answer, "ClusterIPRanges", "ClusterIPRange", decode_network, own.cluster_cidrs
        ),
        service_cidrs=read_list(
            answer, "ServiceIPRanges", "ServiceIPRange", decode_network, own.service_cidrs
        ),
        cluster_dns=read_list(answer, "ClusterDNSs", "ClusterDNS", decode_address, own.cluster_dns),
        cluster_domain=read(answer, "ClusterDomain", domain, own.cluster_domain),
        node_port_range=read(answer, "ServiceNodePortRange", port_range, own.node_port_range),
        egress_selector_mode=read(answer, "EgressSelectorMode", egress_mode, own.egress_selector_mode),
    )


def _components(config: NodeConfig, answer: Answer) -> dict[str, ComponentSettings]:
    kube_proxy, cloud = config.component("kube-proxy"), config.component("cloud-controller-manager")
    without_proxy = kube_proxy.disabled or read(answer, "DisableKubeProxy", flag, False)
    # `read` takes false for a missing key; here it is an answer, which wins over this node's own setting.
    without_cloud = cloud.disabled if "DisableCCM" not in answer else read(answer, "DisableCCM", flag, False)
    return {
        "kube-proxy": replace(kube_proxy, disabled=without_proxy),
        "cloud-controller-manager": replace(cloud, disabled=without_cloud),
    }


def _kubelet_args(answer: Answer) -> tuple[str, ...]:
    """In front of the node's own, which win."""
    version = read(answer, "MinTLSVersion", tls_version, "")
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
