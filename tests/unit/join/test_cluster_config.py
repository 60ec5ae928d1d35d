from __future__ import annotations

import base64
import contextlib
import json
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rke2.config.cni import unselected_charts
from rke2.config.model import ComponentSettings, NodeConfig
from rke2.errors import JoinError
from rke2.join.cluster_config.adopt import with_cluster_settings
from rke2.join.cluster_config.compare import critical_mismatches
from rke2.join.cluster_config.encode import encode_config, encode_critical
from rke2.join.cluster_config.keys import CRITICAL
from rke2.join.gonet import decode_address, decode_network, encode_address, encode_network
from tests.configs import server_config

networks = st.ip_addresses().flatmap(
    lambda ip: st.integers(0, ip.max_prefixlen).map(lambda prefix: ip_network((ip, prefix), strict=False))
)


def answer_of(config: NodeConfig, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(encode_config(config)))
    return {**found, **changes}


# --- Go's encoding ---------------------------------------------------------------------------------
@given(networks)
@example(ip_network("::ffff:10.42.0.0/112"))
def test_networks_survive(network: Any) -> None:
    """One of IPv4-mapped addresses becomes what it is for Go: the IPv4 network."""
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    expected = ip_network((mapped, network.prefixlen - 96)) if mapped else network
    assert decode_network(json.loads(json.dumps(encode_network(network)))) == expected


@given(st.ip_addresses())
def test_addresses_survive(address: Any) -> None:
    assert decode_address(encode_address(address)) == (getattr(address, "ipv4_mapped", None) or address)


def test_the_encoding_of_go() -> None:
    assert encode_network(ip_network("10.42.0.0/16")) == {"IP": "10.42.0.0", "Mask": "//8AAA=="}
    assert encode_network(ip_network("fd00:42::/56")) == {
        "IP": "fd00:42::",
        "Mask": "/////////wAAAAAAAAAAAA==",
    }
    assert (encode_network(None), encode_address(None)) == (None, "")
    assert (decode_network(None), decode_address(""), decode_address(None)) == (None, None, None)


@given(
    st.recursive(st.none() | st.booleans() | st.text() | st.integers(), st.lists)
    | st.dictionaries(st.sampled_from(["IP", "Mask"]), st.none() | st.text() | st.integers())
)
def test_nonsense_is_a_value_error(value: Any) -> None:
    for decode in (decode_network, decode_address):
        with contextlib.suppress(ValueError):
            decode(value)


# --- comparing servers -----------------------------------------------------------------------------
def test_critical_keys_have_flags() -> None:
    assert list(encode_critical(server_config())) == list(CRITICAL)


def test_equal_servers() -> None:
    assert critical_mismatches(server_config(), answer_of(server_config(node={"name": "other"}))) == []


def test_a_difference_names_its_flag_once() -> None:
    other = server_config(
        network={"cluster_cidrs": (ip_network("10.99.0.0/16"),), "cluster_domain": "example.org"}
    )
    assert critical_mismatches(server_config(), answer_of(other)) == ["cluster-cidr", "cluster-domain"]


@pytest.mark.parametrize(
    ("own", "theirs", "mismatches"),
    [
        (("canal",), ("canal",), []),
        (("canal",), ("none",), ["cni"]),
        (("none",), ("canal",), ["cni"]),
        (("cilium",), ("calico",), ["cni"]),
        (("none",), ("none",), []),
    ],
)
def test_servers_of_one_cluster_have_one_cni(
    own: tuple[str, ...], theirs: tuple[str, ...], mismatches: list[str]
) -> None:
    """Upstream's servers tell it, too: by what they disable."""
    configs = [server_config(server={"disable": unselected_charts(chosen)}) for chosen in (own, theirs)]
    assert critical_mismatches(configs[0], answer_of(configs[1])) == mismatches
    assert critical_mismatches(configs[0], answer_of(configs[1], Disables=None)) == []


LONG_MASK = base64.b64encode(b"\xff" * 14 + b"\0\0").decode()


@pytest.mark.parametrize(
    "changes", [{"EgressSelectorMode": ""}, {"ClusterIPRange": {"IP": "10.42.0.0", "Mask": LONG_MASK}}]
)
def test_differences_that_are_none(changes: dict[str, Any]) -> None:
    assert critical_mismatches(server_config(), answer_of(server_config(), **changes)) == []


def test_missing_keys_have_their_zero_value() -> None:
    answer = answer_of(server_config())
    for key in ("DisableHelmController", "EmbeddedRegistry", "EgressSelectorMode"):
        del answer[key]
    assert critical_mismatches(server_config(), answer) == []
    del answer["DisableNPC"]
    assert critical_mismatches(server_config(), answer) == ["disable-network-policy"]


# --- agents ----------------------------------------------------------------------------------------
def agent(**rest: Any) -> NodeConfig:
    return server_config(**rest)


