"""Policies block packets and let packets through, on one node and between nodes: Kubernetes' own NetworkPolicy and
the CNI plugin's kind.

A blocked connection runs into a timeout; a refused one or a failing name would be another fault. While something is
blocked, a path that is allowed shows that the network works at all.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.agents.cni.networks import Network
from tests.cluster.agents.cni.site import Site
from tests.cluster.objects import PORT, policy


@pytest.fixture(autouse=True)
def _open_again_afterwards(site: Site, network: Network) -> Iterator[None]:
    site.is_open()
    yield
    for kind in ("networkpolicies.networking.k8s.io", network.policies):
        site.namespace.kubectl("delete", kind, "--all")
    site.is_open()


def test_a_policy_blocks_everyone_then_lets_one_client_through(site: Site) -> None:
    site.namespace.apply(policy("deny", ingress=[]))
    site.blocked("stranger", "guarded")
    site.blocked("friend", "guarded")
    site.allowed("stranger", "open")

    friend = {"from": [{"podSelector": {"matchLabels": {"role": "friend"}}}], "ports": [{"port": PORT}]}
    site.namespace.apply(policy("allow-friend", ingress=[friend]))
    site.allowed("friend", "guarded")
    site.blocked("stranger", "guarded")

    site.namespace.remove("networkpolicy", "allow-friend")
    site.blocked("friend", "guarded")
    site.namespace.remove("networkpolicy", "deny")
    site.allowed("stranger", "guarded")


def test_a_policy_counts_ports(site: Site) -> None:
    site.namespace.apply(policy("other-port", ingress=[{"ports": [{"port": PORT + 1}]}]))
    site.blocked("friend", "guarded")
    site.namespace.apply(policy("other-port", ingress=[{"ports": [{"port": PORT}]}]))
    site.allowed("friend", "guarded")


def test_a_policy_blocks_what_a_pod_sends(site: Site) -> None:
    to_open = {"to": [{"podSelector": {"matchLabels": {"app": "open"}}}]}
    site.namespace.apply(policy("only-to-open", app="stranger", egress=[to_open]))
    site.blocked("stranger", "guarded")
    site.allowed("stranger", "open")
    site.allowed("friend", "guarded")


def test_a_policy_of_the_plugins_own_kind_blocks_and_allows(site: Site, network: Network) -> None:
    site.namespace.apply(network.guard(site.namespace.name, False))
    site.blocked("friend", "guarded")
    site.blocked("stranger", "guarded")
    site.allowed("stranger", "open")

    site.namespace.apply(network.guard(site.namespace.name, True))
    site.allowed("friend", "guarded")
    site.blocked("stranger", "guarded")
