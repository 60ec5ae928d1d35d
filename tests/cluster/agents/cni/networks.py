"""The CNI plugins that the tests of this folder run with, and what differs from one to the next: a row for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.cluster.objects import Object

Guard = Callable[[str, bool], Object]
"""Makes a policy of the plugin's own kind, for the whole cluster: of the pods ``app: guarded`` in a namespace, keep
away everyone, or (True) everyone but those labelled ``role: friend``."""


@dataclass(frozen=True)
class Network:
    """A CNI plugin.

    Args:
        name: value of ``cni:``.
        link: the interface of the tunnel between nodes.
        tunnel: what ``ip -details link`` says of it.
        agents: label selector of its pods, one per node.
        policies: resource of its own kind of policy, and `guard`, which makes one.
        remains: words in names of interfaces, rules and IP sets that only this plugin makes.
        kinds: which of these, and routes, it makes.
    """

    name: str
    link: str
    tunnel: str
    agents: str
    policies: str
    guard: Guard
    remains: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ("interfaces", "routes", "rules", "sets")


def calicos(namespace: str, friends: bool) -> Object:
    """A GlobalNetworkPolicy of Calico."""
    allow = [{"action": "Allow", "source": {"selector": "role == 'friend'"}}] if friends else []
    return {
        "apiVersion": "crd.projectcalico.org/v1",
        "kind": "GlobalNetworkPolicy",
        "metadata": {"name": "guard"},
        "spec": {
            "selector": f"app == 'guarded' && projectcalico.org/namespace == '{namespace}'",
            "types": ["Ingress"],
            "ingress": [*allow, {"action": "Deny"}],
        },
    }


def ciliums(namespace: str, friends: bool) -> Object:
    """A CiliumClusterwideNetworkPolicy. A rule that allows nobody is what denies."""
    pods = {"k8s:io.kubernetes.pod.namespace": namespace}
    rule = {"fromEndpoints": [{"matchLabels": {**pods, "k8s:role": "friend"}}]} if friends else {}
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumClusterwideNetworkPolicy",
        "metadata": {"name": "guard"},
        "spec": {"endpointSelector": {"matchLabels": {**pods, "k8s:app": "guarded"}}, "ingress": [rule]},
    }


CALICOS_POLICIES = "globalnetworkpolicies.crd.projectcalico.org"

NETWORKS = (
    Network(
        "canal",
        link="flannel.1",
        tunnel="vxlan id 1 ",
        agents="k8s-app=canal",
        policies=CALICOS_POLICIES,
        guard=calicos,
        remains=("flannel", "cali"),
    ),
    Network(
        "calico",
        link="vxlan.calico",
        tunnel="vxlan id 4096 ",
        agents="k8s-app=calico-node",
        policies=CALICOS_POLICIES,
        guard=calicos,
        remains=("cali",),
    ),
    Network(
        "cilium",
        link="cilium_vxlan",
        tunnel="vxlan external ",
        agents="k8s-app=cilium",
        policies="ciliumclusterwidenetworkpolicies.cilium.io",
        guard=ciliums,
        remains=("cilium", "CILIUM", "lxc"),
        kinds=("interfaces", "routes", "rules"),
    ),
)
