"""A server's boot, from an empty host to READY: `phases` is its table of contents."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from rke2.boot import cluster, content, control_plane, datastore, host, identity, membership, runtime, servers
from rke2.boot.node import Node
from rke2.boot.process import Boot, run_node
from rke2.config.model import NodeConfig
from rke2.lifecycle.phases import Phase

Step = Callable[[Node], Awaitable[None]]
Row = tuple[str, tuple[str, ...], str, Step]


def phases(boot: Boot) -> list[Phase]:
    """Every phase of a server's boot: name, what must be done first, what takes its time, how it is done."""
    node = Node.assemble(boot)
    table: list[Row] = [
        ("host", (), "free ports, usable certificates, kernel modules", host.prepare),
        ("content", ("host",), "the runtime image to be unpacked", content.runtime_image),
        ("cluster", ("host",), "the server to join", membership.join_as_server),
        ("certificates", ("content", "cluster"), "keys and certificates", identity.certificates),
        ("supervisor", ("certificates",), f"port {9345}", identity.supervisor),
        ("servers", ("supervisor",), "tunnels to the cluster's servers", servers.follow),
        (CHARTS, ("content",), "the packaged charts to be staged", content.charts),
        ("containerd", ("content",), "its CRI to answer", runtime.containerd),
        ("images", ("containerd",), "image archives to be imported", content.images),
        ("kubelet", ("containerd", "certificates"), "the kubelet to be spawned", control_plane.kubelet),
        ("etcd", ("kubelet",), "a healthy member", datastore.etcd),
        (ETCD_ELSEWHERE, ("certificates",), "a member on another server", datastore.elsewhere),
        ("bootstrap data", ("etcd", ETCD_ELSEWHERE), "the cluster's keys in etcd", datastore.bootstrap_data),
        ("kube-apiserver", ("kubelet", "etcd", ETCD_ELSEWHERE), "/readyz", control_plane.apiserver),
        (API_ELSEWHERE, ("kubelet", "etcd"), "an API server on another server", control_plane.elsewhere),
        ("kube-controller-manager", ("kube-apiserver",), "its image", control_plane.controller_manager),
        ("kube-scheduler", ("kube-apiserver",), "its image", control_plane.scheduler),
        ("kube-proxy", ("kube-apiserver", API_ELSEWHERE), "its image", control_plane.proxy),
        ("controllers", ("kube-apiserver", API_ELSEWHERE, CHARTS), "roles and kinds", cluster.controllers),
        ("node", ("kube-apiserver", API_ELSEWHERE), "the node to register", cluster.own_node),
    ]
    left_out = {name for name, settings in node.config.components.items() if settings.disabled}
    left_out |= {other for name, other in _INSTEAD.items() if name not in left_out}
    if not node.config.runs_apiserver:
        left_out.add(CHARTS)  # servers with an API server apply them
    return [
        Phase(name, tuple(r for r in requires if r not in left_out), waits_for, partial(step, node))
        for name, requires, waits_for, step in table
        if name not in left_out
    ]


CHARTS = "charts"
ETCD_ELSEWHERE = "etcd elsewhere"
API_ELSEWHERE = "API elsewhere"
_INSTEAD = {"etcd": ETCD_ELSEWHERE, "kube-apiserver": API_ELSEWHERE}
"""What a server with a dedicated role has instead of a component of its own."""


def run_server(config: NodeConfig) -> int:
    """Run a server until it is told to stop; see `run_node`."""
    return run_node("server", config, phases)