CLUSTER = server_config(
    network={
        "cluster_cidrs": (ip_network("10.52.0.0/16"),),
        "service_cidrs": (ip_network("10.53.0.0/16"),),
        "cluster_dns": (ip_address("10.53.0.10"),),
        "cluster_domain": "example.org",
        "node_port_range": "31000-31999",
        "egress_selector_mode": "pod",
        "bind_address": "192.0.2.77",
        "tls_sans": ("server.example.org",),
    },
    images={"system_default_registry": "registry.example.org", "helm_job": "helm"},
    components={"kube-proxy": ComponentSettings(disabled=True)},
)


def test_the_cluster_decides_what_is_the_clusters() -> None:
    found = with_cluster_settings(agent(), answer_of(CLUSTER))
    for name in (
        "cluster_cidrs",
        "service_cidrs",
        "cluster_dns",
        "cluster_domain",
        "node_port_range",
        "egress_selector_mode",
    ):
        assert getattr(found.network, name) == getattr(CLUSTER.network, name)
    assert found.images.system_default_registry == "registry.example.org"
    assert found.component("kube-proxy").disabled


def test_what_is_the_nodes_stays() -> None:
    found = with_cluster_settings(agent(), answer_of(CLUSTER))
    assert (found.network.bind_address, found.network.tls_sans, found.images.helm_job) == ("0.0.0.0", (), "")
    assert found.node == agent().node


def test_an_empty_answer_changes_nothing() -> None:
    config = agent()
    found = with_cluster_settings(config, {})
    assert (found.network, found.node, found.images) == (config.network, config.node, config.images)
    assert not found.component("kube-proxy").disabled


def test_an_old_server_without_lists() -> None:
    answer = answer_of(CLUSTER, ClusterIPRanges=None, ServiceIPRanges=None, ClusterDNSs=None)
    assert with_cluster_settings(agent(), answer).network.service_cidrs == CLUSTER.network.service_cidrs


def test_the_tls_version_reaches_the_kubelet_behind_its_own_arguments() -> None:
    found = with_cluster_settings(agent(kubelet_args=("v=3",)), {"MinTLSVersion": "VersionTLS13"})
    assert found.kubelet_args == ("tls-min-version=VersionTLS13", "v=3")


@pytest.mark.parametrize(
    "changes",
    [
        {"ClusterDNSs": "10.43.0.10"},
        {"ClusterDNS": "here"},
        {"ClusterIPRange": "10.42.0.0/16"},
        {"ClusterIPRanges": [{"IP": "10.42.0.0", "Mask": "/w8="}]},
        {"ClusterDomain": "not a domain"},
        {"ServiceNodePortRange": {"Base": 1}},
        {"ServiceNodePortRange": {"Base": 65000, "Size": 1000}},
        {"EgressSelectorMode": "magic"},
        {"DisableKubeProxy": "yes"},
        {"SystemDefaultRegistry": 7},
        {"MinTLSVersion": "1.3"},
    ],
)
def test_unusable_values_are_named(changes: dict[str, Any]) -> None:
    with pytest.raises(JoinError, match=next(iter(changes))):
        with_cluster_settings(agent(), answer_of(CLUSTER, **changes))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(answer_of(CLUSTER))), json_values))
def test_any_answer_is_taken_or_refused_with_a_reason(answer: dict[str, Any]) -> None:
    critical_mismatches(agent(), answer)
    with contextlib.suppress(JoinError):
        with_cluster_settings(agent(), answer)


# --- address families ------------------------------------------------------------------------------
V4, V6 = ip_address("192.0.2.1"), ip_address("2001:db8::1")
BOTH = {
    "ClusterIPRanges": [
        encode_network(ip_network("fd00:42::/56")),
        encode_network(ip_network("10.42.0.0/16")),
    ],
    "ServiceIPRanges": [
        encode_network(ip_network("fd00:43::/112")),
        encode_network(ip_network("10.43.0.0/16")),
    ],
}


def test_the_nodes_addresses_take_the_clusters_order() -> None:
    assert with_cluster_settings(agent(node={"ips": (V4, V6)}), BOTH).node.ips == (V6, V4)


def test_detected_addresses_are_those_the_cluster_wants() -> None:
    """Nobody gave node-ip: what this host took before it knew the cluster was only a guess."""
    detected = agent(node={"ips": (V4,), "detected_ips": (V4, V6)})
    v6_only = {
        "ClusterIPRanges": [encode_network(ip_network("fd00:42::/56"))],
        "ServiceIPRanges": [encode_network(ip_network("fd00:43::/112"))],
    }
    assert with_cluster_settings(detected, BOTH).node.ips == (V6, V4)
    assert with_cluster_settings(detected, v6_only).node.ips == (V6,)
    assert with_cluster_settings(detected, {}).node.ips == (V4,)


def test_a_node_without_a_family_of_the_cluster() -> None:
    with pytest.raises(
        JoinError, match=r"no IPv6 address, which the cluster's network fd00:42::/56,10\.42\.0\.0/16"
    ):
        with_cluster_settings(agent(), BOTH)


def test_networks_of_different_families() -> None:
    answer = {"ServiceIPRanges": [encode_network(ip_network("fd00:43::/112"))]}
    with pytest.raises(JoinError, match="not of the same address families"):
        with_cluster_settings(agent(node={"ips": (V4, V6)}), answer)
