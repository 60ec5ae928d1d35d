"""The TCP ports of a node, and for what: what else wants one of them is refused where it is set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rke2.config.model import APISERVER_PORT, SUPERVISOR_PORT

NODE_PORTS: Mapping[int, str] = {10248: "kubelet", 10250: "kubelet", 10256: "kube-proxy"}
"""Of every node, looked at before it starts."""

SERVER_PORTS: Mapping[int, str] = {
    SUPERVISOR_PORT: "the supervisor",
    APISERVER_PORT: "kube-apiserver",
    2379: "etcd",
    2380: "etcd",
    2381: "etcd",
    2382: "etcd",
    10257: "kube-controller-manager",
    10259: "kube-scheduler",
}
"""Of servers besides."""

_LOCAL_PORTS = {10010: "containerd", 10249: "kube-proxy"}

FIXED: Mapping[int, str] = {**SERVER_PORTS, **NODE_PORTS, **_LOCAL_PORTS}
"""All that no setting moves. Those of servers are taken on every node: what takes them may be a cluster's setting."""

LB_PORTS = {
    0: "the load balancer for supervisors",
    -1: "the load balancer for API servers",
    -2: "the kubelet's way to the API server",
    -3: "the relay to mirrors",
}
"""By their distance from ``lb-server-port``."""


def balancer_ports(lb_server_port: int) -> dict[int, str]:
    """What listens at ``lb-server-port`` and below."""
    return {lb_server_port + distance: who for distance, who in LB_PORTS.items()}


def first_shared(wanted: Iterable[int], taken: Mapping[int, str]) -> str:
    """``<port> is <whose>`` for the lowest port of `wanted` that is in `taken`; empty if there is none."""
    shared = sorted(set(wanted) & taken.keys())
    return f"{shared[0]} is the port of {taken[shared[0]]}" if shared else ""
